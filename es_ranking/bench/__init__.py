"""What this machine and its engine do with our publishing and our queries: the figures of `es-ranking bench`."""
