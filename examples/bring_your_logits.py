"""You have unlearned elsewhere: bring the logits of your model and of Retrain, get the table."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import mubench

images, labels = load_digits(return_X_y=True)
images = images / 16 + 0.4 * np.random.default_rng(0).normal(size=images.shape)
sets = {"forget": slice(0, 300), "retain": slice(300, 1300), "test": slice(1300, None)}


def logits_of(model):
    return {name: model.decision_function(images[rows]) for name, rows in sets.items()}


def trained(on, strength):
    return LogisticRegression(C=strength, max_iter=1000).fit(images[on], labels[on])


results = mubench.evaluate(
    {"Early": logits_of(trained(slice(0, 1300), 1e-4)), "Mine": logits_of(trained(slice(200, 1300), 1.0))},
    retrained=logits_of(trained(sets["retain"], 1.0)),
    original=logits_of(trained(slice(0, 1300), 1.0)),
    labels={name: labels[rows] for name, rows in sets.items()},
)
print(results)
