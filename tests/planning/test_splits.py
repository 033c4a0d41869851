"""Who is trained on, validated on, tested on and forgotten."""

import hashlib

import numpy as np
import pytest
from pydantic import TypeAdapter

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.data_cache import load_dataset
from mubench.planning.splits import Partition, Split, class_number, forget_indices, make_split
from mubench.planning.suite import Forget
from mubench.streams import numpy_stream

DATASETS = Catalogue().datasets

FORGET = TypeAdapter(Forget)


HALF = {"scenario": "random", "percent": 50.0}


@pytest.fixture
def draw(raw):
    """`draw(seed, scenario=..., ...)` -> the Split of a forget set described like in a suite."""

    def make(seed=0, /, **forget):
        parts = Partition(*make_split(raw.labels, raw.test, 10.0))
        chosen = FORGET.validate_python(forget or {"scenario": "random", "percent": 25.0})
        return Split(parts, *forget_indices(chosen, parts.train, raw.labels, raw.classes, seed))

    return make


def _listed(tmp_path, text):
    file = tmp_path / "indices.txt"
    file.write_text(text, encoding="utf-8")
    return {"scenario": "indices", "file": str(file)}


def test_every_image_lies_in_exactly_one_set(draw, raw):
    split = draw()

    together = np.concatenate([split.forget, split.retain, split.val, split.test])
    assert sorted(together) == list(range(len(raw.labels)))
    assert sorted([*split.forget, *split.retain]) == split.train.tolist()
    assert len(split.forget) == round(len(split.train) / 4)
    assert np.array_equal(split.test, np.flatnonzero(raw.test))


def test_validation_is_a_tenth_of_each_class_of_the_training_images(tmp_path):
    digits = load_dataset(DATASETS["digits"], {}, tmp_path).raw
    _, val, _ = make_split(digits.labels, digits.test, 10.0)

    for k in range(10):
        members = np.flatnonzero((digits.labels == k) & ~digits.test)
        assert np.isin(members, val).sum() == round(len(members) / 10)
    assert not digits.test[val].any()


def test_the_split_is_one_and_constant_and_the_seed_moves_the_forget_set_alone(draw):
    zero, again, one = draw(0), draw(0), draw(1)

    assert zero.manifest() == again.manifest()
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(zero, part), getattr(one, part))
    assert len(zero.forget) == len(one.forget)
    assert 0 < len(np.intersect1d(zero.forget, one.forget)) < len(zero.forget)


def test_split_does_not_depend_on_global_random_state(draw):
    np.random.seed(1)
    one = draw().manifest()
    np.random.seed(2)

    assert draw().manifest() == one


def test_random_forgetting_takes_its_share_from_every_class(draw, raw):
    forget = draw(percent=50.0, scenario="random").forget

    assert len(forget) == 54
    assert set(raw.labels[forget]) == {0, 1, 2}


def test_a_forgotten_class_is_forgotten_whole(draw, raw):
    split = draw(5, scenario="class", **{"class": 1})

    assert split.forgotten == (1,)
    assert set(raw.labels[split.forget]) == {1}
    assert not (raw.labels[split.retain] == 1).any()
    assert np.array_equal(split.forget, draw(0, scenario="class", **{"class": 1}).forget)


def test_a_class_is_forgotten_by_its_name_or_its_number(draw, raw):
    by_number, by_name = (draw(scenario="class", **{"class": c}) for c in (1, "b"))

    assert by_name.digest == by_number.digest
    assert by_name.forgotten == by_number.forgotten == (1,)


def test_a_name_that_two_classes_share_names_none():
    assert class_number("b", ("a", "b", "a")) == 1
    assert class_number(2, ("a", "b", "a")) == 2
    with pytest.raises(UsageError, match=r"forget.class: classes \[0, 2\] are all called 'a'; give a number"):
        class_number("a", ("a", "b", "a"))


