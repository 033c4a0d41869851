"""Archives made by strangers: whatever is wrong with one is said in one line, and nothing of it is used."""

import json
import stat
import struct
import zipfile

import pytest
from archives import KEYS, members, tree

from mubench.errors import UsageError
from mubench.storage.archive import ABOUT, SMALL, open_archive
from mubench.storage.merge import merge
from mubench.storage.store import ARRAYS, Store

GOOD = f"records/{KEYS[0]}/record.json"


@pytest.fixture
def refused(tmp_path):
    """`refused(path, match)`: the archive is refused so, and the store and what lies around it stay."""

    def check(path, match):
        store = Store(tmp_path / "untouched" / "store")
        store.root.mkdir(parents=True)
        with pytest.raises(UsageError, match=match) as error:
            merge(open_archive(path), store)
        assert "\n" not in str(error.value)
        assert tree(tmp_path / "untouched") == {}

    return check


@pytest.fixture
def rezipped(filled, archive_of, tmp_path):
    """`rezipped(change)`: the archive of a good store, its (ZipInfo, bytes) as `change` gives them back."""

    def make(change):
        good = archive_of(members(filled()))
        with zipfile.ZipFile(good) as archive:
            parts = [(info, archive.read(info)) for info in archive.infolist()]
        bad = tmp_path / "bad.zip"
        with zipfile.ZipFile(bad, "w") as archive:
            for info, content in change(parts):
                archive.writestr(info, content, compress_type=zipfile.ZIP_DEFLATED)
        return bad

    return make


def named(name, mode=stat.S_IFREG | 0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil", "leads out of the archive"),
        (f"records/{KEYS[0]}/../../../evil", "leads out of the archive"),
        ("..\\evil", "leads out of the archive"),
        ("/etc/evil", "is an absolute path"),
        ("\\\\host\\evil", "is an absolute path"),
        ("C:/evil", "is an absolute path"),
        ("records/evil", "is no file of a record or of results"),
        (f"records/{KEYS[0]}/evil.pkl", "is no file of a record or of results"),
        (f"records/{KEYS[0].upper()}/record.json", "is no file of a record or of results"),
    ],
)
def test_names_that_lead_elsewhere(rezipped, refused, name, reason):
    refused(rezipped(lambda parts: [*parts, (named(name), b"x")]), reason)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is no ordinary file"), (stat.S_IFIFO, "is no ordinary")],
)
def test_links_and_devices(rezipped, refused, mode, reason):
    refused(
        rezipped(lambda parts: [*parts, (named(f"records/{'ef' * 32}/{ARRAYS}", mode), b"/etc/passwd")]),
        reason,
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(rezipped, refused):
    refused(rezipped(lambda parts: [*parts, (named(GOOD), b"{}")]), "is in it twice")


def test_a_file_that_is_not_in_its_list(rezipped, refused):
    refused(rezipped(lambda parts: parts[1:]), "is not both in it and in its archive.json")
    more = named("records/" + "ef" * 32 + "/record.json")
    refused_more = rezipped(lambda parts: [*parts, (more, b"{}")])
    with pytest.raises(UsageError, match=r"is not both in it and in its archive\.json"):
        open_archive(refused_more)


@pytest.mark.parametrize("place", [0, 10, -1])
def test_one_byte_that_was_changed(rezipped, refused, place):
    def change(parts):
        content = bytearray(parts[1][1])
        content[place] ^= 1
        return [parts[0], (parts[1][0], bytes(content)), *parts[2:]]

    refused(rezipped(change), "does not match its digest; nothing of it is used")


def test_one_byte_changed_in_the_file_itself(filled, archive_of, refused):
    path = archive_of(members(filled()))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)

    refused(path, "archive .*archive.zip: ")


def test_a_bomb_that_says_so(rezipped, refused):
    def change(parts):
        return [(named(f"records/{KEYS[0]}/{ARRAYS}"), bytes(SMALL + 1)), *parts[2:]]

    refused(rezipped(change), r"its [\d,]+ bytes unpack to 67,\d+,\d+, which no records do")


def test_a_bomb_that_lies_about_its_size(filled, archive_of, tmp_path, refused):
    """The list and the directory say 3 bytes, the packed data hold a megabyte."""
    name = f"records/{KEYS[0]}/{ARRAYS}"
    path = archive_of([(name, bytes(1 << 20))])
    small = tmp_path / "small.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(small, "w") as lying:
        about = json.loads(archive.read(ABOUT))
        about["files"][name][0] = 3
        lying.writestr(archive.getinfo(name), archive.read(name), zipfile.ZIP_DEFLATED)
        lying.writestr(ABOUT, json.dumps(about))
    data = bytearray(small.read_bytes())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = data.index(signature) + offset
        assert struct.unpack_from("<I", data, at) == (1 << 20,)
        struct.pack_into("<I", data, at, 3)
    small.write_bytes(data)

    refused(small, "Bad CRC-32|does not match its digest")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "archive.json: "),
        (b"[" * 100_000, "archive.json: "),
        (b"{}", "archive.json: .* is in it|archive.json: mubench: Field required"),
        (b'{"mubench": "0", "numerics": 1, "files": {}, "evil": 1}', "archive.json: evil: Extra inputs"),
        (b'{"format": 2, "mubench": "0", "numerics": 1, "files": {}}', "archive.json: format: "),
    ],
)
def test_a_list_that_is_none(rezipped, refused, content, reason):
    refused(rezipped(lambda parts: [*parts[:-1], (named(ABOUT), content)]), reason)


def test_what_is_no_archive(tmp_path, refused):
    (tmp_path / "text.zip").write_text("hello")
    refused(tmp_path / "text.zip", "archive .*text.zip: File is not a zip file; nothing of it is used")
    for path, reason in ((tmp_path / "none", "there is no such file"), (tmp_path, "it is not a file")):
        with pytest.raises(UsageError, match=reason):
            open_archive(path)


def test_an_encrypted_member(filled, archive_of, refused):
    path = archive_of(members(filled()))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)

    refused(path, "is encrypted")


def test_the_same_content_makes_the_same_bytes(filled, archive_of):
    made = [archive_of(members(filled()), name).read_bytes() for name in ("one.zip", "two.zip")]

    assert made[0] == made[1]


def test_a_file_that_cannot_be_written_leaves_nothing(filled, archive_of, tmp_path):
    with pytest.raises(UsageError, match=r"archive .*no/archive.zip: cannot be written: No such file"):
        archive_of(members(filled()), "no/archive.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["store"]
