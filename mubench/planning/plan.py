"""Plans the cells of a suite: which rows, which seeds, what decides each outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mubench.api.dataset import DatasetSpec
from mubench.api.method import MethodSpec, Role
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError, error_context
from mubench.planning.cell import Cell, DataSetting, Own, Setting, Stream, again
from mubench.planning.data_cache import Dataset, load_dataset
from mubench.planning.device import check_compile, processor, resolve_device, resolve_precision
from mubench.planning.keys import method_facts, original_facts
from mubench.planning.rows import Status, TableRow, table_rows
from mubench.planning.splits import Split, forget_indices, make_partition
from mubench.planning.suite import EVERY, MEAN, ClassForget, Forget, Suite
from mubench.storage.files import key_of
from mubench.storage.store import Record, Store


@dataclass(frozen=True)
class Block:
    """The rows of one table and the split of each seed.

    label: "", or the class that is forgotten where every class is forgotten in turn.
    """

    label: str
    rows: list[TableRow]
    splits: dict[int, Split]


@dataclass(frozen=True)
class Plan:
    """All rows of a suite, in one block or one per class, and every cell they need, originals first."""

    suite: Suite
    dataset: Dataset
    device: str
    precision: str
    blocks: list[Block]
    cells: list[Cell]

    @property
    def rows(self) -> list[TableRow]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]

    def missing(self, store: Store, alone: bool = False, arrays: bool = True) -> list[Cell]:
        """The cells still to run; an original only if a cell that is missing needs it.

        alone: those that shared the machine while they were timed count as missing too. arrays: see
        `Store.get`; without them a record whose arrays are damaged is not found out.
        """
        present = store.present()

        def record_of(cell: Cell) -> Record | None:
            return store.get(cell.key, arrays=arrays) if cell.key in present else None

        def open_(cell: Cell) -> bool:
            record = record_of(cell)
            return record is None or (alone and record.about["cost"]["shared"])

        absent = [c for c in self.cells if c.spec is not None and open_(c)]
        needed = {c.original for c in absent if c.original}
        originals = [c for c in self.cells if c.spec is None and c.key in needed and record_of(c) is None]
        return [*originals, *((replace(c, alone=True) for c in absent) if alone else absent)]


def _load(spec: DatasetSpec, suite: Suite, store: Store) -> Dataset:
    try:
        return load_dataset(spec, suite.data, store.root / "data")
    except OSError as error:
        error.filename = error.filename or str(store.root / "data")
        raise


def forget_sets(forget: Forget, classes: tuple[str, ...]) -> dict[str, Forget]:
    """Block's label -> what it forgets: one class each for `class = "all"`, else one block without label.

    Raises UsageError for every class in turn of a dataset that has only one.
    """
    if not isinstance(forget, ClassForget) or forget.target != EVERY:
        return {"": forget}
    if len(classes) < 2:
        raise UsageError(
            f'forget.class = "{EVERY}" needs at least two classes; the dataset has {len(classes)}'
        )
    # two classes of one name must not become one block of the table, nor one the block of the mean
    labels = [n if classes.count(n) == 1 and n != MEAN else f"{n} ({k})" for k, n in enumerate(classes)]
    return {label: forget.model_copy(update={"target": k}) for k, label in enumerate(labels)}


def make_plan(
    suite: Suite, catalogue: Catalogue, store: Store, device: str = "auto", where: str = "suite"
) -> Plan:
    """Check everything the suite asks for and derive the key of every cell.

    Raises UsageError, naming `where`, for unknown names, wrong parameters or impossible forget sets.
    """
    with error_context(where):
        model = catalogue.models.find(suite.model)
        data = catalogue.datasets.find(suite.dataset)
    device = resolve_device(device)
    if suite.compile:
        with error_context(where):
            check_compile(device)
    precision = resolve_precision(suite.precision, device)
    rows = table_rows(suite, catalogue, where)
    with error_context(where):
        dataset = _load(data, suite, store)
        labels, classes = dataset.raw.labels, dataset.raw.classes
        partition = make_partition(suite.split, labels, dataset.raw.test, suite.val_percent, classes)
        forget_by_label = forget_sets(suite.forget, classes)
        splits = {
            (label, seed): Split(partition, *forget_indices(forget, partition.train, labels, classes, seed))
            for label, forget in forget_by_label.items()
            for seed in suite.seeds
        }
    setting = Setting(
        data=DataSetting(data, suite.data, dataset.digest, suite.split, suite.val_percent),
        model=model,
        recipe=suite.original,
        batch_size=suite.batch_size,
        forget=suite.forget,
        threads=suite.threads,
        precision=precision,
        device=device,
        timeout=suite.timeout,
        compile=suite.compile,
    )
    machine = processor(device)

    def originals(own: Own | None = None) -> dict[int, Cell]:
        """Seed -> the cell that trains the original; own: of whose kind, if not the usual one."""
        facts = {seed: original_facts(setting, partition, machine, seed, own) for seed in suite.seeds}
        return {s: Cell(key_of(f), setting, s, Stream.ORIGINAL, own=own) for s, f in facts.items()}

    usual = originals()
    cells = {cell.key: cell for cell in usual.values()}
    further = [row.name for row, _ in rows if row.role == "floor"]
    streams = {name: again(number) for number, name in enumerate(further, 1)}
    blocks = []
    for label, forget in forget_by_label.items():
        of_block = replace(setting, forget=forget)
        of_seed = {seed: splits[label, seed] for seed in suite.seeds}
        table: list[TableRow] = []
        for row, spec in rows:
            if spec is None:
                table.append(row)
            elif reason := row.composition.why_not(row.own.spec if row.own else spec, forget.scenario):
                table.append(replace(row, status=Status.SKIPPED, reason=reason))
            else:
                start = originals(row.own) if row.own else usual
                stream = Stream.RETRAIN if row.name == row.target else streams.get(row.name, Stream.UNLEARN)
                made = _cells(row, spec, stream, of_block, of_seed, start)
                for cell in (*start.values(), *made.values()):
                    cells.setdefault(cell.key, cell)
                table.append(replace(row, keys={seed: cell.key for seed, cell in made.items()}))
        blocks.append(Block(label, table, of_seed))
    return Plan(suite, dataset, device, precision, blocks, list(cells.values()))


def _cells(
    row: TableRow,
    spec: MethodSpec,
    stream: str,
    setting: Setting,
    splits: Mapping[int, Split],
    originals: Mapping[int, Cell],
) -> dict[int, Cell]:
    """Seed -> the row's cell, whose random streams are called `stream`."""
    cells = {}
    for seed, split in splits.items():
        start = originals[seed].key
        facts = method_facts(start, split, spec, row.parameters, seed, stream, row.composition)
        key = key_of(facts)
        needed = "" if spec.role is Role.REFERENCE else start
        cells[seed] = Cell(
            *(key, setting, seed, stream, spec, row.parameters, needed, split.digest, row.composition),
            own=row.own,
        )
    return cells
