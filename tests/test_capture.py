"""Recorded steps: the same updates and the same counts as steps run one by one."""

import warnings
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mubench import capture
from mubench.capture import EAGER_STEPS, PATIENCE, Recording, Replayer, baked
from mubench.ledger import Ledger
from mubench.suite import Recipe
from mubench.training import Step, cross_entropy_loss

CPU = torch.device("cpu")
STRENGTH, TABLE = 0.5, [1.0]


class Replayed:
    """What a CUDA graph does, on the CPU: the recorded work again, on the static inputs."""

    def __init__(self, work, inputs, loss):
        self.work, self.inputs, self.loss = work, inputs, loss

    def replay(self):
        self.loss.copy_(self.work(self.inputs))


class Recorder:
    def __init__(self):
        self.made = 0

    def __call__(self, work, batch, ledger, pool):
        self.made += 1
        inputs = [t.clone() for t in batch]
        loss = torch.zeros(())

        def uncounted(tensors):
            before = ledger.forward
            result = work(tensors)
            ledger.forward = before
            return result

        return Recording(Replayed(uncounted, inputs, loss), inputs, loss, len(batch[0]), 0)


def replayer(record, facts=lambda: ()):
    ledger, weight = Ledger(), torch.ones(())

    def work(batch):
        ledger.forward += len(batch[0])
        weight.mul_(2).add_(batch[0].sum())
        return weight.clone()

    return Replayer(work, ledger, facts, record), ledger


def test_replays_do_and_count_what_the_steps_would():
    record = Recorder()
    steps, ledger = replayer(record)
    batches = [torch.full((3 if i % 2 else 4,), float(i)) for i in range(20)]

    losses = [float(steps([b])) for b in batches]

    weight, expected = 1.0, []
    for b in batches:
        weight = 2 * weight + float(b.sum())
        expected.append(weight)
    assert losses == expected
    assert ledger.forward == sum(map(len, batches))
    assert record.made == 2


def test_a_loss_is_a_tensor_of_its_own():
    steps, _ = replayer(Recorder())
    losses = [steps([torch.ones(2)]) for _ in range(EAGER_STEPS + 3)]

    assert len({float(loss) for loss in losses}) == len(losses)


def test_another_fact_is_recorded_anew():
    record, fact = Recorder(), [0]
    steps, _ = replayer(record, lambda: fact[0])
    for value in (0, 1):
        fact[0] = value
        for _ in range(EAGER_STEPS + 2):
            steps([torch.ones(2)])

    assert record.made == 2


@pytest.fixture
def clean(monkeypatch):
    monkeypatch.setattr(capture, "_clean", True)


