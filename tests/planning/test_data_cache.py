"""Decoded once, by one run, and never taken for other data than they are."""

import io
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning import plan as harness
from mubench.planning.data_cache import load_dataset
from mubench.running.executor import execute
from mubench.storage.store import Store

DATASETS = Catalogue().datasets


@pytest.fixture
def tree(tmp_path):
    """Two classes of twenty training and four test images, 8x8; the brightness says which class."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 4)):
        for k, name in enumerate(("ant", "bee")):
            folder = tmp_path / "own" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(120 * k, 120 * k + 100, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return tmp_path / "own"


def spoil(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def suite_of(tree):
    return f"""
        dataset = "folder"
        data = {{ root = "{tree}", padding = 1 }}
    """


# of an int64 the lowest byte: still a label, of another class
@pytest.mark.parametrize(("part", "at"), [("labels", -8), ("test", -1)])
def test_no_split_is_drawn_from_damaged_labels(tree, tmp_path, capsys, part, at):
    cache = tmp_path / "cache"
    first = load_dataset(DATASETS["folder"], {"root": str(tree)}, cache)
    (file,) = cache.glob(f"folder-*/{part}.npy")
    spoil(file, at)

    again = load_dataset(DATASETS["folder"], {"root": str(tree)}, cache)

    assert "the cached labels do not match their digest; set aside" in capsys.readouterr().err
    assert np.array_equal(getattr(again.raw, part), getattr(first.raw, part))
    assert again.digest == first.digest


@pytest.mark.parametrize("part", ["images.npy", "labels.npy", "about.json"])
def test_an_emptied_file_of_the_cache_is_set_aside(tree, tmp_path, capsys, part):
    good = load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path / "cache")
    next((tmp_path / "cache").glob(f"*/{part}")).write_bytes(b"")
    again = load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path / "cache")

    assert again.digest == good.digest
    assert "set aside" in capsys.readouterr().err


def test_damage_is_seen_every_time(tree, tmp_path):
    cache = tmp_path / "cache"
    first = load_dataset(DATASETS["folder"], {"root": str(tree)}, cache)
    pixels = np.array(first.raw.images)

    for times in (1, 2):
        (images,) = cache.glob("folder-????????????????/images.npy")
        spoil(images)
        again = load_dataset(DATASETS["folder"], {"root": str(tree)}, cache, verify=True)
        assert np.array_equal(again.raw.images, pixels)
        assert len(list(cache.glob("*.bad-*"))) == times


def test_images_changed_after_planning_are_not_recorded_as_the_planned_ones(bench, home, tree):
    plan = bench(suite_of(tree), dry=True)
    Image.new("L", (8, 8), 255).save(tree / "train" / "ant" / "00.png")
    store = Store(home / "store")

    outcomes = execute(plan.missing(store), store, 0)

    assert {o.status for o in outcomes} == {"failed"}
    assert all("the data have changed since this run was planned" in o.reason for o in outcomes)
    assert len(plan.missing(store)) == len(plan.cells)


def test_a_class_of_one_image_is_named(bench, tree):
    for file in sorted((tree / "train" / "bee").iterdir())[1:]:
        file.unlink()

    with pytest.raises(
        UsageError, match=r"class 1 \(bee\) has 1 training images; a validation share of 10 %"
    ):
        bench(suite_of(tree), dry=True)


@pytest.mark.parametrize("split", ["clean", "salun-legacy"])
def test_every_class_in_turn_reads_the_data_once(bench, tree, monkeypatch, split):
    calls = []
    real = harness.load_dataset
    monkeypatch.setattr(harness, "load_dataset", lambda *a, **o: calls.append(a) or real(*a, **o))

    plan = bench(
        suite_of(tree)
        + f'''
        split = "{split}"
        forget = {{ scenario = "class", class = "all" }}''',
        dry=True,
    )

    assert [b.label for b in plan.blocks] == ["ant", "bee"]
    assert len(calls) == 1


def test_forgetting_by_a_file_of_indices_forgets_these_images(bench, tree, tmp_path):
    from mubench.planning.splits import make_split

    raw = load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path / "cache").raw
    train, _, _ = make_split(raw.labels, raw.test, 10.0)
    chosen = [int(train[3]), int(train[-1])]
    file = tmp_path / "forget.txt"
    file.write_text("\n".join(map(str, chosen)))

    plan = bench(
        suite_of(tree)
        + f'''
        forget = {{ scenario = "indices", file = "{file}" }}''',
        dry=True,
    )

    assert plan.blocks[0].splits[0].forget.tolist() == chosen
    names = [
        f for part in ("train", "test") for c in ("ant", "bee") for f in sorted((tree / part / c).iterdir())
    ]
    for index in chosen:
        with Image.open(names[index]) as image:
            assert np.array_equal(plan.dataset.raw.images[index, 0], np.asarray(image))


def test_a_forget_set_changed_after_planning_is_not_recorded_as_the_planned_one(bench, home, tree):
    file, store = home / "forget.txt", Store(home / "store")
    plan = bench(suite_of(tree), dry=True)
    first, second, *_ = plan.blocks[0].splits[0].train.tolist()
    file.write_text(f"{first}\n")
    suite = (
        suite_of(tree)
        + f"""
        forget = {{ scenario = "indices", file = "{file}" }}"""
    )
    plan = bench(suite, dry=True)
    file.write_text(f"{second}\n")

    outcomes = {o.cell.stream: o for o in execute(plan.missing(store), store, 0)}

    assert outcomes["original"].status == "ok"
    assert "the images to forget have changed since this run was planned" in outcomes["unlearn"].reason


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_decoding_shows_progress_on_a_terminal_only(tree, tmp_path, monkeypatch):
    shown = {}
    for name, stream in (("terminal", Terminal()), ("file", io.StringIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path / name)
        shown[name] = stream.getvalue()

    assert "decoding images" in shown["terminal"]
    assert shown["file"] == ""


def test_what_is_decoded_is_read_without_torch(tree, tmp_path):
    load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path)
    load_dataset(DATASETS["digits"], {}, tmp_path)
    code = f"""if True:
        import sys
        from pathlib import Path
        from mubench.planning.data_cache import load_dataset
        from mubench.discovery.find import Catalogue
        datasets = Catalogue().datasets
        load_dataset(datasets["folder"], {{"root": {str(tree)!r}}}, Path({str(tmp_path)!r}))
        load_dataset(datasets["digits"], {{}}, Path({str(tmp_path)!r}))
        print([m for m in ("torch", "torchvision", "sklearn", "scipy") if m in sys.modules])
    """

    said = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert said.strip() == "[]"


def test_a_dataset_that_returns_something_else_is_refused_in_one_line(tmp_path, plugin_file):
    path = plugin_file(
        '''
        import numpy as np
        from mubench import Raw, dataset

        @dataset("wrong")
        def wrong():
            """Images as floats."""
            return Raw(np.zeros((4, 1, 8, 8)), np.arange(4) % 2, np.arange(4) > 1, ("a", "b"))
        ''',
        head="",
    )

    with pytest.raises(UsageError, match=r"dataset 'wrong': images must be \(n, C, H, W\) uint8") as caught:
        load_dataset(Catalogue([path]).datasets["wrong"], {}, tmp_path)
    assert "\n" not in str(caught.value)


def _load(root, cache, barrier, replies):
    from mubench.datasets import folder

    opened, real = [], folder._open
    folder._open = lambda path, *rest: opened.append(path) or real(path, *rest)
    barrier.wait()
    replies.put((len(opened), load_dataset(DATASETS["folder"], {"root": root}, cache).digest, len(opened)))


def test_of_two_runs_at_once_one_decodes(tree, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(2), context.Queue()
    runs = [
        context.Process(target=_load, args=(str(tree), tmp_path / "cache", barrier, replies))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    found = [replies.get(timeout=60) for _ in runs]
    for run in runs:
        run.join()

    assert len({digest for _, digest, _ in found}) == 1
    # one opens every image, and the first twice: for its size
    assert sorted(opened for *_, opened in found) == [0, 49]
