"""Original: the model before any unlearning, the row that every method must leave behind."""

from mubench import Classifier, Task, method


@method("Original", role="baseline")
def original(model: Classifier, task: Task) -> None:
    """theta_u = theta_o: nothing is done, nothing is read; cost 0."""
