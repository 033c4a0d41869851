"""`check_method`: whether a plugin honours the contract; for the tests of its author."""

from mubench.running.contract import Trace, check_method, differing
from mubench.running.made_up import CLASSES, IMAGES

__all__ = ["CLASSES", "IMAGES", "Trace", "check_method", "differing"]
