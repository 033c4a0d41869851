"""soft: every weight moves at a rate that grows with its saliency (Tran and Le, 2025)."""

import math
from typing import Literal

from mubench.api.classifier import Classifier
from mubench.api.mask import mask
from mubench.api.masks import saliency
from mubench.api.masks import soft as softened
from mubench.api.task import Task
from mubench.api.training import Mask, cross_entropy_loss


@mask("soft", sees="forget", cite="Tran and Le 2025")
def soft(
    model: Classifier,
    task: Task,
    *,
    kappa: float = math.log(3),
    scale: Literal["median", "rms", "mean", "max", "none"] = "median",
) -> Mask:
    """M = |2 sigmoid(kappa g / m) - 1|, g = grad CE(D_f) at theta_o (eq. 4).

    kappa: ln 3, so that the median weight moves at half rate. scale: m, the median of |g|; "none" with
    kappa = 1 is eq. 4 as printed. g as in "saliency"; WSS-CL's own. Cost: n_f.
    """
    return softened(saliency(model, cross_entropy_loss, task.forget), kappa=kappa, scale=scale)
