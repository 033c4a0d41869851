"""A task small enough to check by hand: 8 x 8 images, 3 classes, a model of one convolution."""

from dataclasses import dataclass, field
from functools import cache

import pytest
import torch
from helpers import weights
from torch import nn

from mubench import Step, cross_entropy_loss
from mubench.api.classifier import Classifier, initialise
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation
from mubench.api.recipe import Recipe
from mubench.planning.cell import Own
from mubench.running.own import OwnTraining, count_into, trained_alone
from mubench.running.task import generator, make_task, streams

CLASSES = 3


SEEDS = streams(0, "lab")


def blank(stream, linear=False):
    """A model with weights from `stream`: a convolution with BatchNorm, or a single linear layer."""
    layers = [nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(4)]
    backbone = nn.Sequential(*([] if linear else layers), nn.Flatten())
    model = Classifier(backbone, 64 if linear else 24, CLASSES, torch.tensor([0.5]), torch.tensor([0.3]))
    initialise(model, generator(SEEDS(stream)))
    return model


def drawn(stream, n):
    """n images (uint8) whose brightness tells their class, and their labels."""
    labels = torch.arange(n) % CLASSES
    noise = torch.randint(0, 120, (n, 1, 8, 8), generator=generator(SEEDS(stream)))
    return (noise + 60 * labels[:, None, None, None]).to(torch.uint8), labels


@cache
def trained(stream, linear):
    model = blank(stream, linear)
    fit = Step(model, cross_entropy_loss, 0.05)
    images, labels = drawn("training", 24)
    for _ in range(20):
        fit(images / 255, labels)
    return model.state_dict()


@dataclass
class Run:
    """What a method left behind: weights and buffers before and after, its cost, its notes."""

    model: nn.Module
    before: dict
    after: dict
    buffers_before: dict
    buffers_after: dict
    ledger: Ledger
    notes: dict

    @property
    def moves(self):
        """theta_u - theta_o by parameter."""
        return {n: self.after[n] - self.before[n] for n in self.before}

    @property
    def cost(self):
        return self.ledger.forward, self.ledger.backward


@dataclass
class Lab:
    """Sets of chosen sizes, and the method run on them; everything else comes from named streams."""

    n_f: int = 6
    n_r: int = 15
    batch_size: int = 4
    augment: bool = True
    linear: bool = False
    n_val: int = 9
    original: str = "original"
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=2, milestones=[1]))

    def __post_init__(self):
        counts = {"forget": self.n_f, "retain": self.n_r, "val": self.n_val}
        self.data = {name: drawn(name, n) for name, n in counts.items()}
        numbers = torch.arange(sum(counts.values()))
        self.ids = dict(zip(counts, numbers.split([*counts.values()]), strict=True))

    def x(self, name):
        """A set's images as a method gets them without augmentation."""
        return self.data[name][0].float().div(255)

    def y(self, name):
        return self.data[name][1]

    def model(self):
        """theta_o: what a short training leaves."""
        model = blank(self.original, self.linear)
        model.load_state_dict(trained(self.original, self.linear))
        return model.train()

    def own_original(self, function, *sets, **parameters):
        """What the function that `original=` names makes of these sets together; streams as a method's."""
        spec = function.__mubench__[0]
        data = {"train": tuple(torch.cat(parts) for parts in zip(*(self.data[s] for s in sets), strict=True))}
        ids = {"train": torch.cat([self.ids[s] for s in sets])}
        task = self.task(trained_alone(spec), Ledger(), data=data, ids=ids, called={"train": "retain"})
        return OwnTraining(function, Own.of(spec, spec.bind(parameters, "")), task)()

    def task(self, spec, ledger, **changed):
        return make_task(
            spec,
            changed.pop("data", self.data),
            SEEDS,
            lambda number: blank(f"fresh {number}" if number else "fresh", self.linear),
            num_classes=CLASSES,
            device=torch.device("cpu"),
            batch_size=self.batch_size,
            augmentation=Augmentation(1, True) if self.augment else Augmentation(),
            recipe=self.recipe,
            ledger=ledger,
            **{"ids": self.ids, **changed},
        )

    def run(self, function, *, like=None, model=None, **parameters):
        """`function` with its defaults over which `parameters` lie; `like`: the method that declares it."""
        spec = (like or function).__mubench__[0]
        model, ledger = model or self.model(), Ledger()
        count_into(model, ledger)
        task = self.task(spec, ledger)
        before, buffers = weights(model), state(model.named_buffers())
        if like is None:
            parameters = spec.bind(parameters, spec.name)
        result = function(model, task, **parameters) or model
        used = Ledger(dict(ledger.reads), ledger.forward, ledger.backward)
        return Run(result, before, weights(result), buffers, state(result.named_buffers()), used, task.notes)

    def loss(self, model, name):
        """Mean CE over a set in eval mode."""
        with torch.no_grad():
            return float(cross_entropy_loss(model.eval(), self.x(name), self.y(name)))


def state(named):
    return {n: t.detach().clone() for n, t in named}


def same(one, two):
    """Whether two states hold the same names and bit-identical values."""
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


def flat(named):
    return torch.cat([t.flatten() for t in named.values()])


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small models are slower on more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def lab():
    """`lab(n_f=6, n_r=15, batch_size=4, augment=True, linear=False)` -> a Lab."""
    return Lab


@pytest.fixture
def bits():
    """`bits(one, two)`: two states are bit-identical."""
    return same


@pytest.fixture
def vector():
    """`vector(state)`: all its values in one vector."""
    return flat


@pytest.fixture
def gradient():
    """`gradient(model, loss, *batch)`: by parameter, of a batch in train mode."""

    def of(model, loss, *batch):
        model.train()
        named = dict(model.named_parameters())
        found = torch.autograd.grad(loss(model, *batch), list(named.values()), materialize_grads=True)
        return dict(zip(named, found, strict=True))

    return of


@pytest.fixture
def count_steps(monkeypatch):
    """`count_steps(module)` -> a list that gets one entry for each update by the module's Step."""

    def watch(module):
        done = []

        class Counted(Step):
            def __call__(self, *batch):
                done.append(len(batch[0]))
                return super().__call__(*batch)

        monkeypatch.setattr(module, "Step", Counted)
        return done

    return watch
