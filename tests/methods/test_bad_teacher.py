"""Bad Teacher: who is taught by whom, in which batches."""

import torch

from mubench.api.cost import Ledger
from mubench.methods.bad_teacher import bad_teacher, mixed


def random_network(bench):
    """The teacher of the forget set."""
    return bench.task(bad_teacher.__mubench__[0], Ledger()).fresh_model().eval()


def by_brightness(bench):
    """Forget images are black, retain image i has the value i + 1."""
    for name in ("forget", "retain"):
        images = bench.data[name][0]
        for i, image in enumerate(images):
            image.fill_(i + 1 if name == "retain" else 0)
    return bench.task(bad_teacher.__mubench__[0], Ledger())


def test_an_epoch_holds_the_forget_set_once_and_a_share_of_the_rest(lab):
    task = by_brightness(lab(n_f=6, n_r=40, batch_size=4, augment=False))

    drawn = []
    for _ in range(2):
        batches = list(mixed(task, 0.3))
        shown = torch.cat([(x.amax((1, 2, 3)) * 255).round() for x, _ in batches])
        to_forget = torch.cat([f for _, f in batches])
        assert torch.equal(to_forget, shown == 0)
        assert to_forget.sum() == 6
        assert len(shown[~to_forget].unique()) == len(shown[~to_forget]) == 12
        assert [len(f) for _, f in batches] == [4, 4, 4, 3, 3]
        drawn.append(set(shown[~to_forget].tolist()))

    assert drawn[0] != drawn[1]


def test_both_sets_share_batches(lab):
    task = by_brightness(lab(n_f=12, n_r=12, batch_size=8, augment=False))

    assert all(0 < f.float().mean() < 1 for _, f in mixed(task, 1.0))


def test_first_step_on_a_linear_model_by_hand(lab):
    bench = lab(n_f=4, n_r=4, batch_size=8, augment=False, linear=True)
    model, x = bench.model(), torch.cat([bench.x("forget"), bench.x("retain")])
    with torch.no_grad():
        wanted = torch.cat([random_network(bench)(x[:4]), model(x[4:])])
        wrong = (model(x) / 2).softmax(1) - (wanted / 2).softmax(1)
        h = model.features(x)

    done = bench.run(bad_teacher, lr=0.1, retain_share=1.0, temperature=2.0)

    torch.testing.assert_close(done.moves["head.weight"], -0.1 * wrong.T @ h / 2 / 8, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(done.moves["head.bias"], -0.1 * wrong.sum(0) / 2 / 8, atol=1e-6, rtol=1e-4)


def test_with_nothing_to_forget_the_teacher_is_the_student(lab):
    done = lab(n_f=0, linear=True).run(bad_teacher, epochs=2, lr=0.1)

    for move in done.moves.values():
        assert move.abs().max() < 1e-6


def test_the_forget_set_is_seen_as_the_random_network_sees_it(lab):
    bench = lab(n_f=12, n_r=24, augment=False)
    x = bench.x("forget")
    teacher = random_network(bench)(x).detach().softmax(1)

    def apart(model):
        return float((teacher * (teacher.log() - model.eval()(x).detach().log_softmax(1))).sum(1).mean())

    done = bench.run(bad_teacher, epochs=10, lr=0.05)

    assert apart(done.model) < 0.3 * apart(bench.model())


def test_labels_do_not_matter(lab, bits):
    one, two = lab(), lab()
    for name in ("forget", "retain"):
        two.data[name] = two.data[name][0], (two.y(name) + 1) % 3

    assert bits(one.run(bad_teacher, epochs=2).after, two.run(bad_teacher, epochs=2).after)


def test_rate_zero_leaves_the_weights(lab, bits):
    done = lab().run(bad_teacher, epochs=2, lr=0.0)

    assert bits(done.before, done.after)


def test_cost_is_two_teachers_and_a_student(lab):
    done = lab(n_f=8, n_r=20, batch_size=4).run(bad_teacher, epochs=3, retain_share=0.3)

    assert done.cost == (3 * 3 * (8 + 8), 3 * (8 + 8))
    assert done.ledger.reads == {"forget": 3 * 8, "retain": 3 * 8}
