"""EU-k: exact unlearning of the last k layers, which are trained from scratch (Goel et al., 2022)."""

from mubench import Classifier, Task, method

from .cf_k import SEARCH, cf_k, last_layers


@method("EU-k", sees="retain", cite="Goel et al. 2022", search=SEARCH)
def eu_k(model: Classifier, task: Task, *, epochs: int = 10, lr: float = 0.01, k: int = 1) -> None:
    """min CE over D_r in the last k layers alone, from fresh weights; only the frozen ones ever saw D_f.

    epochs: 10, lr: in [1e-4, 1e-1], where it is searched (later comparisons under the protocol of FT; Goel
    et al. train as long as the original was, 62 epochs). lr: 0.01 (code of SCRUB's authors). k: as in CF-k.
    The fresh layers are those of a newly initialised model, BatchNorm's weights and statistics included
    (SCRUB's authors; Goel et al. draw convolutions and linear layers anew and keep BatchNorm). Without
    epochs nothing happens. Everything else as CF-k. Cost: epochs x n_r. D_f is never read.
    """
    if not epochs:
        return
    fresh = task.fresh_model()
    for layer, new in zip(last_layers(model, k), last_layers(fresh, k), strict=True):
        layer.load_state_dict(new.state_dict())
    cf_k(model, task, epochs=epochs, lr=lr, k=k)
