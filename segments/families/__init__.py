"""Families: the ways of cutting users into segments, one file each, on plain mappings."""
