"""WSS-CL: CL under a soft weight-saliency mask (Tran and Le, 2025, eq. 4)."""

import math
from typing import Literal

from torch import Tensor

from mubench import Classifier, Task, choice, cross_entropy_loss, log_uniform, method, saliency, soft
from mubench.api.masks import describe

from .cl import SEARCH, Direction, blur, kl_to_uniform, logged_displacement, push_and_fit


@method(
    "WSS-CL",
    sees=("forget", "retain"),
    cite="Tran and Le 2025",
    search={**SEARCH, "kappa": log_uniform(0.1, 10.0), "saliency_loss": choice("ce", "kl")},
)
def wss_cl(
    model: Classifier,
    task: Task,
    *,
    kappa: float = math.log(3),
    soft_scale: Literal["median", "rms", "mean", "max", "none"] = "median",
    saliency_loss: Literal["ce", "kl"] = "ce",
    epochs_kl: int = 1,
    lr_kl: float = 5e-3,
    kl_direction: Direction = "u_p",
    epochs: int = 10,
    lr_push: float = 1e-3,
    lr_fit: float = 1e-2,
    decay: float = 5e-4,
    tau: float = 1.4,
) -> None:
    """CL with every update scaled by M = |2 sigmoid(kappa g / m) - 1|, g = grad of CE(D_f) (eqs. 2, 4 to 6).

    kappa: ln 3, so that the median weight moves at half rate; searched in [0.1, 10]. soft_scale: m, the
    median of |g|; "none" with kappa = 1 is eq. 4 as printed, which leaves masks so small that the
    model hardly moves. saliency_loss: g from the CE (default) or from the KL of phase 1.
    Everything else as CL. Logged: the mask's quantiles. Cost: n_f + CL's.
    """

    def kl(m: Classifier, x: Tensor, _: Tensor) -> Tensor:
        return kl_to_uniform(m, x)

    loss = cross_entropy_loss if saliency_loss == "ce" else kl
    mask = soft(saliency(model, loss, task.forget), kappa=kappa, scale=soft_scale)
    with task.aside():
        task.log(mask=describe(mask))
    with logged_displacement(model, task):
        blur(model, task, epochs_kl, lr_kl, kl_direction, mask)
        push_and_fit(model, task, epochs, lr_push, lr_fit, decay, tau, mask)
