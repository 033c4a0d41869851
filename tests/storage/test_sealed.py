"""Tables that hold the digest of their own text."""

import hashlib
import json

import pytest
from archives import KEYS

from mubench.storage.files import key_of, sealed, unsealed
from mubench.storage.store import ABOUT

KEY = KEYS[0]


TABLES = [{"value": [{"ua": 1.5}]}, {"a": {"sealed": "no"}, "b": 'ü ", "sealed": "', "c": [1, None]}]
# Half of a surrogate pair, as in the name of a file that is not UTF-8; more than 64 bits; many levels.
ODD = [{"a": "\udc80"}, {"a": 1 << 200, "b": -0.0, "c": 5e-324}, {"a": json.loads("[" * 300 + "]" * 300)}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("table", TABLES + ODD)
def test_a_seal_is_the_digest_of_the_text_before_it(table, indent):
    data = sealed(table, indent)

    whole = json.loads(data)
    text = data[: data.rindex(b', "sealed"')]
    assert whole == {**table, "sealed": hashlib.sha256(text).hexdigest()}
    assert json.loads(text + b"}") == table
    assert unsealed(data) == table


@pytest.mark.parametrize("table", TABLES)
def test_whatever_is_changed_in_a_sealed_table_is_noticed(table):
    data = sealed(table)

    for i in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            unsealed(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        with pytest.raises(ValueError, match=r"."):
            unsealed(data[:i])
    with pytest.raises(ValueError, match="nothing does not match its digest"):
        unsealed(json.dumps(table).encode(), "nothing")


def test_what_earlier_versions_wrote_is_read(filled):
    """They wrote the `key_of` the rest, or of a value, in place of the seal."""
    store = filled(keys=[KEY])
    record = store.folder(KEY) / ABOUT
    said = json.loads(record.read_bytes())
    del said["sealed"]
    record.write_text(json.dumps({**said, "sha256": key_of(said)}, indent=1), encoding="utf-8")
    file = store.root / "metrics" / f"{KEY}.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"value": [1.5], "sha256": key_of([1.5])}), encoding="utf-8")

    assert store.get(KEY).about == said
    assert store.cached_json("metrics", KEY) == [1.5]
    file.write_text(json.dumps({"value": [2.5], "sha256": key_of([1.5])}), encoding="utf-8")
    assert store.cached_json("metrics", KEY) is None
    record.write_text(json.dumps({**said, "sha256": key_of([])}), encoding="utf-8")
    assert store.get(KEY) is None
