"""`mubench speed`: how fast this machine trains a suite's model."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mubench.commands.request import Request, read
from mubench.errors import error_context
from mubench.planning.data_cache import image_spec_of
from mubench.planning.device import resolve_device, resolve_precision

if TYPE_CHECKING:
    from rich.console import Console


def speed_suite(
    request: Request,
    console: Console,
    errors: Console,
    *,
    threads: int | None,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Measure how fast this machine trains the suite's model, and print it."""
    path, loaded = read(request)
    device = resolve_device(request.device)
    precision = resolve_precision(loaded.precision, device)
    with error_context(str(path)):
        model = request.catalogue.models.find(loaded.model)
        data = request.catalogue.datasets.find(loaded.dataset)
        images = image_spec_of(data, loaded.data, request.store.root / "data")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    from mubench.running import speed
    from mubench.running.environment import environment

    work = speed.Workload(
        model,
        images.shape,
        images.classes,
        loaded.batch_size,
        images.padding,
        images.flip,
        device,
        threads or cores,
    )
    with errors.status("measuring") as status:
        found = speed.compare(work, precision, rounds=rounds, seconds=seconds, report=status.update)
    import torch

    found = {
        "suite": request.suite,
        "model": work.model.name,
        "batch_size": work.batch_size,
        "shape": list(work.shape),
        "device": device,
        "threads": work.threads,
        **found,
        "environment": environment(torch.device(device)),
    }
    if as_json:
        console.print_json(json.dumps(found))
        return 0
    from rich.table import Table

    title = f"{work.model.name}, {path.stem}"
    grid = Table("Training loop", "Samples/s", "Against the plain loop", title=title)
    base = found["samples_per_second"][speed.PLAIN]
    for name, rate in found["samples_per_second"].items():
        mark = "  (this suite)" if name == found["own"] else ""
        grid.add_row(name + mark, f"{rate:,.1f}", f"{rate / base:.2f}x")
    for kind, rate in found["ceiling_samples_per_second"].items():
        flops = found["matmul_flops_per_second"][kind]
        grid.add_row(f"ceiling: {flops / 1e12:.3g} TFLOP/s of {kind} products", f"{rate:,.1f}", "")
    console.print(grid)
    e = found["environment"]
    console.print(
        f"speedup {found['speedup']:.2f}; {found['share_of_ceiling']:.0%} of the ceiling. Batch "
        f"{work.batch_size} of {'x'.join(map(str, work.shape))}, median of {rounds}; {e['hardware']}, "
        f"{device}, {work.threads} thread(s), torch {e['torch']}."
    )
    return 0
