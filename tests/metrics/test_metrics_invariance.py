"""Over every metric: what must not change a number does not change a bit of it."""

import numpy as np
import pytest

from mubench.api.outputs import Outputs
from mubench.discovery.find import Catalogue
from mubench.reporting.evaluate import evaluate_row

METRICS = Catalogue().metrics
OPTIONS = [{}, {"mia": {"classwise": True, "statistic": "modified_entropy"}}]


def shuffled(outputs, seed):
    """The same samples in another order, which `seed` and the set decide."""
    logits, labels = {}, {}
    for i, (name, z) in enumerate(outputs.logits.items()):
        order = np.random.default_rng([seed, i]).permutation(len(z))
        logits[name], labels[name] = z[order], outputs.labels[name][order]
    return Outputs(logits, labels, forgotten=outputs.forgotten)


def relabelled(outputs):
    """The same model, with the classes numbered otherwise."""
    old_of_new = np.random.default_rng(3).permutation(outputs.logits["forget"].shape[1])
    new_of_old = np.argsort(old_of_new)
    return Outputs(
        {k: np.ascontiguousarray(z[:, old_of_new]) for k, z in outputs.logits.items()},
        {k: new_of_old[y] for k, y in outputs.labels.items()},
        forgotten=tuple(int(new_of_old[c]) for c in outputs.forgotten),
    )


@pytest.fixture(params=[(), (2,)], ids=["random", "class"])
def case(request, model):
    make = [model(seed=s, split=s % 2, classes=7, forgotten=request.param) for s in range(10)]
    return make[:2], make[2:4], make[4:6], [make[6:10:2], make[7:10:2]]


def evaluated(case, options=None, change=lambda o: o):
    """Every metric of the case with its outputs changed."""
    rows, references, originals = ([change(o) for o in part] for part in case[:3])
    retrains = [[change(o) for o in of_seed] for of_seed in case[3]]
    return evaluate_row(METRICS, rows, references, options, originals=originals, retrains=retrains)


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "classwise"])
@pytest.mark.parametrize("change", [lambda o: shuffled(o, 0), relabelled], ids=["order", "relabelling"])
def test_no_bit_changes(case, options, change):
    before = evaluated(case, options)
    assert evaluated(case, options, change) == before
    assert {"iam", "rmia", "rf_jsd", "nomus"} < before[0].keys()
    assert len(before[0]) > 30


def test_same_outputs_same_numbers_and_nothing_is_written_to(case):
    for o in (*case[0], *case[1], *case[2], *case[3][0], *case[3][1]):
        for array in (*o.logits.values(), *o.labels.values()):
            array.flags.writeable = False
    first = evaluated(case)
    assert evaluated(case) == first


def test_seeds_keep_their_places(case):
    forth = evaluated(case)
    back = evaluated([part[::-1] for part in case])
    assert back[::-1] == forth
    assert forth[0] != forth[1]


def test_identical_distributions_are_told_apart_by_chance(model):
    found = []
    for seed in range(20):
        o = model(seed=seed, split=seed, sizes=(200, 300, 5, 300), lift=(2.0, 2.0, 2.0, 2.0))
        chosen = {n: METRICS[n] for n in ("auc", "mia")}
        found.append(evaluate_row(chosen, [o])[0])
    for column in ("auc", "auc_retain", "mia_balanced_accuracy"):
        assert np.mean([r[column] for r in found]) == pytest.approx(50, abs=1.5), column
