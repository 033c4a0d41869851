"""Images of one's own: pixels as they are in the files, and a clear word for every tree that is not right."""

import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mubench.datasets.folder import FORMATS
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.data_cache import load_dataset

DATASETS = Catalogue().datasets


def picture(path, value, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def tree(tmp_path):
    """Two classes, three training and one test image of each; the colour says which."""
    top = tmp_path / "own"
    for k, name in enumerate(("ant", "bee")):
        for i in range(3):
            picture(top / "train" / name / f"{i}.png", (10 * i, 100 * k, 7))
        picture(top / "test" / name / "0.png", (99, 100 * k, 7))
    return top


@pytest.fixture
def load(tree, tmp_path):
    return lambda **options: load_dataset(
        DATASETS["folder"], {"root": str(tree), **options}, tmp_path / "cache"
    )


def colour_of_16_bits():
    """A PNG of 6x6 pixels with 16 bits per channel, which Pillow cannot write."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = 6 * (b"\0" + struct.pack(">3H", 40_000, 300, 7) * 6)
    header = struct.pack(">IIBBBBB", 6, 6, 16, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def refusal(load, **options):
    with pytest.raises(UsageError) as caught:
        load(**options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_pixels_labels_and_parts_are_those_of_the_tree(load):
    raw = load().raw

    assert raw.classes == ("ant", "bee")
    assert raw.images.shape == (8, 3, 6, 6)
    assert raw.images[:, :, 2, 3].tolist() == [
        *([10 * i, 100 * k, 7] for k in (0, 1) for i in range(3)),
        [99, 0, 7],
        [99, 100, 7],
    ]
    assert raw.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert raw.test.tolist() == [False] * 6 + [True] * 2
    assert (raw.padding, raw.flip) == (4, True)


def test_options_set_the_augmentation_and_the_name(load):
    data = load(padding=1, flip=False, name="ants and bees")

    assert (data.raw.padding, data.raw.flip, data.title) == (1, False, "ants and bees")


def test_a_second_load_decodes_nothing(load, monkeypatch):
    first = load()
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("decoded again"))

    assert load().digest == first.digest


def test_a_changed_file_is_seen_and_another_place_is_the_same_data(load, tree, tmp_path):
    first = load().digest
    shutil.copytree(tree, tmp_path / "copy")
    copied = load_dataset(DATASETS["folder"], {"root": str(tmp_path / "copy")}, tmp_path / "cache")
    picture(tree / "train" / "ant" / "0.png", (11, 0, 7))

    assert copied.digest == first
    assert load().digest != first


def test_a_damaged_cache_is_set_aside_and_decoded_anew(load, tmp_path, capsys):
    first = load()
    (cached,) = (tmp_path / "cache").glob("folder-*/images.npy")
    data = bytearray(cached.read_bytes())
    data[-1] ^= 1
    cached.write_bytes(data)

    again = load_dataset(DATASETS["folder"], {"root": str(tmp_path / "own")}, tmp_path / "cache", verify=True)

    assert "do not match their digest; set aside" in capsys.readouterr().err
    assert np.array_equal(again.raw.images, first.raw.images[:])
    assert len(list((tmp_path / "cache").glob("folder-*.bad-*"))) == 1


def test_a_relative_root_lies_in_the_data_root_or_the_working_directory(tree, tmp_path, monkeypatch):
    direct = load_dataset(DATASETS["folder"], {"root": str(tree)}, tmp_path / "a").digest
    monkeypatch.setenv("MUBENCH_DATA", str(tmp_path))
    assert load_dataset(DATASETS["folder"], {"root": "own"}, tmp_path / "b").digest == direct
    monkeypatch.setenv("MUBENCH_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    assert load_dataset(DATASETS["folder"], {"root": "own"}, tmp_path / "c").digest == direct


def test_unequal_sizes_are_refused_or_brought_to_one(load, tree):
    odd = tree / "train" / "bee" / "0.png"
    picture(odd, (0, 0, 0), size=(5, 6))

    assert f"{odd}: 5x6 pixels, but" in refusal(load)
    assert "data.resize" in refusal(load)
    assert load(resize=8).raw.images.shape == (8, 3, 8, 8)


def test_grey_among_colour_is_refused_or_converted(load, tree):
    odd = tree / "train" / "bee" / "1.png"
    picture(odd, 40, mode="L")

    assert refusal(load).startswith(f"{odd}: a grey image among colour ones")
    assert load(channels=3).raw.images[4, :, 0, 0].tolist() == [40, 40, 40]
    assert load(channels=1).raw.images.shape == (8, 1, 6, 6)


def test_colour_among_grey_is_refused(load, tree):
    picture(tree / "train" / "ant" / "0.png", 40, mode="L")

    assert refusal(load).startswith(f"{tree / 'train' / 'ant' / '1.png'}: a colour image among grey ones")


def test_truncated_and_foreign_files_are_named(load, tree):
    broken = tree / "test" / "bee" / "0.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(broken)
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    assert refusal(load).startswith(f"{broken}: the image cannot be read: ")

    broken.write_bytes(b"not a picture")
    assert refusal(load) == f"{broken}: this is not an image of the kinds {', '.join(FORMATS)}"


@pytest.mark.parametrize("kind", ["EPS", "PCX"])
def test_a_kind_that_is_not_named_is_not_opened(load, tree, monkeypatch, kind):
    """EPS would start Ghostscript, whatever the file is called."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("started Ghostscript"))
    odd = tree / "test" / "bee" / "0.png"
    with odd.open("wb") as file:
        Image.new("RGB", (6, 6)).save(file, kind)

    assert "this is not an image of the kinds PNG, JPEG" in refusal(load)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_among_the_images_is_not_waited_for(load, tree):
    pipe = tree / "train" / "ant" / "pipe.png"
    os.mkfifo(pipe)

    assert refusal(load) == f"{pipe}: the image cannot be read: not an ordinary file"


def test_what_is_no_file_of_eight_bits_is_named(load, tree):
    deep = tree / "train" / "ant" / "0.png"
    Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(deep)
    assert refusal(load).startswith(f"{deep}: more than 8 bits per channel (I;16")

    deep.write_bytes(colour_of_16_bits())
    assert refusal(load).startswith(f"{deep}: more than 8 bits per channel (RGB;16")

    deep.unlink()
    deep.symlink_to(tree / "nowhere.png")
    assert refusal(load) == f"{deep}: the image cannot be read: No such file or directory"


def test_a_bitmap_packed_in_16_bits_has_fewer_than_eight_a_channel(load, tree):
    """Red, green and blue in 5, 6 and 5 bits: white everywhere."""
    pixels, masks = b"\xff" * 6 * 6 * 2, struct.pack("<3I", 0xF800, 0x07E0, 0x001F)
    info = struct.pack("<IiiHHIIiiII", 40, 6, 6, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    start = 14 + len(info) + len(masks)
    for old in (tree / "train" / "ant").iterdir():
        old.unlink()
    header = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    for i in range(12):
        (tree / "train" / "ant" / f"{i}.bmp").write_bytes(header + info + masks + pixels)

    raw = load(channels=3).raw

    assert (raw.images[(raw.labels == 0) & ~raw.test] == 255).all()


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names are Unicode here")
def test_a_name_that_cannot_be_printed_is_shown_escaped(load, tree):
    Path(os.fsdecode(os.fsencode(tree) + b"/train/ant/\xff.png")).write_bytes(b"x")

    assert refusal(load) == f"{tree / 'train' / 'ant'}: the name '\\udcff.png' is not UTF-8; rename it"


def test_images_beyond_the_memory_are_refused_before_they_are_made(load, monkeypatch):
    monkeypatch.setattr(Image.Image, "resize", lambda *_: pytest.fail("made one"))

    assert "images of 1000000x1000000 pixels take" in refusal(load, resize=1_000_000)


def test_what_file_managers_leave_is_no_image(load, tree):
    for name in (".DS_Store", "Thumbs.db"):
        (tree / "train" / "ant" / name).write_bytes(b"x")

    assert len(load().raw.labels) == 8


def test_a_tree_that_is_not_right(load, tree, tmp_path):
    (tree / "test" / "cow").mkdir()
    (tree / "train" / "doe").mkdir()
    assert refusal(load).endswith("not have the same classes; only in train: doe; only in test: cow")
    (tree / "train" / "doe").rmdir()
    (tree / "test" / "cow").rmdir()

    (tree / "test" / "bee" / "0.png").unlink()
    assert refusal(load) == f"{tree / 'test' / 'bee'}: the class folder is empty"

    shutil.rmtree(tree / "test")
    assert refusal(load).startswith(f"{tree / 'test'}: there is no such folder")
    assert refusal(load, root=str(tmp_path / "none")).startswith(
        f"{tmp_path / 'none' / 'train'}: there is no"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": 2}, "channels is 1 or 3"),
        ({"resize": 0}, "resize at least 1"),
        ({"resize": "32"}, "dataset 'folder': resize = '32' is not int | None"),
        ({"resize": True}, "dataset 'folder': resize = True is not int | None"),
        ({"flip": "no"}, "dataset 'folder': flip = 'no' is not bool"),
        ({"padding": 1.5}, "dataset 'folder': padding = 1.5 is not int"),
        ({"root": 5}, "dataset 'folder': root = 5 is not str"),
        ({"rezise": 8}, "unknown option 'rezise'. Did you mean 'resize'?"),
        ({"train_per_class": 0}, "data.train_per_class must be a whole number above 0, got 0"),
        ({"train_per_class": 9}, "data.train_per_class = 9: class 0 (ant) has only 3 train images"),
    ],
)
def test_wrong_options(load, options, said):
    assert said in refusal(load, **options)


def test_the_root_cannot_be_left_out(tmp_path):
    with pytest.raises(UsageError, match=r"the option 'root' is missing; write data\.root"):
        load_dataset(DATASETS["folder"], {}, tmp_path)


def test_a_subset_has_so_many_of_each_class_and_lies_in_a_larger_one(load):
    one, two = load(train_per_class=1), load(train_per_class=2)
    pixels = {name: {image.tobytes() for image in d.raw.images} for name, d in (("1", one), ("2", two))}

    assert one.raw.labels.tolist() == [0, 1, 0, 1]
    assert one.raw.test.tolist() == [False, False, True, True]
    assert pixels["1"] < pixels["2"]
    assert len({one.digest, two.digest, load().digest}) == 3
    assert one.title.endswith(", only 1 train images of each class")
