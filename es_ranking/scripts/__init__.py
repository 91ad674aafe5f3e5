"""Painless scripts as package resources, and the store that puts them into the engine under versioned ids."""
