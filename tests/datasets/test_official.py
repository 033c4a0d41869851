"""Official files: read as they are, refused when they are not what they should be, asked for when absent."""

import errno
import gzip
import hashlib
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from mubench.api.dataset import ImageSpec
from mubench.datasets import fashion_mnist, svhn
from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.data_cache import load_dataset

DATASETS = Catalogue().datasets


def idx(array):
    return (
        struct.pack(">BBBB", 0, 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}i", *array.shape)
        + array.tobytes()
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBENCH_DATA", str(tmp_path / "root"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "nowhere")
    return tmp_path / "root"


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def clothes(monkeypatch):
    """Six made-up images as the four files, with their digests taken for the official ones."""
    rng = np.random.default_rng(0)
    arrays = dict(
        zip(
            fashion_mnist.FILES,
            [
                rng.integers(0, 256, (4, 28, 28), dtype=np.uint8),
                np.array([3, 1, 9, 0], np.uint8),
                rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
                np.array([5, 3], np.uint8),
            ],
            strict=True,
        )
    )
    digests = {name: hashlib.sha256(idx(a)).hexdigest() for name, a in arrays.items()}
    monkeypatch.setattr(fashion_mnist, "FILES", digests)
    return arrays


@pytest.mark.parametrize(
    ("below", "packed"), [("FashionMNIST/raw", False), ("FashionMNIST/raw", True), (".", True)]
)
def test_fashion_mnist_is_read_in_either_form(root, clothes, tmp_path, below, packed):
    folder = root / below
    folder.mkdir(parents=True)
    for name, array in clothes.items():
        data = gzip.compress(idx(array)) if packed else idx(array)
        (folder / f"{name}{'.gz' * packed}").write_bytes(data)

    raw = load_dataset(DATASETS["fashion-mnist"], {}, tmp_path / "cache").raw

    train, _, test, _ = clothes.values()
    assert np.array_equal(raw.images[:, 0], np.concatenate([train, test]))
    assert raw.labels.tolist() == [3, 1, 9, 0, 5, 3]
    assert raw.test.tolist() == [False] * 4 + [True] * 2
    assert raw.classes[5] == "Sandal"
    assert DATASETS["fashion-mnist"].images == raw.spec


def test_files_of_the_distribution_are_found_in_place(root, clothes, tmp_path, monkeypatch):
    place = tmp_path / "debian"
    place.mkdir()
    monkeypatch.setattr(fashion_mnist, "DEBIAN", place)
    for name, array in clothes.items():
        (place / f"{name}.gz").write_bytes(gzip.compress(idx(array)))

    assert len(load_dataset(DATASETS["fashion-mnist"], {}, tmp_path / "cache").raw.labels) == 6
    assert not root.exists()


@pytest.mark.parametrize(
    "harm",
    [lambda data: data[:-9], lambda data: data[:40] + bytes([data[40] ^ 255]) + data[41:], lambda _: b""],
)
def test_a_damaged_file_is_named(root, clothes, tmp_path, harm):
    root.mkdir()
    for name, array in clothes.items():
        data = gzip.compress(idx(array))
        (root / f"{name}.gz").write_bytes(harm(data) if name.startswith("t10k-images") else data)

    with pytest.raises(UsageError, match=r"t10k-images-idx3-ubyte\.gz: "):
        load_dataset(DATASETS["fashion-mnist"], {}, tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("cifar10", "cifar-10-batches-py"),
        ("cifar100", "cifar-100-python"),
        ("svhn", "train_32x32.mat"),
        ("fashion-mnist", "FashionMNIST/raw/train-images-idx3-ubyte.gz"),
    ],
)
def test_missing_data_say_what_to_get_and_where_to_put_it(root, offline, tmp_path, name, place):
    with pytest.raises(UsageError) as caught:
        load_dataset(DATASETS[name], {}, tmp_path / "cache")

    said = str(caught.value)
    assert said.startswith(f"the dataset {name!r} is not here and could not be downloaded")
    assert str(root / place) in said
    assert "http" in said
    assert "--data-root or MUBENCH_DATA" in said
    assert "\n" not in said


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("unpickled before it was checked",)


def test_a_foreign_batch_is_refused_before_it_is_unpickled(root, offline, tmp_path):
    batch = root / "cifar-10-batches-py" / "data_batch_1"
    batch.parent.mkdir(parents=True)
    batch.write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(UsageError, match=r"data_batch_1: this is not the official file of cifar10 \(its MD5"):
        load_dataset(DATASETS["cifar10"], {}, tmp_path / "cache")


