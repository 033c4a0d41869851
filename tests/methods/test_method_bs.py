"""BS: the attack stays in its box, the teacher stays as it was, the true class is avoided."""

import pytest
import torch

from mubench.methods import bs
from mubench.methods.bs import attack, boundary_shrink, nearest_classes


def whole_set(bench):
    return bench.x("forget"), bench.y("forget")


@pytest.mark.parametrize("eps", [0.0, 0.03, 0.1, 1.0])
def test_attacked_images_stay_near_and_valid(lab, eps):
    bench = lab(n_f=30)
    x, y = whole_set(bench)

    attacked = attack(bench.model().eval(), x, y, eps)

    assert (attacked - x).abs().max() <= eps + 1 / 510 + 1e-6
    assert attacked.min() >= 0
    assert attacked.max() <= 1
    torch.testing.assert_close(attacked * 255, (attacked * 255).round(), atol=1e-4, rtol=0)
    assert torch.equal(x, bench.x("forget"))


def test_attack_by_hand_on_a_linear_model(lab):
    bench = lab(n_f=30, linear=True)
    x, y = whole_set(bench)
    model = bench.model().eval()
    with torch.no_grad():
        wrong = model(x).softmax(1) - torch.eye(3)[y]
        slope = (wrong @ model.head.weight).view_as(x)

    found = attack(model, x, y, 0.1)

    expected = ((x + 0.1 * slope.sign()).clamp(0, 1) * 255).round() / 255
    torch.testing.assert_close(found, expected)
    assert (found != x).float().mean() > 0.9


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.4])
def test_nearest_wrong_class_is_never_the_true_one(lab, eps):
    bench = lab(n_f=30)
    x, y = whole_set(bench)
    teacher = bench.model().eval()

    found, wrong = nearest_classes(teacher, x, y, eps)

    logits = teacher(attack(teacher, x, y, eps))
    assert torch.equal(found, logits.argmax(1))
    assert (wrong != y).all()
    assert torch.equal(wrong[found != y], found[found != y])
    for i in torch.nonzero(found == y).flatten():
        assert wrong[i] == logits[i].argsort(descending=True)[1]


def test_attacks_with_a_larger_step_fool_the_teacher_more_often(lab):
    bench = lab(n_f=30)
    x, y = whole_set(bench)
    teacher = bench.model().eval()

    fooled = [int((nearest_classes(teacher, x, y, eps)[0] != y).sum()) for eps in (0.0, 0.4)]

    assert fooled[1] > fooled[0]


def test_teacher_is_the_original_to_the_end(lab, bits, monkeypatch):
    bench = lab()
    original = {k: v.clone() for k, v in bench.model().state_dict().items()}
    teachers = []

    def spy(teacher, *rest):
        teachers.append(teacher)
        assert not teacher.training
        return nearest_classes(teacher, *rest)

    monkeypatch.setattr(bs, "nearest_classes", spy)

    done = bench.run(boundary_shrink, epochs=3, lr=1e-2)

    assert len(teachers) == 6
    assert all(t is teachers[0] and t is not done.model for t in teachers)
    assert bits(original, teachers[0].state_dict())
    assert all(p.grad is None for p in teachers[0].parameters())
    assert not bits(done.before, done.after)


def test_success_rate_is_the_teachers_error_when_nothing_is_attacked(lab):
    bench = lab(n_f=12, augment=False)
    images, labels = bench.data["forget"]
    bench.data["forget"] = images, torch.where(torch.arange(12) < 3, (labels + 1) % 3, labels)
    wrong = bench.model().eval()(bench.x("forget")).argmax(1) != bench.y("forget")

    done = bench.run(boundary_shrink, epochs=2, eps=0.0)

    assert 0 < wrong.sum() < 12
    assert done.notes["attack_success"] == pytest.approx(float(wrong.float().mean()))


def test_failed_attacks_teach_the_true_class_only_if_it_is_not_excluded(lab):
    bench = lab(n_f=12, augment=False)
    start = bench.loss(bench.model(), "forget")
    assert bench.model().eval()(bench.x("forget")).argmax(1).eq(bench.y("forget")).all()

    excluded = bench.run(boundary_shrink, epochs=5, lr=1e-2, eps=0.0).model
    plain = bench.run(boundary_shrink, epochs=5, lr=1e-2, eps=0.0, exclude_true=False).model

    assert bench.loss(excluded, "forget") > start + 0.2
    assert bench.loss(plain, "forget") < start


def test_retain_set_is_never_touched_and_cost_holds_the_attack(lab):
    done = lab(n_f=6).run(boundary_shrink, epochs=4)

    assert boundary_shrink.__mubench__[0].sees == ("forget",)
    assert done.ledger.reads == {"forget": 24, "retain": 0}
    assert done.cost == (3 * 24, 2 * 24)
