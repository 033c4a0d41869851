"""Numbers of models unlearned elsewhere: known answers, every form of input, one line for what is wrong."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from mubench import evaluate, load_results
from mubench.errors import UsageError

CLASSES, SIZES = 4, {"forget": 20, "retain": 60, "val": 16, "test": 40}
LABELS = {name: np.arange(n) % CLASSES for name, n in SIZES.items()}


def logits(seed=0, right=0.75):
    """Logits that are right on this share of each set, otherwise the next class's; with a little noise."""
    rng, out = np.random.default_rng(seed), {}
    for name, y in LABELS.items():
        said = np.where(np.arange(len(y)) < round(right * len(y)), y, (y + 1) % CLASSES)
        out[name] = (3 * np.eye(CLASSES)[said] + 0.1 * rng.normal(size=(len(y), CLASSES))).astype(np.float32)
    return out


RETRAIN = logits(1)


@pytest.fixture(autouse=True)
def empty(home):
    """A store of its own."""


def test_accuracies_and_gaps_known_by_hand():
    results = evaluate(logits(2, right=0.5), RETRAIN, LABELS)
    row = results.table.loc["Unlearned"]

    assert row[["ua", "ra", "ta"]].tolist() == [50, 50, 50]
    assert row[["ua_gap", "ra_gap", "ta_gap"]].tolist() == [25, 25, 25]
    assert results.table.loc["Retrain", "avg_gap_svc"] == 0
    assert "RTE" not in results.report.table.header
    assert "20 forget, 60 retain, 16 val, 40 test" in str(results)


def test_equal_logits_have_no_gap():
    results = evaluate({"Same": RETRAIN}, RETRAIN, LABELS)

    assert results.table.loc["Same", ["avg_gap", "avg_gap_svc"]].tolist() == [0, 0]


def test_without_validation_what_needs_it_is_left_out():
    def some(outputs):
        return {name: outputs[name] for name in ("forget", "retain", "test")}

    again = [logits(4), logits(5)]
    whole = evaluate(logits(2), [RETRAIN, *again], LABELS, original=logits(6))
    original, retrains = some(logits(6)), [some(RETRAIN), *map(some, again)]
    part = evaluate(some(logits(2)), retrains, some(LABELS), original=original)

    assert "va" in whole.cells
    assert "va" not in part.cells
    assert part.cells["mia_svc"].equals(whole.cells["mia_svc"])
    assert 'for want of validation outputs, "val" in labels and logits: rmia, va.' in str(part)
    assert "want of validation" not in str(whole)
    assert re.search(
        r"want of features, a forgotten class, or enough images, .* Retrains: .*klom", str(whole)
    )


def test_several_rows_an_original_and_further_retrains():
    rows = {"A": logits(2), "B": logits(3)}
    results = evaluate(rows, [RETRAIN, logits(4), logits(5)], LABELS, original=logits(6))

    names = ["Retrain", "Original", "Retrain (again)", "Retrain (again 2)", "A", "B"]
    assert results.table.index.tolist() == names
    assert results.report.summary.target == "the mean of 3 Retrains"


def test_what_is_left_out_is_named():
    assert "Left out, for want of further Retrains: iam, klom, rmia." in str(
        evaluate(logits(2), RETRAIN, LABELS)
    )


def test_seeds_are_paired_and_labels_may_differ():
    flipped = {name: y[::-1].copy() for name, y in LABELS.items()}
    turned = [{name: z[::-1] for name, z in logits(seed).items()} for seed in (3, 5)]
    results = evaluate([logits(2), turned[0]], [RETRAIN, turned[1]], [LABELS, flipped])

    assert results.cells[results.cells["method"] == "Unlearned"]["seed"].tolist() == [0, 1]
    assert results.table.loc["Unlearned", "ua"] == 25
    assert "2 seeds" in str(results)


class Table(nn.Module):
    """The first pixel picks a row of logits; in train mode it is wrong."""

    def __init__(self, rows):
        super().__init__()
        self.rows = nn.Parameter(torch.tensor(rows))

    def forward(self, x):
        return self.rows[x[:, 0, 0, 0].long()] * (-1 if self.training else 1)


def test_models_and_images_in_place_of_logits():
    images, start = {}, 0
    for name, n in SIZES.items():
        images[name] = torch.arange(start, start + n).float()[:, None, None, None]
        start += n
    network = Table(np.concatenate(list(logits(2).values()))).train()
    by_model = evaluate(network, RETRAIN, LABELS, images=images)

    assert by_model.cells.equals(evaluate(logits(2), RETRAIN, LABELS).cells)
    assert network.training
    arrays = {name: x.double().numpy() for name, x in images.items()}
    assert evaluate(network, RETRAIN, LABELS, images=arrays).cells.equals(by_model.cells)


