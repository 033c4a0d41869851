"""One file per dataset; each is found by itself."""
