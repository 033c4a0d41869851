"""Pictures beside the table, drawn only when what they show has changed.

matplotlib is imported when there is something to draw: a run whose pictures stand is quick.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mubench.reporting.classes import ClassSummary
from mubench.reporting.histograms import Histograms
from mubench.reporting.parallel import on_all_cores
from mubench.reporting.plots.shown import Shown, Width
from mubench.reporting.summary import Summary
from mubench.storage.files import read_folder, write_atomic, write_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLASS_SOURCES = ("draw", "heat", "shown", "style")
_DIGEST = ".digest"


def draw(summary: Summary, histograms: Histograms, folder: Path, width: Width = "screen") -> list[Path]:
    """PNG, SVG and PDF of every picture that these numbers allow; returns their paths.

    Nothing is drawn if the folder already holds these pictures. Pictures of an earlier call that these
    numbers do not allow are removed; the confidences stay as they were where a row's histograms are
    missing. Other files are left alone.
    """
    shown = Shown.of(summary, histograms)
    keep = "" if set(shown.scores) == set(shown.rows.index) or shown.rows.empty else "confidence"
    return _refresh(folder, f"{shown.digest()} {width}", lambda: _pictures(shown, width), keep)


def draw_classes(summary: ClassSummary, folder: Path, width: Width = "screen") -> list[Path]:
    """The same for a table of many classes."""
    sha = hashlib.sha256(version("matplotlib").encode())
    for module in _CLASS_SOURCES:
        sha.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    sha.update(f"{summary.mean.reference}\n{summary.numbers.to_csv()}".encode())
    digest = f"{sha.hexdigest()} {width}"
    return _refresh(folder, digest, lambda: _class_pictures(summary, width))


def draw_if_new(
    folder: Path, sources: Iterable[Path], text: str, pictures: Mapping[str, Callable[[], Figure | None]]
) -> list[Path]:
    """PNG, SVG and PDF of pictures by name, unless the folder holds those of this text; their paths.

    text: the numbers that decide them. sources: the files whose code does.
    """
    sha = hashlib.sha256(version("matplotlib").encode())
    for source in (Path(__file__), *sources):
        sha.update(source.read_bytes())
    sha.update(text.encode())
    return _refresh(folder, sha.hexdigest(), lambda: _encoded(pictures, "screen"))


def _refresh(
    folder: Path, digest: str, pictures: Callable[[], dict[str, bytes]], keep: str = ""
) -> list[Path]:
    """Draw anew only what has another digest than the pictures that are there.

    keep: the picture that is left as it is if the folder holds it.
    """
    memo = folder / _DIGEST
    before, names = _remembered(memo)
    made = [folder / name for name in names]
    if before == digest and all(path.exists() for path in made):
        return made
    # A kill half-way must not leave the old digest beside new pictures.
    memo.unlink(missing_ok=True)
    files = pictures()
    kept = [path.name for path in made if keep and path.stem == keep and path.exists()]
    files = {name: data for name, data in files.items() if name not in kept}
    for name, data in files.items():
        write_atomic(folder / name, data)
    for path in made:
        if path.name not in (*files, *kept):
            path.unlink(missing_ok=True)
    names = [*files, *kept]
    write_atomic(memo, json.dumps({"digest": digest, "files": names}, indent=1).encode())
    return [folder / name for name in names]


def _remembered(memo: Path) -> tuple[str, list[str]]:
    """The digest and the files of the last drawing; nothing where none is whole."""
    try:
        past = json.loads(memo.read_text())
        return str(past["digest"]), [Path(name).name for name in past["files"]]
    except (OSError, ValueError, TypeError, KeyError):
        return "", []


def _pictures(shown: Shown, width: Width) -> dict[str, bytes]:
    from mubench.reporting.plots import bars, confidence, scatter

    pictures = {
        "avg_gap": bars.avg_gap,
        "forget_vs_utility": scatter.forget_vs_utility,
        "cost_vs_gap": scatter.cost_vs_gap,
        "confidence": confidence.confidence,
    }
    return _encoded({name: partial(picture, shown) for name, picture in pictures.items()}, width)


def _class_pictures(summary: ClassSummary, width: Width) -> dict[str, bytes]:
    from mubench.reporting.plots import heat

    return _encoded({"gap_by_class": partial(heat.gap_by_class, summary)}, width)


def _encoded(pictures: Mapping[str, Callable[[], Figure | None]], width: Width) -> dict[str, bytes]:
    """PNG, SVG and PDF of the pictures that have something to show."""
    from mubench.reporting.plots import style

    def files(name: str) -> dict[str, bytes]:
        figure = pictures[name]()
        return {} if figure is None else style.encoded(figure, name)

    found: dict[str, bytes] = {}
    with style.style(width), TemporaryDirectory() as place:
        on_all_cores(lambda name: write_folder(Path(place) / name, files(name)), [*pictures])
        for name in pictures:
            made = Path(place) / name
            found |= read_folder(made) if made.is_dir() else files(name)
    order = [f"{name}.{ending}" for name in pictures for ending in style.ENDINGS]
    return {name: found[name] for name in order if name in found}
