"""One file per unlearning method; each is found by itself."""
