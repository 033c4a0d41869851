"""What a store says of itself: each kind counted, sized and checked, and nothing changed."""

import pytest
from archives import KEYS, about, outputs, tree

from mubench.storage.files import save_json
from mubench.storage.inventory import KINDS, check, size_of, take_stock
from mubench.storage.store import ABOUT, ARRAYS, WEIGHTS, Store


@pytest.fixture
def store(filled):
    """Two records of methods, an original, and something of most kinds."""
    store = filled(keys=KEYS[:2])
    store.put(KEYS[2], about(method=None), {}, {"w": outputs()["logits.val"]})
    store.put_failure("ef" * 32, "it broke")
    store.save_json("metrics", "ef" * 32, [1.5])
    store.save_text("suites", "mine.toml", "title")
    (store.root / "logs").mkdir(exist_ok=True)
    (store.root / "logs" / f"{KEYS[0]}.log").write_bytes(bytes(1234))
    (store.root / "records" / ".ab00-1.tmp").mkdir()
    (store.root / "jobs" / "ab00").mkdir(parents=True)
    (store.root / "README").write_text("mine")
    return store


def test_every_kind_is_counted_and_sized(store):
    stock = take_stock(store.root)

    counts = {name: len(kind.paths) for name, kind in stock.items() if name != "locks"}
    assert counts == {
        "records": 2,
        "originals": 1,
        "metrics": 1,
        "logs": 1,
        "failures": 1,
        "suites": 1,
        "unfinished": 2,
        "other": 1,
    }
    assert stock["logs"].size == 1234
    assert stock["records"].size == sum(
        p.stat().st_size for k in KEYS[:2] for p in store.folder(k).iterdir() if p.is_file()
    )
    assert list(stock) == [name for name in KINDS if name in stock]
    assert take_stock(store.root / "nowhere") == {}


@pytest.mark.parametrize("name", [ABOUT, ARRAYS, WEIGHTS])
def test_a_changed_byte_is_found_and_left_where_it_is(store, name):
    record = store.folder(KEYS[2] if name == WEIGHTS else KEYS[0])
    data = bytearray((record / name).read_bytes())
    data[-20] ^= 1
    (record / name).write_bytes(data)
    before, stock = tree(store.root), take_stock(store.root)

    check(stock, {})

    kind = "originals" if name == WEIGHTS else "records"
    assert {n: list(of.damaged) for n, of in stock.items() if of.damaged} == {kind: [record]}
    assert tree(store.root) == before


def test_a_whole_store_is_whole_and_what_has_no_digest_is_not_checked(store):
    stock = take_stock(store.root)
    check(stock, {})

    assert [name for name, of in stock.items() if of.checked] == [
        "records",
        "originals",
        "metrics",
        "failures",
    ]
    assert not any(of.damaged for of in stock.values())


def test_a_record_in_the_place_of_another(store):
    store.folder(KEYS[0]).rename(store.folder("ef" * 32).parent.parent / KEYS[0][:2] / ("ab" + "9" * 62))
    stock = take_stock(store.root)
    check(stock, {})

    assert list(stock["records"].damaged.values()) == ["record.json is of another record"]


def test_values_and_further_kinds_are_checked(store):
    save_json(store.root / "metrics" / f"{KEYS[1]}.json", 1.5)
    damaged = store.root / "metrics" / f"{KEYS[1]}.json"
    damaged.write_text(damaged.read_text(encoding="utf-8").replace("1.5", "2.5"), encoding="utf-8")
    stock, sizes = take_stock(store.root), []

    def refuse(path):
        raise ValueError(f"{path.stem} is wrong")

    check(stock, {"suites": refuse}, sizes.append)

    assert stock["metrics"].damaged == {damaged: "it does not match its digest"}
    assert list(stock["suites"].damaged.values()) == ["mine is wrong"]
    assert sum(sizes) == sum(of.size for of in stock.values() if of.checked)


def test_a_link_counts_as_itself(tmp_path):
    (tmp_path / "large").write_bytes(bytes(5000))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "large")
    (tmp_path / "folder" / "circle").symlink_to(tmp_path)

    assert size_of(tmp_path / "folder") < 1000


def test_what_a_living_process_holds(store):
    from mubench.storage.holding import held

    mine = Store(store.root)
    mine.hold(KEYS[:2])
    assert held(store.root) == set(KEYS[:2])

    del mine
    assert held(store.root) == set()
    assert list((store.root / "running").iterdir()) == []