def test_indices_from_a_file(draw, tmp_path):
    train = draw().train
    text = f"{train[7]}\n{train[2]}\n\n {train[30]}\n"

    split = draw(**_listed(tmp_path, text))

    assert split.forget.tolist() == train[[2, 7, 30]].tolist()
    assert split.forgotten == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the forget set is empty"),
        ("1.5", "one dataset index a line"),
        ("one", "one dataset index a line"),
        ("9" * 30, "one dataset index a line"),
        ("9" * 5000, "one dataset index a line"),
        ("175", "index 175 is not a training image"),
        ("-1", "index -1 is not a training image"),
        ("99999", "index 99999 is not a training image"),
        ("TRAIN TRAIN", "an index is named twice"),
        ("ALL", "all of the training set"),
    ],
)
def test_indices_that_cannot_be_forgotten(draw, tmp_path, text, message):
    train = draw().train
    text = text.replace("TRAIN", str(train[0])).replace("ALL", "\n".join(map(str, train)))

    with pytest.raises(UsageError, match=message):
        draw(**_listed(tmp_path, text))


def test_a_validation_image_cannot_be_forgotten_nor_a_file_that_is_absent(draw, tmp_path):
    val = draw().val[0]

    with pytest.raises(UsageError, match=f"index {val} is not a training image"):
        draw(**_listed(tmp_path, str(val)))
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        draw(scenario="indices", file=str(tmp_path / "absent"))


def test_shares_and_classes_that_leave_nothing(draw):
    with pytest.raises(UsageError, match=r"forget set is empty: 0.1 % of 108"):
        draw(scenario="random", percent=0.1)
    with pytest.raises(UsageError, match="forget set is all of the training set"):
        draw(scenario="random", percent=99.9)
    with pytest.raises(UsageError, match=r"forget.class = 3 is out of range: there are classes 0..2"):
        draw(scenario="class", **{"class": 3})


@pytest.mark.parametrize("percent", [1.0, 99.0])
def test_a_class_without_training_or_validation_images(raw, percent):
    with pytest.raises(UsageError, match="class 0 has 40 training images"):
        make_split(raw.labels, raw.test, percent)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0, 1, 2], [2], [3], [0]), "overlap"),
        (([0, 1, 2], [3], [3], [0]), "overlap"),
        (([0, 1, 2], [3], [4], [3]), "not a set of training images"),
        (([0, 1, 2], [3], [4], [1, 1]), "not a set of training images"),
    ],
)
def test_sets_that_overlap_are_refused(parts, message):
    *partition, forget = (np.array(p, dtype=np.int64) for p in parts)

    with pytest.raises(AssertionError, match=message):
        Split(Partition(*partition), forget)


def test_manifest_by_hand():
    parts = {"train": [0, 1, 300], "val": [2], "test": [3, 4], "forget": [300], "retain": [0, 1]}
    train, val, test, forget, _ = (np.array(indices) for indices in parts.values())
    split = Split(Partition(train, val, test), forget)

    manifest = split.manifest()

    assert manifest.keys() == parts.keys()
    for name, indices in parts.items():
        data = b"".join(i.to_bytes(8, "little") for i in indices)
        assert manifest[name] == {"count": len(indices), "sha256": hashlib.sha256(data).hexdigest()}


def test_a_forget_set_that_takes_a_class_along_is_refused(raw):
    train, _, _ = make_split(raw.labels, raw.test, 10.0)
    rare = train[raw.labels[train] == 2][1:]
    few = np.setdiff1d(train, rare)

    # the one image left of the class is drawn by some of the seeds
    last, half = train[raw.labels[train] == 2][0], round(len(few) / 2)
    seed = next(s for s in range(20) if last in numpy_stream(s, "forget").permutation(few)[:half])
    with pytest.raises(UsageError, match=rf"forget seed {seed} no training image of class 2 \(c\) remains"):
        forget_indices(FORGET.validate_python(HALF), few, raw.labels, raw.classes, seed)


def test_a_class_with_one_image_cannot_be_split():
    labels = np.array([0] * 10 + [1])

    with pytest.raises(UsageError, match="class 1 has 1 training images"):
        make_split(labels, np.zeros(11, dtype=bool), 10.0)


def test_a_suite_can_keep_one_random_forget_set_over_its_seeds(draw):
    drawn = [draw(seed, **HALF, seed=7) for seed in (0, 1)]
    own = draw(7, **HALF)

    assert np.array_equal(drawn[0].forget, own.forget)
    assert drawn[0].digest == drawn[1].digest == own.digest


def test_a_forget_seed_that_is_not_given_is_not_written():
    dumped = [FORGET.dump_python(FORGET.validate_python(HALF | more)) for more in ({}, {"seed": 0})]

    assert dumped == [HALF, HALF | {"seed": 0}]
