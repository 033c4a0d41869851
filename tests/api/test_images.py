"""Batches: who is seen, how often, in what order, and what a method can do to them."""

import pytest
import torch
from helpers import gen

from mubench.api.cost import Ledger
from mubench.api.images import CHUNK, Augmentation, ImageSet


@pytest.fixture
def make():
    """`make(n, batch_size=4, name="forget", ledger=..., padding=0, flip=False, seed=0)`.

    Every pixel of image i is i, its label is 7 i, so both say who it is.
    """

    def build(n, batch_size=4, name="forget", ledger=None, padding=0, flip=False, seed=0, first=0):
        who = torch.arange(first, first + n)
        return ImageSet(
            name,
            who.to(torch.uint8)[:, None, None, None].repeat(1, 2, 3, 3),
            7 * who,
            batch_size=batch_size,
            augmentation=Augmentation(padding, flip),
            order_rng=gen(seed),
            augmentation_rng=gen(seed + 1),
            ledger=ledger or Ledger(),
        )

    return build


def seen(batches):
    return [y.tolist() for _, y in batches]


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"), [(8, 4, [4, 4]), (9, 4, [3, 3, 3]), (3, 8, [3]), (1, 1, [1])]
)
def test_an_epoch_visits_each_image_once_in_batches_of_about_one_size(make, n, batch_size, sizes):
    images = make(n, batch_size)

    epoch = list(images)

    assert [len(y) for _, y in epoch] == sizes
    assert images.batches == len(sizes)
    assert sorted(torch.cat([y for _, y in epoch]).tolist()) == [7 * i for i in range(n)]
    for x, y in epoch:
        assert (x.dtype, y.dtype, x.shape[1:]) == (torch.float32, torch.int64, (2, 3, 3))
        assert torch.equal(x, (y / 7 / 255)[:, None, None, None].expand_as(x))


def test_an_epoch_larger_than_a_chunk_visits_each_image_once(make):
    n, batch_size = CHUNK + 10, 1000
    images = ImageSet(
        "retain",
        torch.zeros(n, 1, 1, 1, dtype=torch.uint8),
        torch.arange(n),
        batch_size=batch_size,
        augmentation=Augmentation(),
        order_rng=gen(0),
        augmentation_rng=gen(1),
        ledger=(ledger := Ledger()),
    )

    epoch = torch.cat([y for _, y in images])

    assert torch.equal(epoch.sort().values, torch.arange(n))
    assert ledger.reads["retain"] == n


def test_epochs_differ_from_each_other_and_repeat_with_their_seed(make):
    three = seen(make(12).epochs(3))

    assert len(three) == 9
    assert sorted(map(tuple, three[:3])) != sorted(map(tuple, three[3:6]))
    for epoch in (three[:3], three[3:6], three[6:]):
        assert sorted(i for batch in epoch for i in batch) == [7 * i for i in range(12)]
    assert seen(make(12).epochs(3)) == three
    assert seen(make(12, seed=9).epochs(3)) != three


def test_cycle_goes_on_from_epoch_to_epoch(make):
    cycle = make(6).cycle()

    assert [next(cycle)[1].tolist() for _ in range(6)] == seen(make(6).epochs(3))


def test_empty_set_yields_nothing_anywhere(make):
    empty = make(0)

    assert (len(empty), empty.batches) == (0, 0)
    for iterator in (empty, empty.epochs(3), empty.cycle(), empty.views(2), empty.plain()):
        assert list(iterator) == []


def test_plain_keeps_the_datas_order_and_its_own_batch_size(make):
    images = make(5, padding=1, flip=True)

    assert seen(images.plain()) == [[0, 7, 14, 21], [28]]
    assert seen(images.plain(batch_size=2)) == [[0, 7], [14, 21], [28]]
    x, _ = next(images.plain())
    assert torch.equal(x[2], torch.full((2, 3, 3), 2 / 255))


def test_plain_draws_from_no_stream(make):
    images = make(9)
    list(images.plain())

    assert seen(images) == seen(make(9))


def test_writing_into_a_batch_does_not_reach_the_data(make):
    images = make(6)
    before = [x.clone() for x, _ in images.plain()]

    for iterator in (
        images,
        images.plain(),
        images.relabelled(images.labels),
        images.joined(make(3, first=9)),
    ):
        for x, y in iterator:
            x.zero_()
            y.zero_()
    for views in images.views(2):
        views[0].zero_()
    images.labels.zero_()

    assert all(torch.equal(x, b) for (x, _), b in zip(images.plain(), before, strict=True))
    assert images.labels.tolist() == [7 * i for i in range(6)]


def test_two_views_of_a_batch_show_the_same_images_drawn_independently():
    rng = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (64, 1, 8, 8), generator=rng, dtype=torch.uint8)
    images = ImageSet(
        "forget",
        pixels,
        torch.arange(64),
        batch_size=64,
        augmentation=Augmentation(0, flip=True),
        order_rng=gen(0),
        augmentation_rng=gen(1),
        ledger=(ledger := Ledger()),
    )

    ((one, two),) = images.views(2)

    assert ledger.reads["forget"] == 64
    same = (one == two).flatten(1).all(1)
    mirrored = (one == two.flip(3)).flatten(1).all(1)
    assert torch.equal(same | mirrored, torch.ones(64, dtype=torch.bool))
    assert 16 < int(same.sum()) < 48
    assert one.data_ptr() != two.data_ptr()


