"""`check_method`: whether a plugin honours the contract; for the tests of its author."""

from mubench.running.contract import CLASSES, IMAGES, Outcome, check_method, differing

__all__ = ["CLASSES", "IMAGES", "Outcome", "check_method", "differing"]
