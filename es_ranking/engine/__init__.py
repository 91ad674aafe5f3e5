"""The seam to the search engine, and the embedded node that development and tests stand on."""