def test_reads_are_counted_for_the_set_they_come_from(make):
    ledger = Ledger()
    forget, retain = make(5, name="forget", ledger=ledger), make(9, name="retain", ledger=ledger, first=5)

    list(forget.epochs(2))
    assert ledger.reads == {"forget": 10, "retain": 0}
    next(retain.cycle())
    assert ledger.reads == {"forget": 10, "retain": 3}
    list(forget.joined(retain))
    assert ledger.reads == {"forget": 15, "retain": 12}
    list(retain.joined(forget).plain())
    assert ledger.reads == {"forget": 20, "retain": 21}
    list(forget.relabelled(forget.labels + 1).plain(1))
    assert ledger.reads == {"forget": 25, "retain": 21}


def test_relabelled_and_joined_hold_what_they_say(make):
    forget, retain = make(5), make(9, name="retain", first=5)
    other = forget.relabelled(torch.full((5,), 3))
    both = other.joined(retain)

    assert seen(both.plain(20)) == [[3] * 5 + [7 * i for i in range(5, 14)]]
    assert forget.labels.tolist() == [7 * i for i in range(5)]
    assert torch.cat([x for x, _ in both])[:, 0, 0, 0].mul(255).round().sort().values.tolist() == list(
        range(14)
    )
    with pytest.raises(ValueError, match="5 labels are needed"):
        forget.relabelled(torch.zeros(4, dtype=torch.int64))


def test_the_order_of_one_set_does_not_depend_on_reading_the_other(make):
    ledger = Ledger()
    forget, retain = make(8, ledger=ledger), make(20, name="retain", ledger=ledger, seed=5)
    alone = seen(make(20, name="retain", seed=5).epochs(2))

    list(forget.epochs(3))
    first = seen(retain)
    list(forget.views(2))

    assert first + seen(retain) == alone


@pytest.mark.parametrize("padding", [1, 2])
def test_crop_and_flip_against_brute_force(padding):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (300, 2, 4, 5), generator=rng, dtype=torch.uint8)
    before = images.clone()

    out = Augmentation(padding, flip=True)(images, gen(1))

    assert torch.equal(images, before)
    assert (out.shape, out.dtype) == (images.shape, torch.uint8)
    found = set()
    for image, result in zip(images, out, strict=True):
        wide = torch.zeros(2, 4 + 2 * padding, 5 + 2 * padding, dtype=torch.uint8)
        wide[:, padding:-padding, padding:-padding] = image
        fits = [
            (dy, dx, mirrored)
            for dy in range(2 * padding + 1)
            for dx in range(2 * padding + 1)
            for mirrored in (False, True)
            for crop in [wide[:, dy : dy + 4, dx : dx + 5]]
            if torch.equal(crop.flip(2) if mirrored else crop, result)
        ]
        assert len(fits) == 1
        found.add(fits[0])
    assert len(found) == 2 * (2 * padding + 1) ** 2


def test_no_augmentation_gives_a_copy():
    images = torch.ones(3, 1, 2, 2, dtype=torch.uint8)

    out = Augmentation()(images, gen(0))

    assert torch.equal(out, images)
    assert out.data_ptr() != images.data_ptr()


def who(x):
    """The numbers of a batch's images."""
    return (x[:, 0, 0, 0] * 255).round().long()


def test_labelled_views_show_each_image_with_its_label(make):
    ledger = Ledger()

    batches = list(make(10, ledger=ledger).labelled_views(2))

    for (v, w), labels in batches:
        assert torch.equal(v, w)
        assert torch.equal(7 * who(v), labels)
    assert sorted(torch.cat([y for _, y in batches]).tolist()) == [7 * i for i in range(10)]
    assert ledger.reads["forget"] == 10


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 6), (1.0, 20)])
def test_sample_holds_distinct_images_of_the_set(make, share, count):
    ledger = Ledger()
    images = make(20, ledger=ledger)

    part = images.sample(share, gen(3))

    found = [(int(i), int(y)) for x, labels in part for i, y in zip(who(x), labels, strict=True)]
    assert len(part) == len(set(found)) == count
    assert all(y == 7 * i for i, y in found)
    assert len(images) == 20
    assert ledger.reads["forget"] == count
    assert count in (0, 20) or {i for i, _ in found} != set(range(count))


def test_numbers_stay_with_their_images_and_reading_them_reads_none(make):
    ledger = Ledger()
    forget, retain = make(5, ledger=ledger), make(9, name="retain", ledger=ledger, first=5)
    forget._ids, retain._ids = torch.arange(100, 105), torch.arange(200, 209)

    rows = torch.tensor([7, 2])
    for images in (forget, forget.joined(retain), retain.sample(0.5, gen(3)), retain.subset("a", rows)):
        ((_, y),) = images.plain(20)
        first = torch.where(y < 35, 100, 195)
        assert torch.equal(images.ids, y // 7 + first)
    before = dict(ledger.reads)
    assert retain.subset("a", rows).ids.tolist() == [207, 202]
    assert ledger.reads == before


def test_a_subset_has_an_order_of_its_own_whatever_else_is_read(make):
    rows = torch.arange(20) % 3 > 0

    def epochs(name, read=0, seed=0, rows=rows):
        images = make(20, padding=1, flip=True, seed=seed)
        list(images.epochs(read))
        part = images.subset(name, rows)
        return [(x.sum().item(), y.tolist()) for x, y in part.epochs(2)]

    assert epochs("a") == epochs("a", read=3) == epochs("a", rows=rows.nonzero()[:, 0])
    assert epochs("a") != epochs("b")
    assert epochs("a") != epochs("a", seed=5)
    found = [i // 7 for _, y in epochs("a")[: len(epochs("a")) // 2] for i in y]
    assert sorted(found) == rows.nonzero()[:, 0].tolist()


def test_a_subset_leaves_the_order_of_its_set_alone(make):
    one, two = make(20), make(20)

    list(one.subset("a", torch.arange(7)))

    assert seen(one) == seen(two)
