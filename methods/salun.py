"""SalUn: random labels under a hard weight-saliency mask (Fan et al., 2024)."""

from mubench import Classifier, Task, choice, cross_entropy_loss, largest, log_uniform, method, saliency

from .rl import Order, Redraw, relabel_and_fit


@method(
    "SalUn",
    sees=("forget", "retain"),
    cite="Fan et al. 2024",
    search={"lr": log_uniform(1e-4, 5e-2), "rho": choice(0.1, 0.3, 0.5, 0.7, 0.9)},
)
def salun(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.013,
    rho: float = 0.5,
    exclude_true: bool = False,
    redraw: Redraw = "epoch",
    order: Order = "sequential",
) -> None:
    """theta_u = theta_o + M * delta, with delta from RL and M the rho largest |grad CE(D_f)| (eqs. 3-6).

    epochs: 10. lr: 0.013 (README, 10 % of CIFAR-10); searched in [1e-4, 5e-2], the published range and
    RL's lower end. rho: share of weights that may move, 0.5 (the median threshold), ranked over all
    layers together; searched in 0.1 to 0.9.
    exclude_true, redraw, order: as in RL. The gradient is the signed sum over batches of D_f at theta_o
    in eval mode. Masked-out weights stay bit-identical to theta_o, momentum and weight decay included
    (the public code's were not until 2026-02-28). Cost: n_f + epochs x (n_f + n_r).
    """
    mask = largest(saliency(model, cross_entropy_loss, task.forget), rho)
    relabel_and_fit(
        model, task, epochs=epochs, lr=lr, exclude_true=exclude_true, redraw=redraw, order=order, mask=mask
    )