@pytest.fixture
def batches(root, monkeypatch):
    """CIFAR-10's files with made-up pixels, and torchvision told that their digests are the official ones.

    File name -> (pixels, labels), in the official order.
    """
    from torchvision.datasets import CIFAR10

    rng = np.random.default_rng(0)
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    made = {}

    def write(name, content):
        stream = io.BytesIO()
        pickle.dump(content, stream, protocol=2)
        (folder / name).write_bytes(stream.getvalue())
        return [name, hashlib.md5(stream.getvalue()).hexdigest()]

    def batch(name):
        made[name] = rng.integers(0, 256, (20, 3072), dtype=np.uint8), rng.integers(0, 10, 20).tolist()
        return write(name, {"data": made[name][0], "labels": made[name][1]})

    train = [batch(f"data_batch_{i}") for i in range(1, 6)]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    name, md5 = write("batches.meta", {"label_names": [f"class {k}" for k in range(10)]})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    return made


def test_cifar10_in_the_official_layout(batches, offline, tmp_path):
    raw = load_dataset(DATASETS["cifar10"], {}, tmp_path / "cache").raw

    assert np.array_equal(
        raw.images.reshape(120, 3072), np.concatenate([pixels for pixels, _ in batches.values()])
    )
    assert raw.labels.tolist() == [label for _, labels in batches.values() for label in labels]
    assert raw.test.sum() == 20
    assert raw.test[100:].all()
    assert raw.classes == tuple(f"class {k}" for k in range(10))
    assert DATASETS["cifar10"].images == raw.spec == ImageSpec((3, 32, 32), 10, padding=4, flip=True)


@pytest.mark.parametrize(
    ("augmentation", "padding", "flip"), [("crop+flip", 4, True), ("flip", 0, True), ("none", 0, False)]
)
def test_how_cifar10_is_augmented_is_an_option(batches, offline, tmp_path, augmentation, padding, flip):
    spec, cache = DATASETS["cifar10"], tmp_path / "cache"
    plain = load_dataset(spec, {}, cache)
    chosen = load_dataset(spec, {"augmentation": augmentation}, cache)

    assert (chosen.raw.padding, chosen.raw.flip) == (padding, flip)
    assert np.array_equal(chosen.raw.images, plain.raw.images)
    assert (chosen.digest == plain.digest) is (augmentation == "crop+flip")  # records of both are told apart
    with pytest.raises(UsageError, match="augmentation"):
        load_dataset(spec, {"augmentation": "mixup"}, cache)


def test_a_missing_batch_is_named(batches, root, offline, tmp_path):
    (root / "cifar-10-batches-py" / "data_batch_3").unlink()

    with pytest.raises(UsageError, match=r"'cifar10' lacks data_batch_3 and could not be downloaded"):
        load_dataset(DATASETS["cifar10"], {}, tmp_path / "cache")


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: data + b"\0", lambda _: b""])
def test_a_truncated_or_changed_batch_is_named(batches, root, offline, tmp_path, harm):
    batch = root / "cifar-10-batches-py" / "test_batch"
    batch.write_bytes(harm(batch.read_bytes()))

    with pytest.raises(UsageError, match=r"test_batch: this is not the official file .* truncated"):
        load_dataset(DATASETS["cifar10"], {}, tmp_path / "cache")


def test_without_room_for_the_decoded_images_nothing_half_written_is_left(
    batches, offline, tmp_path, monkeypatch
):
    save, cache = np.save, tmp_path / "cache"

    def full(file, array, **options):
        if array.ndim == 4:
            save(file, array, **options)
            return
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        load_dataset(DATASETS["cifar10"], {}, cache)
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []

    monkeypatch.setattr(np, "save", save)
    raw = load_dataset(DATASETS["cifar10"], {}, cache).raw
    assert np.array_equal(raw.images[:20].reshape(20, 3072), batches["data_batch_1"][0])


def test_cifar100_has_its_fine_labels(root, offline, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR100

    rng = np.random.default_rng(0)
    folder = root / CIFAR100.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        data = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    parts = {
        "train": (rng.integers(0, 256, (3, 3072), dtype=np.uint8), [99, 0, 42]),
        "test": (rng.integers(0, 256, (2, 3072), dtype=np.uint8), [7, 99]),
    }
    for part, (pixels, fine) in parts.items():
        entry = {"data": pixels, "fine_labels": fine, "coarse_labels": [1] * len(fine)}
        monkeypatch.setattr(CIFAR100, f"{part}_list", [write(part, entry)])
    names = [f"fine {k}" for k in range(100)]
    name, md5 = write("meta", {"fine_label_names": names, "coarse_label_names": ["x"]})
    monkeypatch.setattr(CIFAR100, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})

    raw = load_dataset(DATASETS["cifar100"], {}, tmp_path / "cache").raw

    assert raw.labels.tolist() == [99, 0, 42, 7, 99]
    assert raw.test.tolist() == [False] * 3 + [True] * 2
    assert np.array_equal(raw.images[3].ravel(), parts["test"][0][0])
    assert raw.classes == tuple(names)
    assert DATASETS["cifar100"].images == raw.spec


