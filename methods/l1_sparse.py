"""l1-sparse: fine-tuning with a fading l1 penalty (Jia et al., 2023)."""

from torch import Tensor

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method


def penalty(gamma: float, epochs: int, fade_out: int) -> list[float]:
    """gamma_e for each epoch e: gamma (1 - e / (E - fade_out)), 0 once that is used up."""
    ramp = epochs - fade_out
    return [gamma * max(0.0, 1 - e / ramp) if ramp > 0 else 0.0 for e in range(epochs)]


@method(
    "l1-sparse",
    sees="retain",
    cite="Jia et al. 2023",
    search={"lr": log_uniform(1e-3, 1e-1), "gamma": log_uniform(1e-6, 1e-3)},
)
def l1_sparse(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 10,
    lr: float = 0.01,
    gamma: float = 1e-4,
    fade_out: int = 0,
) -> None:
    """min CE(D_r) + gamma_e ||theta||_1 over all parameters, gamma_e = gamma (1 - e / (E - fade_out)).

    epochs: E = 10 passes over D_r. lr: 0.01 (public scripts); searched in [1e-3, 1e-1]. gamma: 1e-4
    (public scripts; the code's own default of 0.2 destroys the model); searched in [1e-6, 1e-3], the
    published range and one decade above it for small models. fade_out: last epochs without penalty, 0.
    Subgradient descent gives small weights, not exact zeros. Weight decay 5e-4 stays on top.
    BatchNorm in train mode. Cost: epochs x n_r. D_f is never read.
    """

    def loss(m: Classifier, x: Tensor, y: Tensor, strength: Tensor) -> Tensor:
        return cross_entropy_loss(m, x, y) + strength * sum(p.abs().sum() for p in m.parameters())

    fit = Step(model, loss if gamma else lambda m, x, y, _: cross_entropy_loss(m, x, y), lr)
    for strength in penalty(gamma, epochs, fade_out):
        for x, y in task.retain:
            fit(x, y, x.new_full((), strength))
