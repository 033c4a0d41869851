"""Suites in code, run: the same numbers as from files, own parts, one line for what is wrong."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import mubench
from mubench import Outputs, Raw, Suite, dataset, headless, method, metric, model
from mubench.errors import UsageError
from mubench.planning.suite import load
from mubench.scripting.model import check_model
from mubench.storage.store import Store
from mubench.tuning.tuned import Tuned

rng = np.random.default_rng(0)
LABELS = np.arange(120) % 3
IMAGES = rng.integers(0, 120, (120, 8, 8))
for k in range(3):
    IMAGES[k == LABELS, :, 2 * k : 2 * k + 4] += 120
IMAGES = IMAGES.astype(np.uint8)
FAST = {"forget": 20, "epochs": 1, "lr": 0.05, "batch_size": 32, "precision": "fp32"}
TRACKER = """
import json
from dataclasses import asdict
from mubench import tracker

@tracker("lines")
class Lines:
    "A line per cell."
    def __init__(self, suite):
        pass
    def log(self, cell):
        with open("seen.jsonl", "a") as file:
            print(json.dumps(asdict(cell)), file=file)
"""


def net(num_classes, channels=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 8), nn.ReLU(), nn.Linear(8, num_classes))


class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.body, self.out = nn.Linear(64, 8), nn.Linear(8, num_classes)

    def forward(self, x):
        return self.out(self.body(x.flatten(1)).relu())


@model("declared-net")
def declared(channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 8)), 8


@dataset("declared-data")
def declared_data(*, count: int):
    labels = np.arange(count) % 3
    images = np.random.default_rng(1).integers(0, 255, (count, 1, 8, 8)).astype(np.uint8)
    return Raw(images, labels, np.arange(count) % 4 == 3, ("a", "b", "c"))


@method("Shrink", sees="retain")
def shrink(model, task, *, factor: float = 0.5):
    model.head.weight.data *= factor


@method("Raises")
def raises(model, task):
    raise RuntimeError("no luck")


@metric("forget_size", title="n", better="higher", column=99)
def forget_size(outputs: Outputs):
    return float(len(outputs.of("forget")[0]))


@pytest.fixture
def run(home):
    """`mubench.run` in this process, without a word."""

    def call(suite, methods=None, **options):
        return mubench.run(suite, methods, device="cpu", jobs=0, quiet=True, **options)

    return call


@pytest.fixture(scope="module")
def tiny():
    return Suite(dataset=(IMAGES, LABELS), model=net, floor=0, **FAST)


@pytest.fixture
def written(home):
    """`written(**keys)`: a suite in code as it is read back from its file."""

    def write(**keys):
        suite = Suite(**{"dataset": (IMAGES, LABELS), "model": "small-mlp", "forget": 20, **keys})
        return load(suite.write(Store(home / "store")).path)

    return write


def test_own_model_data_method_and_metric_make_a_table(run, tiny, capfd):
    results = run(tiny, {shrink: {"factor": 0.25}, "FT": {"epochs": 1}}, metrics=[forget_size])

    assert results.table.index.tolist() == ["Retrain", "Original", "Shrink", "FT"]
    assert results.failures.empty
    assert set(results.cells["forget_size"]) == {17.0}  # 20 % of 86 training images
    assert "17.00" in str(results)
    assert results.manifest.rows[2].parameters == {"factor": 0.25}
    assert capfd.readouterr().err == ""


def test_a_second_run_computes_nothing(run, tiny, monkeypatch):
    first = run(tiny, [shrink])
    monkeypatch.setattr("mubench.running.executor.run_one", None)
    again = run(tiny, [shrink])

    assert again.cells.equals(first.cells)


def test_another_constant_is_another_key(run, tiny, home):
    def make(rate):
        @method("Own")
        def own(model, task):
            model.head.weight.data *= rate

        return own

    keys = [run(tiny, [make(rate)]).cells.set_index("method")["key"]["Own"] for rate in (0.5, 0.5, 0.25)]

    assert keys[0] == keys[1] != keys[2]


def test_a_failed_method_is_a_row_and_a_failure(run, tiny):
    results = run(tiny, [raises])

    (line,) = results.failures.to_dict("records")
    assert (line["method"], line["status"]) == ("Raises", "FAILED")
    assert "no luck" in line["reason"]
    assert "no luck" in results._repr_html_()


def test_out_is_a_folder_as_the_commands(run, tiny, home, no_pictures):
    results = run(tiny, [shrink], out=home / "here")
    back = mubench.load_results(home / "here")

    assert {"table.md", "cells.csv", "manifest.json"} <= {p.name for p in (home / "here").iterdir()}
    assert back.table.equals(results.table)
    assert not (home / "results").exists()


def test_a_suite_by_name_with_changes(run, made_up, suite_file):
    results = run(suite_file(), ["FT"], changes={"methods.FT.epochs": 2, "forget.percent": 30})

    assert results.manifest.rows[-1].parameters["epochs"] == 2
    assert "30" in str(results.manifest.notes)


def test_a_tuned_file_is_applied_named_and_refused_for_another_suite(run, made_up, suite_file, home):
    suite = suite_file('methods = ["FT"]\ntuning = "by hand."')
    tuned = Tuned.of("tiny", load(suite), "3 trials", {"FT": {"epochs": 2}})
    (home / "tuned.toml").write_text(tuned.text())
    results = run(suite, tuned="tuned.toml")

    assert results.manifest.rows[-1].parameters["epochs"] == 2
    assert "Hyper-parameters of FT: tuned.toml, 3 trials." in str(results)
    with pytest.raises(UsageError, match=r"tuned on tiny, with forget.percent = 20.0; here is"):
        run(suite, tuned=home / "tuned.toml", changes={"forget.percent": 30})


def test_a_tracker_gets_the_cells_with_and_without_a_folder(run, tiny, home, plugin_file, no_pictures):
    file = plugin_file(TRACKER, name="own_tracker", head="")
    results = run(tiny, [shrink, raises], plugins=[file], track="lines")
    first = (home / "seen.jsonl").read_text()
    run(tiny, [shrink, raises], plugins=[file], track="lines", out="here")

    seen = {cell["row"]: cell for cell in map(json.loads, first.splitlines())}
    numbers = results.cells.set_index("method")
    assert [*seen] == numbers.index.tolist() == ["Retrain", "Original", "Shrink", "Raises"]
    for row, cell in seen.items():
        assert (cell["key"], cell["status"]) == (numbers["key"][row], numbers["status"][row])
        assert cell["metrics"].get("ua", "none") == (numbers["ua"][row] if row != "Raises" else "none")
    assert "no luck" in seen["Raises"]["reason"]
    assert (home / "seen.jsonl").read_text() == first * 2


def test_an_unknown_tracker_is_refused_before_training(run, tiny, home):
    with pytest.raises(UsageError, match=r"unknown tracker 'mlfow' in --track. Did you mean 'mlflow'"):
        run(tiny, [shrink], track="mlfow")
    assert not (home / "store" / "records").exists()


def test_the_file_of_a_suite_gives_the_command_the_same_keys(run, tiny, home, call):
    results = run(tiny, [shrink])
    written = tiny.write(Store(home / "store"))
    code, out, _ = call("plan", "--suite", written.path, "--plugin", written.plugins[0], "--json")

    assert code == 0
    assert results.cells["key"][0] in out


@pytest.fixture
def call(home):
    from click.testing import CliRunner

    from mubench.cli import main

    def invoke(*words):
        result = CliRunner().invoke(main, [str(w) for w in words])
        return result.exit_code, result.stdout, result.stderr

    return invoke


def test_keys_of_a_suite(written):
    suite = written(
        seeds=3, epochs=8, lr=1, methods={"FT": {"lr": 0.5}}, batch_size=np.int64(64), title='a "b"'
    )

    assert suite.seeds == [0, 1, 2]
    assert (suite.original.epochs, suite.original.lr, suite.original.milestones) == (8, 1.0, [4, 6])
    assert suite.methods == {"FT": {"lr": 0.5}}
    assert (suite.batch_size, suite.title, suite.dataset) == (64, 'a "b"', "arrays")


def test_recipes_say_more_than_the_short_form(written):
    assert written(epochs=4, original={"milestones": [3]}).original.milestones == [3]
    assert written(epochs=4, original={"schedule": "cosine"}).original.milestones == []


@pytest.mark.parametrize(
    ("forget", "expected"),
    [
        (10, {"scenario": "random", "percent": 10}),
        ({"percent": 5, "scenario": "random"}, {"scenario": "random", "percent": 5}),
        ({"class": 2}, {"scenario": "class", "class": 2}),
    ],
)
def test_forget_sets(written, forget, expected):
    assert written(forget=forget).forget.model_dump(by_alias=True) == expected


def test_a_list_of_indices(written):
    (place,) = [written(forget=[3, 1, 4]).forget.file]

    assert open(place).read() == "3\n1\n4\n"  # noqa: PTH123, SIM115


@pytest.mark.parametrize("own", [net, Net, declared])
def test_models(home, own):
    written = Suite(dataset=(IMAGES, LABELS), model=own, forget=20).write(Store(home / "store"))

    assert load(written.path).model == ("declared-net" if own is declared else own.__name__)


def test_a_declared_dataset_with_options(home):
    suite = Suite(dataset=declared_data, data={"count": 40}, model=net, forget=20)
    loaded = load(suite.write(Store(home / "store")).path)

    assert (loaded.dataset, loaded.data) == ("declared-data", {"count": 40})


def four():
    return net(4)


def soft():
    return nn.Sequential(net(3), nn.Softmax(1))


def no_linear():
    return nn.Sequential(nn.Conv2d(1, 3, 8), nn.Flatten())


def too_wide(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(100, num_classes))


def needs(width):
    return net(width)


def raising():
    raise KeyError("gotcha")


def pair():
    return net(3), 64


WRONG_MODELS = {
    four: r"model 'four' returns \(2, 4\) for 2 images; expected \(2, 3\): a logit per class",
    soft: "model 'soft' does not return what its last nn.Linear gives; expected those logits",
    no_linear: "model 'no_linear': expected a network with an nn.Linear as its last .* ends in Flatten; or",
    too_wide: "model 'too_wide' does not take images of 1x8x8: ",
    needs: "model 'needs': what is 'width'. A factory takes channels and num_classes, or nothing",
    raising: "model 'raising' cannot be made: KeyError: 'gotcha'",
    pair: "model 'pair': its factory makes a tuple; expected a torch.nn.Module",
    net(3): "model is a Sequential; expected a name, or a function or class that makes the network",
    (lambda: net(3)): "has no source: define it by def",
}


@pytest.mark.parametrize("own", WRONG_MODELS)
def test_wrong_models_are_refused_before_training(home, own):
    with pytest.raises(UsageError, match=WRONG_MODELS[own]) as caught:
        mubench.run(Suite(dataset=(IMAGES, LABELS), model=own, forget=20), store=home / "store")
    assert "\n" not in str(caught.value)


def test_a_backbone_of_another_width_is_refused(home):
    @model("liar")
    def liar(channels):
        return nn.Flatten(), 63

    with pytest.raises(UsageError, match=r"model 'liar'.*\(2, 64\); expected features \(2, 63\), as it says"):
        Suite(dataset=(IMAGES, LABELS), model=liar, forget=20).write(Store(home / "store"))


def test_headless_takes_the_last_layer_out():
    network = Net()
    hidden = network.body(torch.ones(1, 64)).relu()
    backbone, width = headless(network, 3)

    assert width == 8
    assert torch.equal(backbone(torch.ones(1, 1, 8, 8)), hidden)
    with pytest.raises(TypeError, match=r"expected 4 logits, .*last nn.Linear \(out\) gives 3"):
        headless(Net(), 4)
    with pytest.raises(TypeError, match=r"expected a network with an nn.Linear as its last layer"):
        headless(nn.Linear(3, 3))


def undeclared(model, task):
    pass


WRONG_CALLS = {
    "methods as text": (("digits-random-50", "FT"), {}, r"methods is a text; expected a list, as \['FT'\]"),
    "not declared": (("digits-random-50", [undeclared]), {}, "'undeclared' is not declared: put @method"),
    "a model as a method": (
        ("digits-random-50", [declared]),
        {},
        "model 'declared' is not declared: put @method",
    ),
    "a typo": (("digits-random-50", ["FTT"]), {}, "unknown method 'FTT' in --methods. Did you mean 'FT'"),
    "another suite": (("digits-random-5",), {}, "unknown suite 'digits-random-5'. Did you mean"),
    "seeds": (("digits-random-50",), {"seeds": 99}, "the suite has"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_wrong_calls_are_one_line(run, case):
    words, options, said = WRONG_CALLS[case]

    with pytest.raises(UsageError, match=said):
        run(*words, **options)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sedes": [1]}, "unknown key 'sedes'. Did you mean 'seeds'"),
        ({"forget": "ten"}, "forget is str; expected a percentage"),
        ({"data": {"root": "x"}}, "data has 'root'; for arrays it may hold padding and flip"),
        ({"notes": [object()]}, "a suite cannot hold <object"),
    ],
)
def test_wrong_keys_are_one_line(written, keys, said):
    with pytest.raises(UsageError, match=said):
        written(**keys)


def test_a_model_is_tried_without_a_trace(home):
    before = torch.get_rng_state(), torch.get_num_threads()
    Suite(dataset=(IMAGES, LABELS), model=net, forget=20).write(Store(home / "store"))

    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert check_model.__doc__
