"""Published rows in one shape, from both forms of CSV in which they are written down.

Cells, as in `tables.csv`: a line per printed cell, with the gap printed beside it. Rows, as in
`published.csv`: a line per printed row with its citation. A file is read by what its header holds.
A mean with its standard deviation is written "5.24±0.69". Where the kind of MIA is a "share", MIA is
one of 1, not of 100.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from mubench.errors import UsageError, quote

CELLS = ("table", "dataset", "scenario", "method", "metric", "printed", "printed_gap")
ROWS = (
    *("source", "table", "dataset", "model", "forget", "method", "UA", "RA", "TA", "MIA"),
    *("mia_kind", "avg_gap", "rte_min", "note"),
)
FOUR = ("UA", "RA", "TA", "MIA")
AVG_GAP, RTE = "Avg. Gap", "RTE"
REFERENCE = "Retrain"
PAPER = "Tran and Le 2025 (WSS-CL; arXiv 2508.04308)"
_SVC = "SVC confidence"

Line = Mapping[str, str]


@dataclass(frozen=True)
class Value:
    """A printed number, and the standard deviation printed with it."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class PublishedRow:
    """One method in one published table.

    scenario: "random-10" (percent), "class-cat", or "class" for a mean over classes. forget: the same as
    the file words it. values: UA, RA, TA and MIA in percent, "Avg. Gap" in points, "RTE" in seconds, as
    far as printed. gaps: those printed beside them, in points. mia_kind: the attack that MIA and Avg.
    Gap hold. note: doubts about the row.
    """

    source: str
    table: str
    dataset: str
    model: str
    scenario: str
    forget: str
    method: str
    values: Mapping[str, Value] = field(default_factory=dict)
    gaps: Mapping[str, float] = field(default_factory=dict)
    mia_kind: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """The source as a suite names it: "salun" for "Fan et al. 2024 (SalUn, ICLR; ...)"."""
        named = re.search(r"\(([^,;)]+)", self.source)
        return (named[1] if named else self.source).strip().lower()

    @property
    def is_svc(self) -> bool:
        """Whether MIA is the SVC attack on the confidence; no other kind stands in one column with it."""
        return self.mia_kind.lower().startswith("svc")

    @property
    def block(self) -> tuple[str, ...]:
        """What rows that share a Retrain have in common."""
        return self.source, self.table, self.dataset, self.model, self.scenario


def plain(name: str) -> str:
    """A name without case and punctuation: "ResNet-18" and "resnet18" are one."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def paper_tables() -> list[PublishedRow]:
    """The five tables of the paper."""
    return _parsed(_text(_packaged("tables.csv"), "tables.csv"), "tables.csv", PAPER, "ResNet-18", _SVC)


def other_papers() -> list[PublishedRow]:
    """The rows of other papers that the package holds."""
    return _parsed(_text(_packaged("published.csv"), "published.csv"), "published.csv")


def load(path: Path) -> list[PublishedRow]:
    """The rows of a CSV of either form; UsageError naming the file, the line and what is wrong.

    A file of cells cites nothing: its source is the file's name, and its kind of MIA is not known.
    """
    return _parsed(_text(path, str(path)), str(path), path.stem)


def _packaged(name: str) -> Traversable:
    return resources.files(__package__).joinpath(name)


def _text(file: Path | Traversable, where: str) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{where}: there is no such file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: not a CSV in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror}") from None


def _parsed(
    text: str, where: str, source: str = "", model: str = "", mia_kind: str = ""
) -> list[PublishedRow]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or []
        needed = ROWS if "source" in header else CELLS
        if missing := [name for name in needed if name not in header]:
            raise UsageError(
                f"{where}: the column {missing[0]!r} is missing; needed: {', '.join(CELLS)}; "
                f"or {', '.join(ROWS)}"
            )
        lines = []
        for line in reader:
            place = f"{where}, line {reader.line_num}"
            if None in line or any(line[name] is None for name in header):
                raise UsageError(f"{place}: needs {len(header)} columns")
            lines.append((place, {name: text.strip() for name, text in line.items()}))
    except csv.Error as error:
        raise UsageError(f"{where}, line {reader.line_num + 1}: not a CSV: {error}") from None
    if needed is ROWS:
        return _whole(lines)
    return _joined(lines, PublishedRow(source, "", "", model, "", "", "", mia_kind=mia_kind))


def _whole(lines: Sequence[tuple[str, Line]]) -> list[PublishedRow]:
    """The rows of a file of rows."""
    rows: dict[tuple[str, ...], PublishedRow] = {}
    for place, line in lines:
        printed = {name: line[name] for name in FOUR} | {AVG_GAP: line["avg_gap"]}
        values = {name: value for name, text in printed.items() if (value := _value(text, place))}
        if "MIA" in values and "share" in line["mia_kind"]:  # of 1, where all else is in percent
            values["MIA"] = Value(100 * values["MIA"].mean)
        if minutes := _value(line["rte_min"], place):
            values[RTE] = Value(60 * minutes.mean)
        row = PublishedRow(
            source=line["source"],
            table=line["table"],
            dataset=line["dataset"],
            model=line["model"],
            scenario=_scenario(line["forget"]),
            forget=line["forget"],
            method=line["method"],
            values=values,
            mia_kind=line["mia_kind"],
            note=line["note"],
        )
        if (*row.block, row.method) in rows:
            raise UsageError(f"{place}: a second row of {quote(row.method)} in one table")
        rows[*row.block, row.method] = row
    return list(rows.values())


def _joined(lines: Sequence[tuple[str, Line]], empty: PublishedRow) -> list[PublishedRow]:
    """The rows of a file of cells."""
    rows: dict[tuple[str, ...], tuple[PublishedRow, dict[str, Value], dict[str, float]]] = {}
    for place, line in lines:
        row = replace(
            empty,
            table=line["table"],
            dataset=line["dataset"],
            scenario=_scenario(line["scenario"]),
            forget=line["scenario"],
            method=line["method"],
        )
        _, values, gaps = rows.setdefault((*row.block, row.method), (row, {}, {}))
        metric = line["metric"]
        if metric in values:
            raise UsageError(f"{place}: a second {metric} of {quote(row.method)} in one table")
        value = _time(line["printed"], place) if metric == RTE else _value(line["printed"], place)
        if value:
            values[metric] = value
        if gap := _value(line["printed_gap"], place):
            gaps[metric] = gap.mean
    return [replace(row, values=values, gaps=gaps) for row, values, gaps in rows.values()]


def _scenario(text: str) -> str:
    """ "random-10" for "random 10% per class"; what is not random stays as it is."""
    percent = re.match(r"random[- ](\d+(?:\.\d+)?)", text)
    return f"random-{float(percent[1]):g}" if percent else text


def _value(text: str, where: str) -> Value | None:
    """ "5.24±0.69" or "5.24"; None where nothing stands."""
    if not text:
        return None
    mean, _, sd = text.partition("±")
    return Value(_number(mean, where), _number(sd, where) if "±" in text else None)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{where}: {quote(text)} is not a number")
    return number


def _time(text: str, where: str) -> Value | None:
    """Seconds, of "minutes:seconds"."""
    if not text:
        return None
    parts = re.fullmatch(r"(\d+):([0-5]\d)", text)
    if not parts:
        raise UsageError(f"{where}: {quote(text)} is not a time in minutes:seconds")
    return Value(60.0 * int(parts[1]) + int(parts[2]))
