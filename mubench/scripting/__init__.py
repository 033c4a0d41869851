"""The Python API: suites, methods, models and data built in a script or a notebook."""
