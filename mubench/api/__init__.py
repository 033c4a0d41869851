"""What the author of a plugin sees."""
