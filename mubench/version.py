"""The version, and the number of the numerics."""

__version__ = "0.1.0"

# Part of every record's key: raised when a change of the program changes results.
NUMERICS = 2
