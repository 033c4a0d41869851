"""The metrics: functions of stored outputs, each in a file of its own that is found by itself.

A metric is a function under `@metric(...)` in a file of this folder, in an installed package's
entry point (group `mubench.metrics`), or in a file given by the user. Adding one edits nothing.
"""

from mubench.metrics._declare import Metric, metric
from mubench.metrics._discover import all_metrics
from mubench.metrics._evaluate import evaluate_row

__all__ = ["Metric", "all_metrics", "evaluate_row", "metric"]
