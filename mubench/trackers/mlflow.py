"""MLflow: a run per cell, on the server or in the file that MLflow's own settings name."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Any

from mubench.api.tracker import TrackedCell, tracker
from mubench.errors import need_package

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# What MLflow takes in one request, and the longest value of a parameter or a tag.
BATCH, LONGEST = 1000, 5000
KEY = "mubench.key"


@tracker("mlflow")
class Mlflow:
    """A run per cell in MLflow: parameters, metrics, series, environment.

    Where: $MLFLOW_TRACKING_URI, or mlflow.db in the working folder. The experiment is
    $MLFLOW_EXPERIMENT_NAME, or the suite's name.
    """

    def __init__(self, suite: str) -> None:
        """UsageError if MLflow is not installed; nothing is connected yet."""
        need_package("mlflow", "--track mlflow", "mlflow")
        self._suite = suite
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._runs: dict[tuple[str, str], Run] = {}

    def log(self, cell: TrackedCell) -> None:
        """Write the cell as a run, or bring the one that it has up to date."""
        client = self._client or self._connect()
        run = self._runs.get((cell.key, cell.name))
        if run is not None and run.data.metrics.items() >= _metrics(cell).items():
            return
        now = int(time.time() * 1000)
        made = run or client.create_run(self._experiment, start_time=now, run_name=cell.name)
        for batch in _batches(cell, now):
            client.log_batch(made.info.run_id, **batch)
        client.set_terminated(made.info.run_id, "FINISHED" if cell.status == "ok" else "FAILED")

    def _connect(self) -> MlflowClient:
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells how it makes its tables
        client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"))
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", self._suite)
        known = client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else client.create_experiment(name)
        token: str | None = ""
        while token is not None:
            found = client.search_runs([self._experiment], max_results=BATCH, page_token=token or None)
            for run in found:
                self._runs[run.data.tags.get(KEY, ""), run.info.run_name] = run
            token = found.token or None
        self._client = client
        return client


def _metrics(cell: TrackedCell) -> dict[str, float]:
    """The metrics by names that MLflow takes."""
    return {re.sub(r"[^\w\-. /:]", "_", name): value for name, value in cell.metrics.items()}


def _batches(cell: TrackedCell, now: int) -> list[dict[str, Any]]:
    """The arguments of each `log_batch`: tags and parameters, the metrics, then the series."""
    from mlflow.entities import Metric, Param, RunTag

    facts: dict[str, Any] = {"suite": cell.suite, "row": cell.row, "role": cell.role, "class": cell.label}
    facts |= {"seed": cell.seed, "status": cell.status, "reason": cell.reason, "key": cell.key}
    facts |= {f"environment.{name}": value for name, value in cell.environment.items()}
    tags = [RunTag(f"mubench.{k}", str(v)[:LONGEST]) for k, v in facts.items() if v not in ("", None)]
    params = [Param(name, str(value)[:LONGEST]) for name, value in cell.parameters.items()]
    points = [Metric(name, value, now, 0) for name, value in _metrics(cell).items()]
    for name, values in cell.series.items():
        clean = re.sub(r"[^\w\-. /:]", "_", name)
        points += [Metric(clean, value, now, step) for step, value in enumerate(values)]
    parts = [points[i : i + BATCH] for i in range(0, len(points), BATCH)]
    return [{"tags": tags, "params": params}, *({"metrics": part} for part in parts)]
