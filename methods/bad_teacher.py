"""Bad Teacher: learn the forget set from a random network, the rest from theta_o (Chundawat et al., 2023)."""

import copy
import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from mubench import Classifier, Step, Task, choice, log_uniform, method


def mixed(task: Task, share: float) -> Iterator[tuple[Tensor, Tensor]]:
    """D_f and a fresh random `share` of D_r, shuffled: batches of images, and (b,) whether to forget."""
    forget = [x for x, _ in task.forget]
    retain = [x for x, _ in islice(task.retain, math.ceil(share * task.retain.batches))]
    images = torch.cat([*forget, *retain])
    to_forget = torch.arange(len(images), device=task.device) < sum(len(x) for x in forget)
    order = torch.randperm(len(images), generator=task.rng, device=task.device)
    for rows in torch.tensor_split(order, math.ceil(len(images) / task.retain.batch_size)):
        yield images[rows], to_forget[rows]


@method(
    "Bad Teacher",
    sees=("forget", "retain"),
    cite="Chundawat et al. 2023",
    search={"lr": log_uniform(1e-4, 1e-1), "epochs": choice(1, 3, 10)},
)
def bad_teacher(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 1,
    lr: float = 0.01,
    retain_share: float = 0.3,
    temperature: float = 1.0,
) -> None:
    """min KL(q || p_theta) / B, q = the softmax of a freshly initialised network on D_f, of theta_o on D_r.

    epochs: 1 (public code). lr: 0.01 (recommended here: FT's; the public code has Adam at 1e-4); searched
    in [1e-4, 1e-1]. retain_share: D_r's share in an epoch, 0.3 (public code, which keeps one draw for all
    epochs), rounded up to whole batches. temperature: of both softmaxes, 1 (public code). Momentum 0.9, no
    weight decay, the student in train mode, both teachers in eval mode. The public loss also divides by K,
    which Adam ignores and SGD would not. Cost: epochs x (n_f + retain_share x n_r) x (3 forward, 1
    backward).
    """
    good, bad = copy.deepcopy(model).eval(), task.fresh_model().eval()

    def loss(m: Classifier, x: Tensor, wanted: Tensor) -> Tensor:
        return kl_div((m(x) / temperature).log_softmax(1), wanted, reduction="batchmean")

    follow = Step(model, loss, lr, decay=0)
    for _ in range(epochs):
        for x, to_forget in mixed(task, retain_share):
            with torch.no_grad():
                known = torch.where(to_forget[:, None], bad(x), good(x))
                wanted = (known / temperature).softmax(1)
            follow(x, wanted)
