"""All that a report shows, read from a folder of results and from what the store still has of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mubench.api.method import MethodSpec
from mubench.api.outputs import Outputs
from mubench.planning.rows import Status
from mubench.reporting.histograms import Histograms
from mubench.reporting.manifest import Manifest, ManifestRow
from mubench.reporting.render import Report
from mubench.reporting.report.feature_map import PARTS, Clouds, clouds
from mubench.storage.store import Store


@dataclass(frozen=True)
class Material:
    """What the page is made of.

    methods: the method behind each row, where it is installed. map: the feature clouds, or why there are
    none. machines: what is known of the machines and versions, each once. pictures: SVG files of plots/ by
    name, as data URIs.
    """

    manifest: Manifest
    report: Report
    histograms: Histograms
    methods: Mapping[str, MethodSpec]
    map: Clouds | str
    machines: list[dict[str, str]]
    pictures: Mapping[str, str]


def gather(
    manifest: Manifest,
    report: Report,
    histograms: Histograms,
    store: Store,
    methods: Mapping[str, MethodSpec],
    folder: Path,
) -> Material:
    """Read what the page needs besides the numbers; methods: those installed, by their own names."""
    return Material(
        manifest,
        report,
        histograms,
        _methods(manifest, store, methods),
        _feature_map(manifest, store),
        _machines(report.environments),
        _pictures(folder / "plots"),
    )


def _methods(manifest: Manifest, store: Store, known: Mapping[str, MethodSpec]) -> dict[str, MethodSpec]:
    """Row -> its method: as its record says, else as the suite does, else the one of its name or role."""
    by_role = {spec.role.value: name for name, spec in known.items() if spec.role != "method"}
    bases = _bases(manifest)
    found = {}
    for row in next(iter(manifest.blocks.values())):
        records = (store.get(key, arrays=False) for key in row.keys.values())
        record = next(filter(None, records), None)
        name = record.about["method"] if record else bases.get(row.name, row.name)
        if name not in known and row.role in ("reference", "floor"):
            name = by_role.get("reference", "")
        if name in known:
            found[row.name] = known[name]
    return found


def extra(manifest: Manifest, name: str) -> Any:
    """What else the manifest says under this name; an empty table where it says nothing.

    Only what mubench reads back is checked when a manifest is read: this can be anything.
    """
    return (manifest.model_extra or {}).get(name) or {}


def _bases(manifest: Manifest) -> dict[str, str]:
    """The base of each variant of the suite."""
    resolved = extra(manifest, "resolved")
    variants = resolved.get("variants") if isinstance(resolved, dict) else None
    return {
        v["name"]: v["base"]
        for v in (variants if isinstance(variants, list) else [])
        if isinstance(v, dict) and isinstance(v.get("name"), str) and isinstance(v.get("base"), str)
    }


def _feature_map(manifest: Manifest, store: Store) -> Clouds | str:
    """The clouds of the first seed at which the reference has features."""
    if manifest.classes:
        return "It is not drawn where every class is forgotten in turn."
    reference = next(row for row in manifest.rows if row.role == "reference")
    present = False
    for seed in reference.keys:
        target = _outputs(reference, seed, store)
        present = present or target is not None
        if target is None or not set(PARTS) <= set(target.features):
            continue
        outputs = {row.name: _outputs(row, seed, store) for row in manifest.rows}
        found = clouds(seed, {n: o for n, o in outputs.items() if o is not None}, reference.name)
        if found is not None:
            return found
    if present:
        return f"The records of {reference.name} hold no penultimate features of forget and retain images."
    return (
        f"It needs the stored features, and the store holds no record of {reference.name}: run the suite "
        "again, or make this report where it was run."
    )


def _outputs(row: ManifestRow, seed: int, store: Store) -> Outputs | None:
    key = row.keys.get(seed)
    record = store.get(key) if key else None
    return record.outputs() if record else None


def _machines(environments: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The environments of the records, each once and in the order of the table."""
    told = ({str(k): str(v) for k, v in e.items() if v is not None} for e in environments)
    return list({repr(facts): facts for facts in told}.values())


def _pictures(folder: Path) -> dict[str, str]:
    """The SVG files as data URIs: shown as images, in which no script runs and nothing is loaded."""
    return {
        path.stem: "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.glob("*.svg"))
        if path.is_file()
    }


def failures(material: Material) -> list[tuple[str, str, str, str]]:
    """(class or "", row, seed or "", status and reason) of every cell and row without numbers."""
    cells = material.report.summary.cells
    bad = cells[cells["status"] != Status.OK]
    labels = bad["class"] if "class" in bad else [""] * len(bad)
    return [
        (str(label), str(row), "" if seed != seed else f"{int(seed)}", f"{status}. {reason}")
        for label, row, seed, status, reason in zip(
            labels, bad["method"], bad["seed"].astype(float), bad["status"], bad["reason"], strict=True
        )
    ]
