"""GA: gradient ascent on the forget set (Thudi et al., 2022; Graves et al., 2021)."""

from mubench import Classifier, Step, Task, cross_entropy_loss, log_uniform, method


@method("GA", sees="forget", cite="Thudi et al. 2022", search={"lr": log_uniform(1e-5, 1e-1)})
def gradient_ascent(model: Classifier, task: Task, *, epochs: int = 5, lr: float = 5e-4) -> None:
    """theta <- theta - lr grad(-CE(D_f)); momentum 0.9 and weight decay 5e-4 stay on.

    epochs: passes over D_f, 5 (Unlearn-Sparse code). lr: 5e-4, the lower end of what SalUn's maintainers
    advise for 10 % of CIFAR-10; searched in [1e-5, 1e-1]. The loss is unbounded: a rate too large
    ends in NaN and a FAILED row. Cost: epochs x n_f. D_r is never read.
    """
    ascend = Step(model, lambda m, x, y: -cross_entropy_loss(m, x, y), lr)
    for x, y in task.forget.epochs(epochs):
        ascend(x, y)
