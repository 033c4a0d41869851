"""EU-k: the last layers know nothing of theta_o, the others stay."""

import torch

from mubench.api.cost import Ledger
from mubench.methods.cf_k import cf_k
from mubench.methods.eu_k import eu_k
from mubench.methods.ft import fine_tune


def test_the_last_layers_start_afresh_and_the_others_stay(lab):
    done = lab().run(eu_k, epochs=1, lr=0.0)
    fresh = lab().task(eu_k.__mubench__[0], Ledger()).fresh_model().state_dict()

    for name, weight in done.after.items():
        assert torch.equal(weight, fresh[name] if name.startswith("head") else done.before[name])


def test_all_layers_afresh_are_fine_tuning_of_a_new_model(lab, bits):
    def anew(model, task):
        fresh = task.fresh_model()
        fine_tune(fresh, task, epochs=2)
        return fresh

    done, expected = lab().run(eu_k, epochs=2, k=2), lab().run(anew, like=eu_k)

    assert bits(done.after, expected.after)
    assert bits(done.buffers_after, expected.buffers_after)


def test_the_originals_last_layer_does_not_matter(lab, bits):
    bench = lab()
    changed = bench.model()
    with torch.no_grad():
        changed.head.weight.mul_(-3)

    assert bits(bench.run(eu_k, epochs=2).after, lab().run(eu_k, epochs=2, model=changed).after)
    assert not bits(bench.run(cf_k, epochs=2).after, lab().run(cf_k, epochs=2, model=changed).after)


def test_only_the_last_layers_differ_from_the_original(lab):
    done = lab().run(eu_k, epochs=3, lr=0.05)

    assert {n for n, move in done.moves.items() if move.any()} == {"head.weight", "head.bias"}


def test_no_epochs_leave_the_original(lab, bits):
    done = lab().run(eu_k, epochs=0)

    assert bits(done.before, done.after)
    assert bits(done.buffers_before, done.buffers_after)


def test_cost_is_epochs_times_n_r_and_forget_is_never_touched(lab):
    done = lab(n_r=15).run(eu_k, epochs=3)

    assert eu_k.__mubench__[0].sees == ("retain",)
    assert done.cost == (45, 45)
    assert done.ledger.reads == {"forget": 0, "retain": 45}
