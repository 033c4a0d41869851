"""NegGrad+: descent on the retain set and ascent on the forget set in one loss (Kurmanji et al., 2023)."""

from torch import Tensor

from mubench import Classifier, Step, Task, choice, cross_entropy_loss, log_uniform, method


@method(
    "NegGrad+",
    sees=("forget", "retain"),
    cite="Kurmanji et al. 2023",
    search={"lr": log_uniform(1e-4, 1e-1), "alpha": choice(0.9, 0.95, 0.99, 0.999, 0.9999)},
)
def neggrad_plus(
    model: Classifier, task: Task, *, epochs: int = 5, lr: float = 0.01, alpha: float = 0.95
) -> None:
    """min alpha CE(D_r) - (1 - alpha) CE(D_f), every step on a batch of each (the baseline of SCRUB's paper).

    epochs: passes over D_r, 5, as the authors' membership experiments (10 in their small-scale ones). lr:
    0.01 (both); searched in [1e-4, 1e-1]. alpha: weight of D_r, beta in the paper; 0.95 is the small-scale
    value, 0.9999 that of the membership experiments; searched in 0.9 to 0.9999. Each D_r batch meets the
    next batch of D_f, which starts again, shuffled anew, whenever it ends (the public code repeats its
    first pass, augmentation included). No weight decay, BatchNorm in train mode on either batch (public
    code; its small-scale notebook keeps eval mode and adds a pull to theta_o). The public code has no
    momentum, here 0.9. The loss has no lower bound: a rate too large ends in a FAILED row. With an empty
    D_f nothing happens. Cost: epochs x (n_r + one batch of D_f for each of D_r).
    """

    def loss(m: Classifier, x: Tensor, y: Tensor, x_f: Tensor, y_f: Tensor) -> Tensor:
        return alpha * cross_entropy_loss(m, x, y) - (1 - alpha) * cross_entropy_loss(m, x_f, y_f)

    step, forget = Step(model, loss, lr, decay=0), task.forget.cycle()
    for _ in range(epochs):
        for (x, y), (x_f, y_f) in zip(task.retain, forget, strict=False):
            step(x, y, x_f, y_f)
