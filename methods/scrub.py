"""SCRUB: a student that disobeys its teacher on the forget set only (Kurmanji et al., 2023)."""

import copy

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from mubench import Classifier, Step, Task, choice, log_uniform, method

# The learning rate falls to a tenth after each of these epochs (public code).
FALLS = (3, 5, 9)


def distance(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) of logits (b, K), mean over the batch."""
    log_q, p = (student / temperature).log_softmax(1), (teacher / temperature).softmax(1)
    return temperature**2 * kl_div(log_q, p, reduction="batchmean")


@method(
    "SCRUB",
    sees=("forget", "retain"),
    cite="Kurmanji et al. 2023",
    search={"lr": log_uniform(1e-4, 1e-1), "msteps": choice(1, 2, 3, 5), "alpha": log_uniform(1e-3, 1.0)},
)
def scrub(
    model: Classifier,
    task: Task,
    *,
    epochs: int = 5,
    msteps: int = 3,
    lr: float = 5e-4,
    gamma: float = 1.0,
    alpha: float = 0.5,
    temperature: float = 4.0,
) -> None:
    """min gamma CE(D_r) + alpha d(D_r) - d(D_f), d = KL(theta_o || theta), in passes that alternate.

    epochs: 5, each a pass over D_r. msteps: the first 3 of them begin with a pass over D_f that only pushes
    d(D_f) up. lr: 5e-4, a tenth after epochs 3, 5 and 9; searched in [1e-4, 1e-1]. gamma, alpha,
    temperature (of d, which is scaled by T^2): 1, 0.5, 4. All from the authors' membership experiments;
    their large-scale ones have 3 epochs, msteps 2, gamma 0.99, alpha 0.001. One momentum (0.9) for both
    passes, weight decay 5e-4, the student in train mode, the teacher in eval mode, all as the public code,
    whose batches are smaller (32 of D_r, 16 of D_f). Its rewinding variant SCRUB+R picks an epoch by the
    error on validation images; no method sees those here. Cost: (epochs x n_r + min(msteps, epochs) x n_f)
    x (2 forward, 1 backward).
    """
    teacher = copy.deepcopy(model).eval().requires_grad_(False)

    def loss(m: Classifier, x: Tensor, y: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        z = m(x)
        return weights[0] * cross_entropy(z, y) + weights[1] * distance(z, known, temperature)

    ends = [e * task.retain.batches + min(e, msteps) * task.forget.batches for e in FALLS]
    step = Step(model, loss, lr, schedule=lambda done: 0.1 ** sum(done >= end for end in ends))
    push, pull = torch.tensor([[0.0, -1.0], [gamma, alpha]], device=task.device)
    for epoch in range(epochs):
        rounds = [(task.forget, push), (task.retain, pull)]
        for images, weights in rounds if epoch < msteps else rounds[1:]:
            for x, y in images:
                with torch.no_grad():
                    known = teacher(x)
                step(x, y, known, weights)
