"""Finding plugins: one mechanism for every kind."""
