"""Content vectors (of texts, images, graphs): pooled, compressed to the width of a block field, read and written."""
