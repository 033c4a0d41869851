"""SCRUB: the distance from the teacher, the order of the passes, one optimiser for both."""

import copy
import math

import pytest
import torch

from mubench import cross_entropy_loss
from mubench.methods.scrub import distance, scrub


def logits(seed):
    return 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("t", [1.0, 4.0])
def test_distance_by_brute_force(t):
    student, teacher = logits(1), logits(2)
    total = 0.0
    for s, k in zip(student.tolist(), teacher.tolist(), strict=True):
        q, p = ([math.exp(v / t) / sum(math.exp(u / t) for u in z) for v in z] for z in (s, k))
        total += sum(b * math.log(b / a) for a, b in zip(q, p, strict=True))

    assert float(distance(student, teacher, t)) == pytest.approx(t**2 * total / 5, rel=1e-4)
    assert float(distance(teacher, teacher, t)) == pytest.approx(0, abs=1e-6)


def test_distance_at_a_high_temperature_is_half_the_variance_of_the_difference():
    student, teacher = logits(1).double(), logits(2).double()

    expected = (student - teacher).var(1, unbiased=False).mean() / 2
    torch.testing.assert_close(distance(student, teacher, 1e4), expected, rtol=1e-3, atol=0)


def test_a_student_that_is_its_teacher_only_decays(lab):
    bench = lab(n_r=8, batch_size=8, linear=True)

    done = bench.run(scrub, epochs=1, msteps=0, gamma=0.0, alpha=1.0, lr=0.1)

    for name, move in done.moves.items():
        torch.testing.assert_close(move, -0.1 * 5e-4 * done.before[name], atol=1e-7, rtol=1e-3)


def slow(model, task, *, epochs, msteps, lr, gamma, alpha, temperature):
    """The published loop: one SGD, one rate an epoch, max-pass then min-pass."""
    teacher = copy.deepcopy(model).eval()
    sgd = torch.optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    for epoch in range(1, epochs + 1):
        sgd.param_groups[0]["lr"] = lr * 0.1 ** sum(epoch > fall for fall in (3, 5, 9))
        for x, _ in task.forget if epoch <= msteps else ():
            sgd.zero_grad()
            (-distance(model(x), teacher(x).detach(), temperature)).backward()
            sgd.step()
        for x, y in task.retain:
            sgd.zero_grad()
            (alpha * distance(model(x), teacher(x).detach(), temperature)).backward(retain_graph=True)
            statistics = {n: b.clone() for n, b in model.named_buffers()}
            (gamma * cross_entropy_loss(model, x, y)).backward()
            model.load_state_dict(statistics, strict=False)  # the second pass is the same one
            sgd.step()


@pytest.mark.parametrize(("epochs", "msteps"), [(7, 3), (2, 5), (2, 0)])
def test_equals_the_published_loop(lab, epochs, msteps):
    rest = {"epochs": epochs, "msteps": msteps, "lr": 0.01, "gamma": 0.9, "alpha": 0.3, "temperature": 2.0}

    done = lab().run(scrub, **rest)

    expected = lab().run(slow, like=scrub, **rest)
    torch.testing.assert_close(done.after, expected.after, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(done.buffers_after, expected.buffers_after, atol=1e-5, rtol=1e-4)


def test_max_steps_lead_away_from_the_teacher_on_the_forget_set(lab):
    bench = lab(n_f=12)

    x, known = bench.x("forget"), bench.model().eval()(bench.x("forget")).detach()

    def far(model):
        return float(distance(model.eval()(x).detach(), known, 4.0))

    pushed, followed = (bench.run(scrub, epochs=3, msteps=m, lr=0.01, gamma=0.0).model for m in (3, 0))

    assert far(pushed) > 2 * far(followed)


def test_rate_zero_leaves_the_weights_but_not_the_statistics(lab, bits):
    done = lab().run(scrub, lr=0.0)

    assert bits(done.before, done.after)
    assert not bits(done.buffers_before, done.buffers_after)


@pytest.mark.parametrize(("epochs", "msteps", "pushes"), [(4, 2, 2), (2, 5, 2), (3, 0, 0)])
def test_cost_is_two_passes_forward_and_one_back(lab, epochs, msteps, pushes):
    done = lab(n_f=6, n_r=15).run(scrub, epochs=epochs, msteps=msteps)

    images = epochs * 15 + pushes * 6
    assert done.cost == (2 * images, images)
    assert done.ledger.reads == {"forget": pushes * 6, "retain": epochs * 15}
