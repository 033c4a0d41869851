"""The parts of the report against known answers: curves, feature clouds, ticks, names, escapes."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score, roc_curve

from mubench.api.outputs import Outputs
from mubench.reporting.histograms import WIDTH, Histogram
from mubench.reporting.render import make_report
from mubench.reporting.report import apart, chart, curves, feature_map
from mubench.reporting.report.markup import Markup, element, escaped


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_roc_of_scores_on_bin_edges_is_scikit_learns(rng):
    members, others = (np.round(rng.normal(m, 2, n)) * WIDTH for m, n in ((1, 200), (0, 300)))
    labels, scores = np.repeat([1, 0], [200, 300]), np.concatenate([members, others])

    false, true = curves.roc(Histogram.of(members), Histogram.of(others))

    expected = roc_curve(labels, scores, drop_intermediate=False)
    assert {(round(a, 9), round(b, 9)) for a, b in zip(false, true, strict=True)} == {
        (round(a, 9), round(b, 9)) for a, b in zip(*expected[:2], strict=True)
    }
    assert curves.area(false, true) == pytest.approx(100 * roc_auc_score(labels, scores))


def test_members_above_all_others_have_the_whole_area_and_no_members_no_curve():
    high, low = Histogram.of(np.array([5.0, 6.0])), Histogram.of(np.array([-3.0]))

    assert curves.area(*curves.roc(high, low)) == 100
    assert curves.area(*curves.roc(low, high)) == 0
    assert curves.roc(high, Histogram(0, ()))[0].size == 0


def test_the_shares_of_a_histogram_add_up_to_one_though_some_lie_beyond_the_ends(rng):
    histogram = Histogram.of(rng.normal(3, 4, 500))

    shares = curves.shares(histogram, np.arange(0.0, 5.25, WIDTH))

    assert shares.sum() == pytest.approx(1)
    assert shares[0] > shares[1]


def test_a_turned_cloud_comes_back_and_keeps_its_distances(rng):
    points, other = rng.normal(size=(2, 50, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]

    assert feature_map.turned(points @ turn, points) == pytest.approx(points)
    moved = feature_map.turned(other, points)
    assert np.linalg.norm(moved[:, None] - moved, axis=2) == pytest.approx(
        np.linalg.norm(other[:, None] - other, axis=2)
    )


@pytest.mark.parametrize("width", [3, 9])
def test_where_points_are_fewer_than_directions_the_turn_is_scipys(rng, width):
    points, target = rng.normal(size=(5, 7)), rng.normal(size=(5, width))
    padded = np.pad(target, ((0, 0), (0, max(0, 7 - width))))
    wide = np.pad(points, ((0, 0), (0, max(0, width - 7))))

    expected = (wide @ orthogonal_procrustes(wide, padded)[0])[:, :width]

    assert feature_map.turned(points, target) == pytest.approx(expected)


def test_the_directions_are_those_of_a_pca_with_a_sign_that_mirroring_does_not_change(rng):
    points = rng.normal(size=(40, 5)) * [5, 3, 1, 1, 1]
    centred = points - points.mean(axis=0)

    axes = feature_map.directions(centred)

    assert np.abs(axes.T) == pytest.approx(np.abs(PCA(2).fit(points).components_))
    assert feature_map.directions(-centred) == pytest.approx(axes)
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()


@pytest.fixture
def outputs(rng):
    """`outputs(features)`: with features (forget, retain), or without."""

    def of(*features):
        labels = {"forget": np.array([0, 1, 2] * 10), "retain": np.array([1, 2] * 10)}
        named = dict(zip(("forget", "retain"), features, strict=False))
        return Outputs({}, labels, {name: f.astype(np.float32) for name, f in named.items()})

    return of


def test_clouds_are_those_of_one_seed_with_spread_relative_to_the_reference(outputs, rng):
    forget, retain = rng.normal(size=(12, 4)), rng.normal(size=(20, 4))
    rows = {
        "Retrain": outputs(forget, retain),
        "twice": outputs(2 * forget + 7, 2 * retain + 7),
        "without": outputs(),
        "other images": outputs(forget[:5], retain),
        "collapsed": outputs(0 * forget, 0 * retain),
    }

    found = feature_map.clouds(3, rows, "Retrain")

    assert (found.seed, found.forget, list(found.by_row)) == (3, 12, ["Retrain", "twice", "collapsed"])
    assert found.labels.tolist() == [*[0, 1, 2] * 4, *[1, 2] * 10]
    assert found.by_row["twice"].spread == pytest.approx(2)
    assert found.by_row["twice"].points == pytest.approx(2 * found.by_row["Retrain"].points, abs=1e-5)
    assert found.by_row["collapsed"].spread == 0
    assert 0.5 < found.by_row["Retrain"].shown < 1
    for name in found.by_row:
        picture = feature_map.figure(name, found)
        assert "nan" not in picture
        assert len(re.findall(r"M\d+ \d+h0", picture)) == 32
    assert feature_map.clouds(3, {"Retrain": outputs()}, "Retrain") is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 13, [0, 5, 10]),
        (97.1, 98.2, [97.2, 97.4, 97.6, 97.8, 98, 98.2]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round_numbers_inside(low, high, expected):
    assert chart.ticks(low, high) == pytest.approx(expected)
    for most in (3, 5, 8, 50):
        assert 1 <= len(chart.ticks(low, high, most)) <= most


def test_ticks_of_a_logarithmic_axis():
    assert chart.log_ticks(0.08, 2) == pytest.approx([0.1, 0.2, 0.5, 1, 2])
    assert chart.log_ticks(0.002, 3) == pytest.approx([0.01, 0.1, 1])


def test_names_of_points_that_coincide_stand_apart():
    texts = [f"method {i}" for i in range(6)]

    placed = chart.place(np.full((6, 2), 200.0), texts, (0, 0, 400, 400))

    at = [re.search(r'<text x="([\d.]+)" y="([\d.]+)".*>(.*)</text>', one).groups() for one in placed]
    assert [text for *_, text in at] == texts
    spots = np.array([[float(x), float(y)] for x, y, _ in at])
    apart_ = np.abs(spots[:, None] - spots) + 1000 * np.eye(6)[..., None]
    width = chart.length(texts[0])
    assert ((apart_[..., 0] >= width - 0.1) | (apart_[..., 1] >= 12)).all()


def test_only_markup_is_not_escaped():
    name = '<b a="1">\x1b[2J\n&\ud800'

    assert escaped(name) == "&lt;b a=&quot;1&quot;&gt;\\x1b[2J\\n&amp;\\ud800"
    assert element("p", name, title=name).count(escaped(name)) == 2
    assert element("p", Markup("<b>"), 1.0, None, x=1.23456, y=-0.0001, class_="c", z=None) == (
        '<p x="1.23" y="0" class="c"><b>1.0</p>'
    )


def test_differences_are_shown_with_interval_verdict_and_what_one_seed_cannot_say(make):
    seeds = [(0.0, 0.1), (0.2, 0.1), (-0.1, -0.1), (0.1, 0.0), (0.0, 0.2), (0.1, -0.1)]
    cells = [make("Retrain", "reference", s, [5 + a, 99, 94, 12, 9]) for s, (a, _) in enumerate(seeds)]
    cells += [make("Far", "method", s, [15 + b, 99, 94, 12, 9]) for s, (_, b) in enumerate(seeds)]
    cells += [make("Near", "method", s, [5 + b, 99, 94, 12, 9]) for s, (_, b) in enumerate(seeds)]
    report = make_report(pd.DataFrame(cells), caption="c")

    text = re.sub(r"<[^>]*>", "", apart.section(report))

    line = report.differences.set_index(["method", "metric"]).loc[("Far", "ua")]
    assert line["verdict"] in ("different", "undecided")
    assert f"{line['difference']:+.2f}{'≠' if line['verdict'] == 'different' else '?'}" in text
    assert f"[{line['low']:+.2f}, {line['high']:+.2f}]" in text
    assert "= equivalent" in text

    one = make_report(pd.DataFrame([c for c in cells if c["seed"] == 0]), caption="c")
    assert "Whether it is real cannot be known with 1 seed." in apart.section(one)
    assert "[" not in re.sub(r"<[^>]*>", "", apart.section(one))
