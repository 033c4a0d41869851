"""Where the time of a run goes: `python tools/measure_profile.py [suite]` prints a Markdown table.

Runs the suite in an empty store, with as many cells at once as `mubench run` would, and takes the time of
each part. What the workers do at the same time is divided by their number.
"""

import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

started = time.perf_counter()

import click  # noqa: E402

from mubench.commands.request import Request, prepare  # noqa: E402
from mubench.planning.device import default_jobs  # noqa: E402
from mubench.reporting import results  # noqa: E402
from mubench.reporting.cells import cells_frame, row_histograms  # noqa: E402
from mubench.reporting.render import make_report  # noqa: E402
from mubench.running.executor import execute  # noqa: E402
from mubench.storage.store import Store  # noqa: E402

parts = {"imports of the program itself": time.perf_counter() - started}


@contextmanager
def part(name):
    """Add the time spent inside to a part."""
    before = time.perf_counter()
    yield
    parts[name] = parts.get(name, 0.0) + time.perf_counter() - before


def main(name: str) -> None:
    """Run, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        request = Request(name, store, out=Path(folder) / "out")
        with part("planning (read the suite, load the methods once, derive the keys)"):
            plan = prepare(request)
        jobs = default_jobs(plan.device, plan.suite.threads)
        with part("workers"):
            execute(plan.missing(store), store, jobs)
        manifest = results.from_plan(plan, name, {})
        with part("attacks and other metrics"):
            cells = cells_frame(manifest, store, request.catalogue.metrics)
        with part("rendering (tables and plots)"):
            report = make_report(cells, caption=manifest.title, notes=manifest.captions)
            out = Path(folder) / "out"
            results.write(manifest, report, row_histograms(manifest, store, out), out)
        whole = time.perf_counter() - started
        costs = [r.about["cost"]["seconds"] for c in plan.cells if (r := store.get(c.key))]
        with part("start of a worker"):
            command = [sys.executable, "-P", "-c", "import mubench.running.cell"]
            subprocess.run(command, check=True)
        import torch

        from mubench.running.environment import environment

        about = environment(torch.device(plan.device))
    start, workers = parts.pop("start of a worker"), parts.pop("workers")
    parts["training (originals and methods)"] = sum(costs) / jobs
    parts["start of the workers (mostly importing torch)"] = start
    parts["evaluation, records, hand-over, waiting for the last cell"] = workers - start - sum(costs) / jobs
    click.echo(
        f"{plan.suite.title}: {len(plan.rows)} rows, {len(plan.suite.seeds)} seeds, {len(costs)} cells.\n"
    )
    click.echo("| part | seconds | share |\n| :-- | --: | --: |")
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        click.echo(f"| {name} | {seconds:.1f} | {seconds / whole:.0%} |")
    click.echo(f"| whole | {whole:.1f} | 100% |\n")
    click.echo(
        f"{about['hardware']}, {jobs} cells at once with {plan.suite.threads} thread(s) each; "
        f"Python {platform.python_version()}, torch {about['torch']}; one run."
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "digits-random-50")
