"""saliency: only the weights that matter most for the forget set may move (Fan et al., 2024)."""

from mubench.api.classifier import Classifier
from mubench.api.mask import mask
from mubench.api.masks import largest
from mubench.api.masks import saliency as gradients
from mubench.api.task import Task
from mubench.api.training import Mask, cross_entropy_loss


@mask("saliency", sees="forget", cite="Fan et al. 2024")
def saliency(model: Classifier, task: Task, *, rho: float = 0.5) -> Mask:
    """M = 1 for the rho P largest |grad CE(D_f)| at theta_o over all layers together, else 0 (eqs. 3-4).

    rho: share of weights that may move, 0.5, the median threshold. The gradient is the signed sum over
    batches of D_f in eval mode, augmented: SalUn's and WS-CL's own. Cost: n_f.
    """
    return largest(gradients(model, cross_entropy_loss, task.forget), rho)