def test_what_cannot_be_recorded_runs_as_it_is(clean):
    def refuse(*_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    steps, ledger = replayer(refuse)
    with pytest.warns(UserWarning, match="operation not permitted when stream is capturing$"):
        losses = [float(steps([torch.zeros(1)])) for _ in range(EAGER_STEPS + 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.append(float(steps([torch.zeros(1)])))

    assert losses == [2.0 ** (i + 1) for i in range(EAGER_STEPS + 2)]
    assert ledger.forward == EAGER_STEPS + 2


def test_after_a_recording_that_failed_the_process_records_no_more(clean):
    def refuse(*_):
        raise RuntimeError

    first, record = replayer(refuse)[0], Recorder()
    with pytest.warns(UserWarning, match="RuntimeError$"):
        assert len([first([torch.zeros(1)]) for _ in range(EAGER_STEPS + 1)]) == EAGER_STEPS + 1
    later, _ = replayer(record)
    losses = [float(later([torch.zeros(1)])) for _ in range(EAGER_STEPS + 3)]

    assert record.made == 0
    assert losses == [2.0 ** (i + 1) for i in range(EAGER_STEPS + 3)]


def test_a_loss_that_holds_a_list_is_not_recorded(clean):
    held, record = [1.0], Recorder()
    steps, _ = replayer(record, lambda: baked(lambda m, x: m(x) * held[0], CPU))
    with pytest.warns(UserWarning, match="its loss holds a list"):
        losses = [float(steps([torch.zeros(1)])) for _ in range(EAGER_STEPS + 2)]
    other, _ = replayer(record)
    for _ in range(EAGER_STEPS + 2):
        other([torch.ones(2)])

    assert losses == [2.0 ** (i + 1) for i in range(EAGER_STEPS + 2)]
    assert record.made == 1


def test_running_out_of_memory_is_not_hidden():
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    steps, _ = replayer(full)
    for _ in range(EAGER_STEPS):
        steps([torch.zeros(1)])
    with pytest.raises(torch.OutOfMemoryError):
        steps([torch.zeros(1)])


def test_what_a_recording_bakes_in_is_seen_to_change():
    weight, temperature, other = 0.5, torch.ones(2), torch.ones(2)
    teacher = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()

    def inner(x):
        return x * weight

    def loss(model, x, scale=2.0):
        return inner(x) / temperature + teacher(x) * scale

    names = [baked(loss, CPU)]

    def changed():
        names.append(baked(loss, CPU))
        return names[-1] != names[-2]

    assert not changed()
    weight = 0.25
    assert changed()
    temperature = other
    assert changed()
    teacher[1].train()
    assert changed()
    teacher[0].weight.requires_grad_(False)
    assert changed()
    teacher[0].weight.data = torch.zeros(2, 2)
    assert changed()
    with torch.no_grad():
        teacher[0].weight.add_(1)  # a recording reads the values anew
        temperature.add_(1)
    assert not changed()
    assert baked(cross_entropy_loss, CPU) == baked(cross_entropy_loss, CPU)


def test_a_function_that_holds_itself_is_no_endless_search():
    def loss(model, x):
        return loss if x is None else model(x)

    assert baked(loss, CPU) == baked(loss, CPU)


@pytest.mark.parametrize("held", [[1], {"a": 1}, {1}, Ledger(), partial(max, 1)])
def test_what_may_change_unseen_is_refused(held):
    with pytest.raises(TypeError, match=f"its loss holds a {type(held).__name__}"):
        baked(lambda m, x: held, CPU)


def test_globals_are_baked_in_too(monkeypatch):
    def inner(x):
        return x * STRENGTH

    def loss(model, x):
        return [inner(row) for row in x]

    first = baked(loss, CPU)
    monkeypatch.setitem(globals(), "STRENGTH", 0.25)

    assert baked(loss, CPU) != first
    with pytest.raises(TypeError, match="its loss holds a list"):
        baked(lambda m, x: sum(TABLE) * x, CPU)


def test_a_number_that_is_not_on_the_device_is_not_recorded():
    """A kernel gets it by value: a recording would never see another one."""
    elsewhere = torch.ones((), device="meta")
    with pytest.raises(TypeError, match="a tensor on meta"):
        baked(lambda m, x: x * elsewhere, CPU)


def test_a_batch_with_a_plain_number_runs_as_it_is(clean):
    record = Recorder()
    steps = Replayer(lambda batch: batch[0] * batch[1], Ledger(), record=record)
    with pytest.warns(UserWarning, match="its batch holds something that is no tensor"):
        losses = [float(steps([torch.ones(()), i])) for i in range(EAGER_STEPS + 3)]

    assert losses == list(range(EAGER_STEPS + 3))
    assert record.made == 0


def test_a_loss_that_is_another_at_every_step_is_let_go(clean):
    kept = []

    def facts():
        target = torch.zeros(1)
        kept.append(weakref.ref(target))
        return baked(lambda m, x: x + target, CPU)

    steps, _ = replayer(Recorder(), facts)
    with pytest.warns(UserWarning, match="another at every step"):
        assert len([steps([torch.zeros(1)]) for _ in range(PATIENCE + 3)]) == PATIENCE + 3

    assert len(kept) > PATIENCE
    assert not any(reference() is not None for reference in kept)


def test_the_losses_of_every_method_can_be_recorded(monkeypatch):
    """On a tiny model: no loss of theirs holds what would keep a step from being recorded."""
    from mubench import registry
    from mubench.forecast import rehearse

    losses = []
    made = Step.__init__

    def spy(self, model, loss, *rest, **options):
        losses.append(loss)
        made(self, model, loss, *rest, **options)

    monkeypatch.setattr(Step, "__init__", spy)
    setting = SimpleNamespace(recipe=Recipe(epochs=1, milestones=[]), batch_size=8)
    for card in registry.load(()).methods.values():
        cell = SimpleNamespace(card=card, setting=setting, parameters=card.bind({}, ""))
        assert rehearse(cell, {"forget": 12, "retain": 20}, 3) is not None, card.name

    assert len(losses) >= 12
    assert all(baked(loss, CPU) is not None for loss in losses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_steps_on_a_gpu_agree_with_the_cpu():
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)).double()

    x = torch.rand(30, 3, 2, 2, dtype=torch.float64)
    y = torch.arange(30) % 3
    models = {"cpu": net(), "cuda": net().cuda()}
    for device, model in models.items():
        step = Step(model, cross_entropy_loss, 0.1, schedule=lambda i: 0.9**i)
        for i in range(12):
            rows = slice(0, 30 if i % 2 else 29)
            step(x[rows].to(device), y[rows].to(device))
    for a, b in zip(models["cpu"].parameters(), models["cuda"].parameters(), strict=True):
        assert torch.allclose(a, b.cpu(), atol=1e-9)
