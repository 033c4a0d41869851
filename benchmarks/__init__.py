"""One TOML file per suite; each is found by its name."""
