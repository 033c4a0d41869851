"""UA, RA, TA and their relatives, counted by hand."""

import numpy as np
import pytest

from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics

NAMES = ("ua", "ra", "ta", "fta", "va")


def accuracies(outputs):
    found = METRICS
    return evaluate_row({n: found[n] for n in NAMES}, [outputs])[0]


def predictions(*classes):
    return np.eye(3, dtype=np.float32)[list(classes)]


def outputs(forgotten=()):
    return Outputs(
        {
            "forget": predictions(0, 0, 0, 1),
            "retain": predictions(1, 2, 1, 2, 1),
            "val": predictions(0, 1),
            "test": predictions(0, 1, 1, 2, 2, 0),
        },
        {
            "forget": np.array([0, 0, 0, 0]),
            "retain": np.array([1, 2, 1, 2, 2]),
            "val": np.array([0, 2]),
            "test": np.array([0, 0, 1, 2, 2, 2]),
        },
        forgotten=forgotten,
    )


def test_random_forgetting_by_hand():
    got = accuracies(outputs())
    assert got == pytest.approx({"ua": 25.0, "ra": 80.0, "ta": 100 * 4 / 6, "va": 50.0})


def test_class_forgetting_takes_the_forgotten_class_out_of_ta_and_va():
    got = accuracies(outputs(forgotten=(0,)))
    assert got == pytest.approx({"ua": 25.0, "ra": 80.0, "ta": 75.0, "fta": 50.0, "va": 0.0})


def test_no_validation_images_no_va():
    o = outputs()
    del o.logits["val"], o.labels["val"]
    assert "va" not in accuracies(o)
    o.logits["val"], o.labels["val"] = np.empty((0, 3), np.float32), np.empty(0, np.int64)
    assert "va" not in accuracies(o)


def test_values_are_plain_floats():
    assert {type(v) for v in accuracies(outputs(forgotten=(0,))).values()} == {float}
