"""WS-CL: CL under a hard weight-saliency mask (Tran and Le, 2025, eq. 3)."""

from mubench import Classifier, Task, choice, cross_entropy_loss, largest, method, saliency
from mubench.api.masks import describe

from .cl import SEARCH, Direction, blur, logged_displacement, push_and_fit


@method(
    "WS-CL",
    sees=("forget", "retain"),
    cite="Tran and Le 2025",
    search={**SEARCH, "rho": choice(0.1, 0.3, 0.5, 0.7, 0.9)},
)
def ws_cl(
    model: Classifier,
    task: Task,
    *,
    rho: float = 0.5,
    epochs_kl: int = 1,
    lr_kl: float = 5e-3,
    kl_direction: Direction = "u_p",
    epochs: int = 10,
    lr_push: float = 1e-3,
    lr_fit: float = 1e-2,
    decay: float = 5e-4,
    tau: float = 1.4,
) -> None:
    """CL in which only the rho weights of largest |grad CE(D_f)| at theta_o may move (eqs. 2, 3 and 6).

    rho: share of weights that move, 0.5 as SalUn, ranked over all layers together; searched in 0.1 to 0.9.
    Everything else as CL. The mask is made once, before phase 1, and holds in every update, so the
    other weights stay bit-identical to theta_o. Logged: the mask's quantiles. Cost: n_f + CL's.
    """
    mask = largest(saliency(model, cross_entropy_loss, task.forget), rho)
    with task.aside():
        task.log(mask=describe(mask))
    with logged_displacement(model, task):
        blur(model, task, epochs_kl, lr_kl, kl_direction, mask)
        push_and_fit(model, task, epochs, lr_push, lr_fit, decay, tau, mask)