def test_svhn_in_the_official_layout(root, offline, tmp_path, monkeypatch):
    """In the files an image is (H, W, C), images are the last axis, and the label of a 0 is 10."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    rng = np.random.default_rng(0)
    root.mkdir()
    made, listed, digests = {}, {}, {}
    for part, digits in (("train", [10, 1, 9]), ("test", [10, 3])):
        made[part] = rng.integers(0, 256, (32, 32, 3, len(digits)), dtype=np.uint8)
        file = root / f"{part}_32x32.mat"
        savemat(file, {"X": made[part], "y": np.array(digits, dtype=np.uint8)[:, None]})
        listed[part] = ["http://nowhere/", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
        digests[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(SVHN, "split_list", listed)
    monkeypatch.setattr(svhn, "FILES", digests)

    raw = load_dataset(DATASETS["svhn"], {}, tmp_path / "cache").raw

    assert raw.labels.tolist() == [0, 1, 9, 0, 3]
    assert raw.test.tolist() == [False] * 3 + [True] * 2
    assert np.array_equal(raw.images[4], made["test"][..., 1].transpose(2, 0, 1))
    assert DATASETS["svhn"].images == raw.spec == ImageSpec((3, 32, 32), 10, padding=4, flip=False)


def test_a_truncated_svhn_is_named(root, offline, tmp_path):
    root.mkdir()
    (root / "test_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file")

    with pytest.raises(UsageError, match=r"test_32x32\.mat: this is not the official file of svhn"):
        load_dataset(DATASETS["svhn"], {}, tmp_path / "cache")


@pytest.mark.parametrize("name", ["svhn", "fashion-mnist"])
def test_what_is_downloaded_comes_by_https_and_is_refused_unless_it_is_the_official_file(
    root, tmp_path, monkeypatch, name
):
    asked = []

    def other(url, folder, filename=None, md5=None):
        asked.append(url)
        (Path(folder) / filename).parent.mkdir(parents=True, exist_ok=True)
        (Path(folder) / filename).write_bytes(gzip.compress(b"another file"))

    monkeypatch.setattr("torchvision.datasets.utils.download_url", other)
    monkeypatch.setattr("torchvision.datasets.mnist.FashionMNIST._load_data", lambda *_: (None, None))

    with pytest.raises(UsageError, match=f"this is not the official file of {name}"):
        load_dataset(DATASETS[name], {}, tmp_path / "cache")
    assert asked
    assert all(url.startswith("https://") for url in asked)


CIFAR10 = Path(os.environ.get("MUBENCH_DATA", ""))


@pytest.mark.skipif(
    not (CIFAR10 / "cifar-10-batches-py").is_dir(), reason="needs cifar-10-batches-py in $MUBENCH_DATA"
)
def test_the_real_cifar10(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBENCH_DATA", str(CIFAR10))
    raw = load_dataset(DATASETS["cifar10"], {}, tmp_path / "cache").raw

    assert raw.images.shape == (60_000, 3, 32, 32)
    assert np.bincount(raw.labels[~raw.test]).tolist() == [5_000] * 10
    assert np.bincount(raw.labels[raw.test]).tolist() == [1_000] * 10
    # the first images to train and to test on are a frog and a cat
    assert [raw.classes[raw.labels[part][0]] for part in (~raw.test, raw.test)] == ["frog", "cat"]
    mean = raw.images[~raw.test].mean((0, 2, 3)) / 255
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-5)


@pytest.mark.skipif(not fashion_mnist.DEBIAN.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_the_real_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setenv("MUBENCH_DATA", str(tmp_path))
    raw = load_dataset(DATASETS["fashion-mnist"], {}, tmp_path / "cache").raw

    assert raw.images.shape == (70_000, 1, 28, 28)
    assert np.bincount(raw.labels[~raw.test]).tolist() == [6_000] * 10
    # the first two training images are an ankle boot and a T-shirt
    assert [raw.classes[k] for k in raw.labels[:2]] == ["Ankle boot", "T-shirt/top"]
