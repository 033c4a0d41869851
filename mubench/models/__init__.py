"""Networks, one family per file; each is found by itself."""
