"""`mubench speed`: how fast this machine trains a suite's model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mubench.commands.messages import working_console
from mubench.commands.request import Request, read_suite
from mubench.errors import error_context
from mubench.planning.data_cache import image_spec_of
from mubench.planning.device import cores, resolve_device, resolve_precision

if TYPE_CHECKING:
    from rich.console import Console


def speed_suite(
    request: Request,
    console: Console,
    *,
    threads: int | None,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> int:
    """Measure how fast this machine trains the suite's model, and print it.

    threads: of the CPU, all cores if None. Each way to train gets `rounds` turns of `seconds`.
    """
    path, suite = read_suite(request)
    device = resolve_device(request.device)
    precision = resolve_precision(suite.precision, device)
    with error_context(str(path)):
        model = request.catalogue.models.find(suite.model)
        data = request.catalogue.datasets.find(suite.dataset)
        images = image_spec_of(data, suite.data, request.store.root / "data")

    from mubench.running import speed
    from mubench.running.environment import environment

    work = speed.Workload(
        model,
        images.shape,
        images.classes,
        suite.batch_size,
        images.padding,
        images.flip,
        device,
        threads or cores(),
    )
    with working_console().status("measuring") as status:
        measured = speed.compare(
            work, precision, suite.compile, rounds=rounds, seconds=seconds, report=status.update
        )
    facts = {
        "suite": request.suite,
        "model": work.model.name,
        "batch_size": work.batch_size,
        "shape": list(work.shape),
        "device": device,
        "threads": work.threads,
        **measured,
        "environment": environment(device),
    }
    if as_json:
        console.print_json(json.dumps(facts))
    else:
        _print_text(facts, request.name, speed.PLAIN, console)
    return 0


def _print_text(facts: dict[str, Any], name: str, plain: str, console: Console) -> None:
    from rich.table import Table

    grid = Table("Training loop", "Samples/s", "Against the plain loop", title=f"{facts['model']}, {name}")
    for loop, rate in facts["samples_per_second"].items():
        mark = "  (this suite)" if loop == facts["own"] else ""
        grid.add_row(loop + mark, f"{rate:,.1f}", f"{rate / facts['samples_per_second'][plain]:.2f}x")
    for kind, rate in facts["ceiling_samples_per_second"].items():
        flops = facts["matmul_flops_per_second"][kind]
        grid.add_row(f"ceiling: {flops / 1e12:.3g} TFLOP/s of {kind} products", f"{rate:,.1f}", "")
    console.print(grid)
    environment = facts["environment"]
    console.print(
        f"speedup {facts['speedup']:.2f}; {facts['share_of_ceiling']:.0%} of the ceiling. Batch "
        f"{facts['batch_size']} of {'x'.join(map(str, facts['shape']))}, median of {facts['rounds']}; "
        f"{environment['hardware']}, {facts['device']}, {facts['threads']} thread(s), "
        f"torch {environment['torch']}."
    )
