"""Does torch.compile pay on this machine? Prints the table of docs/performance.md.

    python tools/measure_compile.py resnet8 resnet18 --batch-size 64 --seconds 5

Training steps of each model with its backbone as it is and compiled, in turn, and what compiling costs.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator

import click
import torch

from mubench.api.training import Step, cross_entropy_loss
from mubench.discovery.find import Catalogue
from mubench.running.speed import Workload, rates


def steps(work: Workload, compiled: bool) -> Iterator[int]:
    """Train on one batch over and over; yields the number of samples."""
    model = work.network("fp32", channels_last=True)
    if compiled:
        model.backbone.compile()
    step = Step(model, cross_entropy_loss, 1e-3)
    x = work.images()[: work.batch_size].float().div_(255)
    y = torch.arange(len(x), device=work.device) % work.classes
    while True:
        step(x, y)
        yield len(x)


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--batch-size", default=64)
@click.option("--threads", default=torch.get_num_threads())
@click.option("--seconds", default=5.0, help="Length of each of five turns.")
def main(models: tuple[str, ...], batch_size: int, threads: int, seconds: float) -> None:
    """Measure each of the MODELS on synthetic 3x32x32 images."""
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    click.echo("| model | as it is, samples/s | compiled | ratio | first compiled step |")
    click.echo("| :-- | --: | --: | --: | --: |")
    for model in models:
        spec = Catalogue().models.find(model)
        work = Workload(spec, (3, 32, 32), 10, batch_size, 0, False, device, threads)
        loops = {"eager": steps(work, False), "compiled": steps(work, True)}
        start = time.perf_counter()
        next(loops["compiled"])
        work.synchronise()
        first = time.perf_counter() - start
        found = rates(work, loops, rounds=5, seconds=seconds)
        eager, fast = found["eager"], found["compiled"]
        click.echo(f"| {model} | {eager:.1f} | {fast:.1f} | {fast / eager:.2f}x | {first:.1f} s |")
    where = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    click.echo(f"\n{where}, batch {batch_size}, {threads} thread(s), torch {torch.__version__}, fp32;")
    click.echo("medians of five turns.")


if __name__ == "__main__":
    main()
