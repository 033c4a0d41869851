"""Masks that a suite can lay over any method that trains by Step, one per file; each is found by itself."""
