"""Metrics, functions of stored outputs; each is found by itself."""
