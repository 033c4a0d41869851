"""Retrain: exact unlearning, the reference that every other method imitates."""

from mubench import Classifier, Task, method, train


@method("Retrain", sees="retain", role="reference", cite="Bourtoule et al. 2021; Jia et al. 2023")
def retrain(model: Classifier, task: Task) -> Classifier:
    """min over fresh theta of the mean CE over D_r, by the recipe of the original.

    theta_o is not used, and the initial weights come from another stream than the original's: the
    same initialisation would make Retrain artificially close to it. The recipe (epochs, lr,
    milestones) is the suite's `original` table. Cost: epochs x n_r.
    """
    fresh = task.fresh_model()
    train(fresh, task.retain, task.recipe)
    return fresh
