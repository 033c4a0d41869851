"""Amnesiac unlearning in its relabelling form: wrong labels, drawn once (Graves et al., 2021)."""

from mubench import Classifier, Task, choice, log_uniform, method

from .rl import relabel_and_fit


@method(
    "Amnesiac",
    sees=("forget", "retain"),
    cite="Graves et al. 2021",
    search={"lr": log_uniform(1e-4, 1e-1), "epochs": choice(3, 5, 10)},
)
def amnesiac(model: Classifier, task: Task, *, epochs: int = 3, lr: float = 0.013) -> None:
    """min CE(f(x), y') over D_f and CE(f(x), y) over D_r, shuffled together; y' != y is drawn once.

    epochs: 3 (public code of the benchmarks that list it). lr: 0.013 (recommended here: RL's, whose loss it
    shares; the public code has Adam at 1e-4 in batches of 128); searched in [1e-4, 1e-1]. It is RL with
    exclude_true, redraw = "once" and order = "mixed". The paper's first form, which subtracts recorded
    updates, needs a log of the original's training and is not this row. Momentum 0.9, weight decay 5e-4
    (public code: none), BatchNorm in train mode. Cost: epochs x (n_f + n_r).
    """
    relabel_and_fit(model, task, epochs=epochs, lr=lr, exclude_true=True, redraw="once", order="mixed")
