"""FT: fine-tuning on the retain set (Warnecke et al., 2023; a baseline of Golatkar et al., 2020)."""

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method


@method("FT", sees="retain", cite="Warnecke et al. 2023", search={"lr": log_uniform(1e-4, 1e-1)})
def fine_tune(model: Classifier, task: Task, *, epochs: int = 10, lr: float = 0.01) -> None:
    """min CE over D_r, starting at theta_o: what is not trained on is forgotten over time.

    epochs: passes over D_r, 10 (README of the Sparse code). lr: SGD learning rate, 0.01 (same);
    searched in [1e-4, 1e-1]. Momentum 0.9, weight decay 5e-4, BatchNorm in train mode.
    Cost: epochs x n_r. D_f is never read.
    """
    fit = Step(model, cross_entropy_loss, lr)
    for x, y in task.retain.epochs(epochs):
        fit(x, y)
