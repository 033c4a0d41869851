"""tuned.toml: written for a suite, applied to that suite alone."""

import tomllib

import pytest

from mubench.discovery.find import Catalogue
from mubench.errors import UsageError
from mubench.planning.suite import check
from mubench.tuning.tuned import Tuned, methods_text, read_tuned

RAW = {
    "title": "t",
    "dataset": "digits",
    "data": {"noise": 0.3},
    "model": "small-cnn",
    "seeds": [0],
    "forget": {"scenario": "random", "percent": 50},
    "methods": ["FT"],
}
BEST = {"FT": {"lr": 0.02, "epochs": 5}, "IU": {"alpha": 1e-05, "solver": "fisher"}}


@pytest.fixture
def file(tmp_path):
    """`file(methods=BEST, **changes)`: the tuned file of the suite with these changes."""

    def write(methods=BEST, **changes):
        path = tmp_path / "tuned.toml"
        path.write_text(Tuned.of("mine", check({**RAW, **changes}, "x"), "by hand", methods).text())
        return path

    return write


def test_a_file_says_again_what_was_written(file):
    tuned = read_tuned(file())

    assert tuned.tuned.methods == BEST
    assert (tuned.tuned.how, tuned.tuned.suite["name"]) == ("by hand", "mine")
    assert tuned.marks == {"file": "tuned.toml", "how": "by hand", "methods": BEST}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"title": "another", "seeds": [5], "floor": 7, "methods": ["GA"], "headline": "mia"},
        {"forget": {"scenario": "random", "percent": 50, "seed": 3}},
    ],
)
def test_it_fits_the_suite_whatever_its_rows_and_seeds(file, change):
    read_tuned(file()).check(check({**RAW, **change}, "x"), Catalogue())


def test_one_class_is_tuned_for_every_class(file):
    path = file(forget={"scenario": "class", "class": 0})
    every = check({**RAW, "forget": {"scenario": "class", "class": "all"}}, "x")

    read_tuned(path).check(every, Catalogue())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "small-mlp"}, "model = 'small-cnn'; here is model = 'small-mlp'"),
        ({"data": {}}, "data.noise = 0.3; here is no data.noise"),
        ({"data": {"noise": 0.3, "crop": True}}, "no data.crop; here is data.crop = True"),
        (
            {"forget": {"scenario": "random", "percent": 10}},
            "forget.percent = 50.0; here is forget.percent =",
        ),
        ({"original": {"epochs": 3}}, "original.epochs = 182; here is original.epochs = 3"),
    ],
)
def test_a_file_of_another_suite_is_refused_with_what_differs(file, change, told):
    with pytest.raises(UsageError) as refused:
        read_tuned(file()).check(check({**RAW, **change}, "x"), Catalogue())

    assert f"tuned on mine, with {told}" in str(refused.value)
    assert str(refused.value).endswith(": tune this suite")


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"NoSuch": {"lr": 1.0}}, "unknown method 'NoSuch' in .*tuned.toml"),
        ({"FT": {"lr": "fast"}}, r"\[methods.FT\]: lr = 'fast' is not float"),
        ({"FT": {"rate": 1.0}}, "unknown parameter 'rate' in .*tuned.toml"),
    ],
)
def test_methods_and_parameters_that_there_are_not_are_refused(file, methods, message):
    with pytest.raises(UsageError, match=message):
        read_tuned(file(methods)).check(check(RAW, "x"), Catalogue())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[methods.FT]\nlr = 0.1\n", "'how': Field required; tables of an older tuning.toml belong into"),
        ("how = 'x'\n[suite]\n[methods]\n", "'methods': "),
        ("how = 3\n[suite]\n[methods.FT]\nlr = 1\n", "'how': "),
        ('how = "a\\u001b[2J"', "holds a control character"),
        ("how = ", "not valid TOML"),
    ],
)
def test_what_is_no_tuned_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "tuned.toml"
    path.write_text(text)

    with pytest.raises(UsageError, match=message) as refused:
        read_tuned(path)
    assert str(refused.value).isprintable()


def test_names_and_texts_of_any_kind_come_back(file):
    strange = {'a "b" [c]': {"t": 'x\\ "é" 🙂 \x7f \x9b2J', "flag": True, "n": 3}, "l1-sparse": {"lr": 1e-05}}

    text = methods_text(strange)
    assert tomllib.loads(text)["methods"] == strange
    assert text.replace("\n", "").isprintable()
