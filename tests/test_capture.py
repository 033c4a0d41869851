"""Recorded steps: the same updates and the same counts as steps run one by one."""

import warnings

import pytest
import torch
from torch import nn

from mubench.capture import EAGER_STEPS, Recording, Replayer, plain_values
from mubench.ledger import Ledger
from mubench.training import Step, cross_entropy_loss


class Replayed:
    """What a CUDA graph does, on the CPU: the recorded work again, on the static inputs."""

    def __init__(self, work, inputs, loss):
        self.work, self.inputs, self.loss = work, inputs, loss

    def replay(self):
        self.loss.copy_(self.work(self.inputs))


class Recorder:
    def __init__(self):
        self.made = 0

    def __call__(self, work, batch, ledger):
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


def test_what_cannot_be_recorded_runs_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

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


def test_running_out_of_memory_is_not_hidden():
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    steps, _ = replayer(full)
    for _ in range(EAGER_STEPS):
        steps([torch.zeros(1)])
    with pytest.raises(torch.OutOfMemoryError):
        steps([torch.zeros(1)])


def test_plain_values_of_a_closure_are_found():
    weight, table, name = 0.5, {"a": 1}, "kl"

    def inner(x):
        return x * weight

    def loss(model, x):
        return inner(x), table, name

    assert set(plain_values(loss)) == {0.5, "kl"}
    weight = 0.25
    assert 0.25 in plain_values(loss)
    assert plain_values(cross_entropy_loss) == ()


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