def test_a_module_gets_images_in_the_type_of_its_weights():
    flat = {name: np.eye(CLASSES)[y].astype(np.float32) for name, y in LABELS.items()}
    for dtype in (torch.float64, torch.bfloat16):
        linear = nn.Linear(CLASSES, CLASSES).to(dtype)
        by_hand = {name: linear(torch.tensor(x).to(dtype)).detach() for name, x in flat.items()}
        assert evaluate(linear, RETRAIN, LABELS, images=flat).cells.equals(
            evaluate(by_hand, RETRAIN, LABELS).cells
        )


def test_what_was_written_is_loaded_again(home):
    results = evaluate([logits(2), logits(3)], [RETRAIN, logits(4)], LABELS, headline="mia", title="mine")
    results.write(home / "out")

    again = load_results(home / "out")

    assert str(again) == str(results)
    assert again.cells[list(results.cells)].equals(results.cells)
    assert again.histograms() == results.histograms()
    with pytest.raises(UsageError, match="unknown method 'FT'"):
        again.compare("FT", "Unlearned")


def test_forgotten_classes_leave_the_test_set():
    one = {name: np.where(y == 0, 1, y) if name == "retain" else y for name, y in LABELS.items()}
    with_class, without = (evaluate(logits(2), RETRAIN, one, forgotten=f) for f in ((), (0,)))

    assert with_class.cells["ta"][0] != without.cells["ta"][0] or "fta" in without.cells


def drop(outputs, name):
    return {key: value for key, value in outputs.items() if key != name}


WRONG = {
    "no forget": ((drop(RETRAIN, "forget"), RETRAIN, LABELS), "has no logits of forget; expected"),
    "one row too few": (
        ({**RETRAIN, "test": RETRAIN["test"][1:]}, RETRAIN, LABELS),
        r"Unlearned: test has logits \(39, 4\); expected \(40, K\), a row for each label",
    ),
    "predictions": (
        ({**RETRAIN, "test": LABELS["test"]}, RETRAIN, LABELS),
        r"test has logits \(40,\); expected",
    ),
    "NaN": (
        ({**RETRAIN, "test": RETRAIN["test"] * np.nan}, RETRAIN, LABELS),
        "test has logits that are not finite",
    ),
    "labels from 1": (
        (RETRAIN, RETRAIN, {name: y + 1 for name, y in LABELS.items()}),
        "Retrain: forget has logits of 4 classes, its labels are 0 to 4",
    ),
    "float labels": (
        (RETRAIN, RETRAIN, {n: y / 1 for n, y in LABELS.items()}),
        "labels of forget are float64",
    ),
    "labels of one set": ((RETRAIN, RETRAIN, {"forget": LABELS["forget"]}), 'labels: expected {"forget"'),
    "a typo": (
        (RETRAIN, RETRAIN, {**LABELS, "tset": LABELS["test"]}),
        "unknown set 'tset'. Did you mean 'test'",
    ),
    "no Retrain": ((RETRAIN, None, LABELS), "retrained is empty; expected the logits of at least one"),
    "fewer Retrains": (
        ([RETRAIN, RETRAIN], [RETRAIN], LABELS),
        "retrained has 1 entries; expected 2, one per seed",
    ),
    "one Retrain": (
        ([RETRAIN, RETRAIN], RETRAIN, LABELS),
        "retrained has no entry per seed; expected a list of 2",
    ),
    "probabilities": (
        (RETRAIN, {n: np.full((len(y), CLASSES), 0.25) for n, y in LABELS.items()}, LABELS),
        "Retrain: forget has probabilities, every row sums to 1; expected logits",
    ),
    "a set that there is not": (
        ({**RETRAIN, "tset": 1}, RETRAIN, LABELS),
        "unknown set 'tset'. Did you mean 'test'",
    ),
    "a model that fails": (
        (nn.Linear(3, 4), RETRAIN, LABELS),
        r"Unlearned, forget: the model fails on images \(20, 2\) of float64: RuntimeError: mat1 and mat2",
    ),
    "no images": ((nn.Flatten(), RETRAIN, LABELS), "Unlearned is a model: expected images="),
    "a number": ((3, RETRAIN, LABELS), "Unlearned is int; expected logits by set, or a model"),
    "a name that is taken": (
        ({"Retrain": RETRAIN}, RETRAIN, LABELS),
        "the name of a row that joins by itself",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line(case):
    words, said = WRONG[case]
    images = {name: np.zeros((n, 2)) for name, n in SIZES.items()} if case == "a model that fails" else None

    with pytest.raises(UsageError, match=said) as caught:
        evaluate(*words, images=images)
    assert "\n" not in str(caught.value)
