"""`check_method`: whether a plugin honours the contract; for the tests of its author."""

from mubench.running.contract import CLASSES, IMAGES, Trace, check_method, differing

__all__ = ["CLASSES", "IMAGES", "Trace", "check_method", "differing"]
