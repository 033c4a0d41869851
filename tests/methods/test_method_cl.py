"""CL: its two phases, their steps and their cost."""

import math
from functools import partial

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods import cl as module
from mubench.methods.cl import cl, kl_to_uniform
from mubench.methods.ft import fine_tune


def statistics(bench, model):
    """(mean KL to uniform, mean entropy) on D_f in eval mode."""
    with torch.no_grad():
        log_p = model.eval()(bench.x("forget")).log_softmax(1)
    return float(-math.log(3) - log_p.mean()), float(-(log_p.exp() * log_p).sum(1).mean())


@pytest.mark.parametrize("direction", ["u_p", "p_u"])
def test_phase_1_alone_blurs_the_forget_set_and_reads_nothing_else(lab, direction):
    bench = lab()
    kl, entropy = statistics(bench, bench.model())

    done = bench.run(cl, epochs=0, epochs_kl=5, lr_kl=0.02, kl_direction=direction)

    kl_after, entropy_after = statistics(bench, done.model)
    assert kl_after < 0.9 * kl
    assert entropy_after > entropy + 0.05
    assert done.ledger.reads == {"forget": 5 * 6, "retain": 0}
    assert done.cost == (5 * 6, 5 * 6)


def test_kl_after_phase_1_is_logged_as_it_is(lab):
    bench = lab()

    done = bench.run(cl, epochs=0, epochs_kl=2)

    assert done.notes["kl_after_phase_1"] == pytest.approx(statistics(bench, done.model)[0], rel=1e-5)
    assert done.notes["contrastive_first"] is None


def test_first_step_of_phase_1_has_no_decay(lab, gradient):
    bench = lab(n_f=8, batch_size=8, augment=False)
    slope = gradient(bench.model(), kl_to_uniform, bench.x("forget"))

    done = bench.run(cl, epochs=0, epochs_kl=1, lr_kl=0.1)

    for name, move in done.moves.items():
        torch.testing.assert_close(move, -0.1 * slope[name], atol=2e-6, rtol=1e-4)


def test_fitting_decays_and_comes_last(lab, gradient):
    bench = lab(n_f=6, n_r=8, batch_size=8, augment=False)
    slope = gradient(bench.model(), cross_entropy_loss, bench.x("retain"), bench.y("retain"))

    done = bench.run(cl, epochs_kl=0, epochs=1, lr_push=0.0, lr_fit=0.1, decay=0.05)

    for name, move in done.moves.items():
        expected = -0.1 * (slope[name] + 0.05 * done.before[name])
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-4)


def test_pushing_touches_no_head_and_lowers_its_loss(lab):
    bench = lab(n_f=12)

    done = bench.run(cl, epochs_kl=0, epochs=20, lr_push=0.05, lr_fit=0.0, tau=0.1)

    assert torch.equal(done.moves["head.weight"], torch.zeros_like(done.moves["head.weight"]))
    assert done.moves["backbone.0.weight"].abs().max() > 1e-3
    assert done.notes["contrastive_last"] < done.notes["contrastive_first"]
    displacement = {n: float(m.norm()) for n, m in done.moves.items()}
    assert done.notes["displacement"] == pytest.approx(displacement)


def test_the_rate_of_pushing_fades_along_a_cosine(lab, monkeypatch):
    factors = {}

    def spy(model, loss, lr, schedule=None, **rest):
        factors[lr] = [schedule(i) for i in range(9)] if schedule else None
        return Step(model, loss, lr, schedule=schedule, **rest)

    monkeypatch.setattr(module, "Step", spy)

    lab(n_f=6, batch_size=4).run(cl, epochs=4, lr_kl=0.01, lr_push=0.02, lr_fit=0.03)

    expected = [(1 + math.cos(math.pi * i / 8)) / 2 for i in range(9)]
    assert factors == {0.01: None, 0.02: pytest.approx(expected), 0.03: None}


def test_labels_of_the_forget_set_are_not_used(lab, bits):
    one, two = lab(), lab()
    two.data["forget"] = two.data["forget"][0], (two.y("forget") + 1) % 3

    assert bits(one.run(cl, epochs=2).after, two.run(cl, epochs=2).after)


def test_equals_ft_with_an_empty_forget_set(lab, bits):
    contrastive = lab(n_f=0).run(cl, epochs=3, lr_fit=0.02)
    tuned = lab(n_f=0).run(fine_tune, epochs=3, lr=0.02)

    assert bits(contrastive.after, tuned.after)
    assert bits(contrastive.buffers_after, tuned.buffers_after)


@pytest.mark.parametrize(("n_f", "n_r", "batch_size"), [(6, 15, 4), (15, 6, 4), (3, 20, 8)])
def test_number_of_steps(lab, count_steps, n_f, n_r, batch_size):
    steps = count_steps(module)
    forget, retain = math.ceil(n_f / batch_size), math.ceil(n_r / batch_size)

    done = lab(n_f=n_f, n_r=n_r, batch_size=batch_size).run(cl, epochs_kl=2, epochs=3)

    assert len(steps) == 2 * forget + 3 * (forget + retain)
    assert sum(steps) == 2 * n_f + 3 * (n_f + n_r)
    assert done.ledger.backward == 2 * n_f + 3 * (2 * n_f + n_r)
    assert done.ledger.reads["forget"] == (2 + 3) * n_f


def test_cost_is_as_declared(lab):
    done = lab(n_f=8, n_r=12, batch_size=4).run(cl, epochs_kl=2, epochs=3)

    forward, backward = done.cost
    assert (forward, backward) == (2 * 8 + 3 * (2 * 8 + 8 + 12), 2 * 8 + 3 * (2 * 8 + 12))
    # a unit is one image forward and backward, of which the forward pass is a third
    assert (forward + 2 * backward) / 3 == pytest.approx(2 * 8 + 3 * (2 * 8 + 8 / 3 + 12))
    assert done.ledger.reads["retain"] == 3 * (8 + 12)


def test_each_loss_keeps_its_own_velocity(lab, bits, monkeypatch):
    """Were it shared, fitting at rate 0 would still change how pushing goes on."""
    at_rest = lab().run(cl, epochs_kl=0, epochs=3, lr_push=0.05, lr_fit=0.0, decay=0.0)
    monkeypatch.setattr(module, "cross_entropy_loss", lambda m, x, y: 100 * cross_entropy_loss(m, x, y))
    louder = lab().run(cl, epochs_kl=0, epochs=3, lr_push=0.05, lr_fit=0.0, decay=0.0)

    assert not bits(at_rest.before, at_rest.after)
    assert bits(at_rest.after, louder.after)


def test_temperature_matters(lab, bits):
    run = partial(lab().run, cl, epochs=2, lr_push=0.05)

    assert not bits(run(tau=1.4).after, run(tau=0.1).after)
