"""A user's own data: taken as they are, or refused in one line that says what was expected."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from mubench import Suite
from mubench.datasets.arrays import arrays, fingerprint, raw_of
from mubench.errors import UsageError
from mubench.scripting.data import own_data, save
from mubench.storage.store import Store

IMAGES = np.arange(20 * 3 * 4 * 5, dtype=np.uint32).astype(np.uint8).reshape(20, 3, 4, 5)
LABELS = np.arange(20) % 2
TEST = np.arange(20) >= 12


class Pictures:
    """As torchvision's: pictures and plain numbers."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return Image.fromarray(IMAGES[self.rows[i]].transpose(1, 2, 0)), int(LABELS[self.rows[i]])


FORMS = {
    "arrays": lambda: (IMAGES, LABELS, TEST),
    "tensors": lambda: (torch.tensor(IMAGES), torch.tensor(LABELS), torch.tensor(TEST)),
    "channels last": lambda: (IMAGES.transpose(0, 2, 3, 1), LABELS.astype(np.uint8), TEST),
    "lists": lambda: [list(torch.tensor(IMAGES)), LABELS.tolist(), TEST.tolist()],
    "two Datasets": lambda: (Pictures(range(12)), Pictures(range(12, 20))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(form):
    raw = own_data(FORMS[form]())

    assert np.array_equal(raw.images, IMAGES)
    assert raw.labels.tolist() == LABELS.tolist()
    assert raw.test.tolist() == TEST.tolist()
    assert raw.classes == ("0", "1")


def test_grey_images_get_a_channel():
    assert raw_of(IMAGES[:, 0], LABELS).images.shape == (20, 1, 4, 5)


def test_without_a_test_set_a_fifth_of_each_class_is_drawn():
    one, two = (own_data(TensorDataset(torch.tensor(IMAGES), torch.tensor(LABELS))) for _ in range(2))

    assert np.bincount(LABELS[one.test]).tolist() == [2, 2]
    assert np.array_equal(one.test, two.test)


WRONG = {
    "floats": (
        (IMAGES / 255, LABELS),
        r"the images are float64; expected uint8, from 0 to 255; for values in",
    ),
    "large numbers": ((IMAGES.astype(int), LABELS), "the images are int64; expected uint8, from 0 to 255$"),
    "labels from 1": ((IMAGES, LABELS + 1), "the labels run from 1 to 2; expected 0 to K - 1 for K classes"),
    "labels below 0": ((IMAGES, LABELS - 1), "the labels run from -1 to 0; expected 0 to K - 1"),
    "a class without images": (
        (IMAGES, 2 * LABELS),
        "no image has the label 1; expected images of every class",
    ),
    "float labels": (
        (IMAGES, LABELS / 1),
        r"the labels are float64 of shape \(20,\); expected whole numbers",
    ),
    "one-hot labels": (
        (IMAGES, np.eye(2, dtype=int)[LABELS]),
        r"shape \(20, 2\); expected whole numbers, one",
    ),
    "fewer labels": ((IMAGES, LABELS[:5]), r"shape \(5,\); expected .* one for each of the 20 images"),
    "flat images": ((IMAGES.reshape(20, -1), LABELS), r"shape \(20, 60\); expected \(n, C, H, W\)"),
    "test by number": ((IMAGES, LABELS, np.arange(3)), "test is int64 .*expected True or False for each"),
    "none": ((IMAGES[:0], LABELS[:0]), "the labels are empty"),
    "a dict": ({"x": 1}, r"got dict; expected a dataset's name, \(images, labels\)"),
    "an array": (IMAGES, r"got ndarray; expected a dataset's name, \(images, labels\)"),
    "a Dataset of images": (
        TensorDataset(torch.tensor(IMAGES)),
        r"item 0 is tuple; expected \(image, label\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_data_are_refused_where_the_suite_is_built(case):
    dataset, said = WRONG[case]

    with pytest.raises(UsageError, match=rf"^dataset: .*{said}") as caught:
        Suite(dataset=dataset, model="small-mlp", forget=10)
    assert "\n" not in str(caught.value)


def test_arrays_in_a_file_by_the_command_lines_dataset(tmp_path):
    path, _ = save(own_data((IMAGES, LABELS, TEST)), Store(tmp_path))
    raw = arrays(file=str(path), flip=True)

    assert np.array_equal(raw.images, IMAGES)
    assert (raw.test.tolist(), raw.flip) == (TEST.tolist(), True)


def test_equal_arrays_are_kept_once(tmp_path):
    paths = {save(own_data((IMAGES.copy(), LABELS, TEST)), Store(tmp_path)) for _ in range(2)}

    assert len(paths) == 1
    assert save(own_data((IMAGES, LABELS, ~TEST)), Store(tmp_path)) not in paths


def test_wrong_files(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", images=IMAGES, y=LABELS)
    for name, said in (
        ("text.npz", "expected an .npz file"),
        ("other.npz", "called images and labels, no labels"),
    ):
        with pytest.raises(UsageError, match=said):
            arrays(file=str(tmp_path / name))
    with pytest.raises(UsageError, match="there is no such file"):
        fingerprint(file=str(tmp_path / "nowhere.npz"))


def test_a_suite_tells_which_images_can_be_forgotten(home):
    images, labels = np.zeros((60, 1, 4, 4), np.uint8), np.arange(60) % 3
    suite = Suite(dataset=(images, labels, np.arange(60) >= 45), model="small-mlp", forget=20, val_percent=20)
    sets = suite.indices()

    assert sorted(np.concatenate(list(sets.values()))) == list(range(60))
    assert sets["test"].tolist() == list(range(45, 60))
    assert [np.bincount(labels[sets[name]]).tolist() for name in ("train", "val")] == [[12] * 3, [3] * 3]
    named = Suite(dataset="digits", model="small-mlp", forget=20, data={"train_per_class": 30}).indices()
    assert [len(named[name]) for name in ("train", "val")] == [270, 30]
    assert {name: of.tolist() for name, of in named.items()} == {
        name: of.tolist()
        for name, of in Suite(
            dataset="digits", model="small-mlp", forget=20, seeds=[5], data={"train_per_class": 30}
        )
        .indices()
        .items()
    }


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"epochs": "a"}, "epochs is 'a'; expected a whole number"),
        ({"epochs": True}, "epochs is True; expected a whole number"),
        ({"lr": "0.1"}, "lr is '0.1'; expected a number"),
        ({"seeds": "ab"}, "seeds is 'ab'; expected how many, or a list of whole numbers"),
        ({"seeds": [0.5]}, "seeds is [0.5]; expected how many, or a list of whole numbers"),
        ({"data": "padding"}, "data is 'padding'; expected a dict"),
        ({"original": 3}, "original is 3; expected a dict"),
    ],
)
def test_keys_of_another_kind_are_refused_where_the_suite_is_built(keys, said):
    with pytest.raises(UsageError) as caught:
        Suite(dataset=(IMAGES, LABELS), model="small-mlp", forget=20, **keys)
    assert str(caught.value) == said


def test_numbers_may_be_numpys(tmp_path):
    def written(number):
        suite = Suite(
            dataset=(IMAGES, LABELS), model="small-mlp", forget=number(20), seeds=number(2), epochs=number(3)
        )
        return suite.write(Store(tmp_path)).path.name

    assert written(np.int64) == written(int)
