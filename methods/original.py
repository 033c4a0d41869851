"""Original: the model before any unlearning, the row that every method must leave behind."""

from mubench import method


@method("Original", role="baseline")
def original(model, task):
    """theta_u = theta_o: nothing is done, nothing is read; cost 0."""
