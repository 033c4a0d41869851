"""SCRUB+R: SCRUB's states by epoch, and which of them is taken."""

import pytest
import torch
from helpers import state

from mubench.methods.scrub import scrub
from mubench.methods.scrub_r import scrub_r

RATE = {"lr": 0.02, "msteps": 2, "gamma": 0.5}


def errors(bench, model, name):
    """The share of wrong predictions by class, by hand."""
    with torch.no_grad():
        wrong = model.eval()(bench.x(name)).argmax(1) != bench.y(name)
    return {k: float(wrong[bench.y(name) == k].float().mean()) for k in range(3)}


@pytest.mark.parametrize("seed", range(3))
def test_the_epoch_whose_forget_error_is_closest_to_the_validation_error_at_the_end(lab, bits, seed):
    bench = lab(n_f=14, n_r=15, n_val=30)
    bench.data["val"] = (bench.data["val"][0].roll(seed, 0), bench.data["val"][1])
    each = [bench.run(scrub, epochs=e, **RATE).model for e in range(1, 6)]
    share = [float((bench.y("forget") == k).float().mean()) for k in range(3)]
    aim = sum(s * errors(bench, each[-1], "val")[k] for k, s in enumerate(share))
    forget = [sum(s * errors(bench, m, "forget")[k] for k, s in enumerate(share)) for m in each]
    best = min(range(5), key=lambda e: abs(forget[e] - aim))

    done = bench.run(scrub_r, epochs=5, **RATE)

    assert done.notes == {
        "epoch": best + 1,
        "error": pytest.approx(forget[best]),
        "reference": pytest.approx(aim),
    }
    assert bits(state(done.model), state(each[best]))
    assert len({*forget}) > 1


def test_of_a_forgotten_class_only_its_own_validation_images_count(lab):
    bench = lab(n_f=9, n_val=12)
    labels = bench.y("forget")
    bench.data["forget"] = tuple(part[labels == 1] for part in bench.data["forget"])
    last = bench.run(scrub, epochs=3, **RATE).model

    done = bench.run(scrub_r, epochs=3, **RATE)

    assert done.notes["reference"] == pytest.approx(errors(bench, last, "val")[1])


def test_cost_is_that_of_scrub_and_a_look_at_each_state(lab):
    bench = lab(n_f=6, n_r=15, n_val=9)
    plain, done = bench.run(scrub, epochs=4), bench.run(scrub_r, epochs=4)

    assert done.ledger.reads == {"forget": plain.ledger.reads["forget"] + 4 * 6, "retain": 60, "val": 9}
    assert done.cost == (plain.cost[0] + 4 * 6 + 9, plain.cost[1])
