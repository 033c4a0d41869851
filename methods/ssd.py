"""SSD: selective synaptic dampening of the weights that serve the forget set most (Foster et al., 2024)."""

import torch

from mubench import Classifier, Task, cross_entropy_loss, log_uniform, method, squared_gradients


@method(
    "SSD",
    sees=("forget", "retain"),
    cite="Foster et al. 2024",
    search={"alpha": log_uniform(0.1, 100.0), "lam": log_uniform(0.1, 5.0)},
)
def selective_dampening(model: Classifier, task: Task, *, alpha: float = 10.0, lam: float = 1.0) -> None:
    """theta <- theta min(lam I_D / I_f, 1) where I_f > alpha I_D; no training (arXiv 2308.07707).

    I: mean over batches of the squared gradient of the mean CE, for D_f and for all of D = D_r + D_f.
    alpha: how much more a weight must matter to D_f, 10 (public code); searched in [0.1, 100].
    lam: strength of what remains, 1 (public code); searched in [0.1, 5]. The paper's Fisher is of single
    images; this is the public code's, of batches, and so depends on their size: an I_f from one batch
    smaller than those of D comes out larger. The public code too takes plain images, in eval mode;
    BatchNorm statistics stay. Logged: the share of dampened weights. Cost: 2 n_f + n_r, one shot.
    """
    forget = squared_gradients(model, cross_entropy_loss, task.forget.plain())
    whole = squared_gradients(model, cross_entropy_loss, task.retain.joined(task.forget).plain())
    chosen = {n: forget[n] > alpha * whole[n] for n in forget}
    with torch.no_grad():
        for name, p in model.named_parameters():
            dampened = p * (lam * whole[name] / forget[name]).clamp(max=1)
            p.copy_(torch.where(chosen[name], dampened, p))
    with task.aside():
        total = sum(c.numel() for c in chosen.values())
        task.log(dampened=sum(int(c.sum()) for c in chosen.values()) / total)
