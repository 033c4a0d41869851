"""Datasets, one source per file; each is found by itself."""
