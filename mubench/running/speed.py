"""How fast this machine trains a model: the ways mubench can train it, a plain loop, and the ceiling.

The loops take turns, round after round, on the same synthetic images, so that a machine that changes
its speed meanwhile changes it for all; the ceilings are measured right after them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mubench.api.classifier import Classifier
from mubench.api.cost import Ledger
from mubench.api.images import Augmentation, ImageSet
from mubench.api.model import ModelSpec
from mubench.api.training import Step, cross_entropy_loss
from mubench.discovery.models import build
from mubench.running.bench import COMPILE_MODE

# Batches of synthetic images: enough that an epoch is not one batch.
BATCHES = 4
# A matrix product of this size keeps every core and every tensor unit busy.
MATRIX = {"cpu": 2048, "cuda": 8192}
PLAIN = "plain loop"


@dataclass(frozen=True)
class Workload:
    """What is trained: a model on images of `shape` (C, H, W), in batches, on a device."""

    model: ModelSpec
    shape: tuple[int, int, int]
    classes: int
    batch_size: int
    padding: int
    flip: bool
    device: str
    threads: int

    def images(self) -> Tensor:
        """Synthetic images (n, C, H, W) uint8 on the device."""
        rng = torch.Generator().manual_seed(0)
        many = torch.randint(256, (BATCHES * self.batch_size, *self.shape), generator=rng, dtype=torch.uint8)
        return many.to(self.device)

    def network(self, precision: str, channels_last: bool) -> Classifier:
        """The model in train mode, set up for a precision and a memory layout."""
        flat = torch.full((self.shape[0],), 0.5)
        model = build(self.model, self.classes, flat, flat, torch.Generator().manual_seed(0))
        model.channels_last = channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        model = model.to(self.device).to(memory_format=layout)
        if precision == "bf16":
            model.autocast = torch.bfloat16
        return model.train()

    def synchronise(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def ours(work: Workload, precision: str, channels_last: bool = True, compiled: bool = False) -> Iterator[int]:
    """Train as a suite does; yields the number of samples after each step."""
    images = work.images()
    labels = torch.arange(len(images), device=work.device) % work.classes
    data = ImageSet(
        "train",
        images,
        labels,
        batch_size=work.batch_size,
        augmentation=Augmentation(work.padding, work.flip),
        order_rng=torch.Generator().manual_seed(0),
        augmentation_rng=torch.Generator(work.device).manual_seed(0),
        ledger=Ledger(),
    )
    model = work.network(precision, channels_last)
    if compiled:
        model.backbone.compile(mode=COMPILE_MODE)
    step = Step(model, cross_entropy_loss, 1e-3)
    for x, y in data.cycle():
        step(x, y)
        yield len(y)


class _Pictures(Dataset[tuple[Tensor, int]]):
    def __init__(self, work: Workload) -> None:
        from PIL import Image
        from torchvision import transforms

        arrays = work.images().cpu().permute(0, 2, 3, 1).numpy()
        self._pictures = [Image.fromarray(a if a.shape[2] > 1 else a[:, :, 0]) for a in arrays]
        crop = [transforms.RandomCrop(work.shape[1:], padding=work.padding)] if work.padding else []
        flip = [transforms.RandomHorizontalFlip()] if work.flip else []
        self._transform = transforms.Compose([*crop, *flip, transforms.ToTensor()])
        self._classes = work.classes

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self._transform(self._pictures[i]), i % self._classes


def plain(work: Workload) -> Iterator[int]:
    """Train as public unlearning code does: PIL transforms, a DataLoader without workers, fp32, NCHW."""
    loader = DataLoader(_Pictures(work), batch_size=work.batch_size, shuffle=True)
    model = work.network("fp32", channels_last=False)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    while True:
        for x, y in loader:
            x, y = x.to(work.device), y.to(work.device)
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield len(y)


def products(work: Workload, precision: str) -> Iterator[int]:
    """Multiply square matrices; yields the floating-point operations of each product."""
    size = MATRIX[work.device]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.rand(size, size, device=work.device).to(kind)
    out = torch.empty_like(a)
    # convolutions in fp32 may use TF32, by default: a ceiling without it would be too low
    usual = torch.backends.cuda.matmul.allow_tf32
    while True:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
        torch.mm(a, a, out=out)
        torch.backends.cuda.matmul.allow_tf32 = usual
        yield 2 * size**3


def training_flops(work: Workload) -> float:
    """Floating-point operations of convolutions and products, forward and backward, for one sample."""
    from torch.utils.flop_counter import FlopCounterMode

    model = work.network("fp32", channels_last=False).to("cpu")
    x, y = torch.rand(2, *work.shape), torch.zeros(2, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        cross_entropy_loss(model, x, y).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / 2


def rates(
    work: Workload,
    loops: Mapping[str, Iterator[int]],
    *,
    rounds: int = 3,
    seconds: float = 1.0,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Units a second of each loop: the median of `rounds` turns, each of at least `seconds`.

    A turn ends with the first step after its time; what the first steps set up is not counted.
    """
    torch.set_num_threads(work.threads)
    torch.backends.cudnn.benchmark = True  # as in a run
    measured: dict[str, list[float]] = {name: [] for name in loops}
    for name, loop in loops.items():
        report(f"warming up {name}")
        for _ in range(5 if work.device == "cuda" else 1):
            next(loop)
    for turn in range(rounds):
        for name, loop in loops.items():
            report(f"{name}, {turn + 1} of {rounds}")
            work.synchronise()
            start, done = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                for _ in range(20 if work.device == "cuda" else 1):  # no synchronisation inside
                    done += next(loop)
                work.synchronise()
            measured[name].append(done / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in measured.items()}


def has_bf16(device: str) -> bool:
    """Whether the hardware computes in bf16."""
    from mubench.planning.device import resolve_precision

    return resolve_precision("auto", device) == "bf16"


def compare(
    work: Workload,
    precision: str,
    compiled: bool = False,
    *,
    rounds: int,
    seconds: float,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Samples a second of each way to train, and `speedup`: the suite's own way over the plain loop.

    compiled: whether the suite compiles the backbone; the first step, which does so, does not count.
    """
    kinds = ["fp32", *(["bf16"] if has_bf16(work.device) or precision == "bf16" else [])]
    loops = {PLAIN: plain(work)}
    for kind in kinds:
        loops[f"{kind}, NCHW"] = ours(work, kind, channels_last=False)
        loops[f"{kind}, channels_last"] = ours(work, kind)
    own = f"{precision}, channels_last"
    if compiled:
        own += ", compiled"
        loops[own] = ours(work, precision, compiled=True)
    found = rates(work, loops, rounds=rounds, seconds=seconds, report=report)
    tops = rates(
        work,
        {k: products(work, k) for k in kinds},
        rounds=rounds,
        seconds=min(seconds, 1.0),
        report=lambda k: report(f"matrix products, {k}"),
    )
    flops = training_flops(work)
    return {
        "samples_per_second": found,
        "own": own,
        "speedup": found[own] / found[PLAIN],
        "training_flops_per_sample": flops,
        "matmul_flops_per_second": tops,
        "ceiling_samples_per_second": {k: v / flops for k, v in tops.items()},
        "share_of_ceiling": found[own] * flops / tops[precision],
        "rounds": rounds,
    }
