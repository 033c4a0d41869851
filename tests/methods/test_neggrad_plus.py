"""NegGrad+: one step down on D_r and up on D_f, weighted."""

import pytest
import torch

from mubench import Step, cross_entropy_loss
from mubench.methods.neggrad_plus import neggrad_plus


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_first_step_by_hand(lab, gradient, alpha):
    bench = lab(n_f=8, n_r=8, batch_size=8, augment=False)
    down, up = (
        gradient(bench.model(), cross_entropy_loss, bench.x(s), bench.y(s)) for s in ("retain", "forget")
    )

    done = bench.run(neggrad_plus, epochs=1, lr=0.1, alpha=alpha)

    for name, move in done.moves.items():
        expected = -0.1 * (alpha * down[name] - (1 - alpha) * up[name])
        torch.testing.assert_close(move, expected, atol=2e-6, rtol=1e-4)


def test_equals_a_slow_loop_with_two_passes_and_torchs_sgd(lab):
    def slow(model, task):
        sgd = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
        forget = task.forget.cycle()
        for _ in range(3):
            for x, y in task.retain:
                x_f, y_f = next(forget)
                sgd.zero_grad()
                (0.8 * cross_entropy_loss(model, x, y)).backward()
                (-0.2 * cross_entropy_loss(model, x_f, y_f)).backward()
                sgd.step()

    done = lab().run(neggrad_plus, epochs=3, lr=0.02, alpha=0.8)

    expected = lab().run(slow, like=neggrad_plus)
    torch.testing.assert_close(done.after, expected.after, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(done.buffers_after, expected.buffers_after)


def test_all_weight_on_the_retain_set_is_fine_tuning_without_decay(lab, bits):
    def tune(model, task):
        fit = Step(model, cross_entropy_loss, 0.02, decay=0)
        for x, y in task.retain.epochs(2):
            fit(x, y)

    done = lab().run(neggrad_plus, epochs=2, lr=0.02, alpha=1.0)

    assert bits(done.after, lab().run(tune, like=neggrad_plus).after)


def test_forgetting_costs_less_of_the_retain_set_than_ascent_alone(lab):
    bench = lab(n_f=6, n_r=24)
    start = {s: bench.loss(bench.model(), s) for s in ("forget", "retain")}

    both = bench.run(neggrad_plus, epochs=5, lr=0.01, alpha=0.6).model
    ascent = bench.run(neggrad_plus, epochs=5, lr=0.01, alpha=0.0).model

    assert bench.loss(ascent, "forget") > start["forget"] + 0.5
    assert bench.loss(both, "forget") - bench.loss(both, "retain") > start["forget"] - start["retain"]
    assert bench.loss(both, "retain") < bench.loss(ascent, "retain")


@pytest.mark.parametrize("n_f", [6, 0])
def test_rate_zero_or_nothing_to_forget_leaves_the_weights(lab, bits, n_f):
    done = lab(n_f=n_f).run(neggrad_plus, lr=0.0 if n_f else 0.1)

    assert bits(done.before, done.after)


def test_cost_is_a_forget_batch_for_each_retain_batch(lab):
    done = lab(n_f=8, n_r=12, batch_size=4).run(neggrad_plus, epochs=3)

    assert done.cost == (3 * (12 + 3 * 4), 3 * (12 + 3 * 4))
    assert done.ledger.reads == {"forget": 3 * 12, "retain": 3 * 12}
