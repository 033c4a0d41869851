"""Compiled backbones: the same numbers, the same names of weights, and never an accident."""

import copy
import shutil

import pytest
import torch

from mubench.errors import UsageError
from mubench.planning.device import check_compile
from mubench.running.bench import Bench
from mubench.running.cell import _warm_up
from mubench.running.evaluate import predict
from mubench.storage.store import Store


@pytest.fixture
def models(bench, home):
    """A newly made model, a compiled one of the same weights, and the bench of the latter."""
    store = Store(home / "store")
    plans = [bench(change, dry=True) for change in ("", "compile = true")]
    benches = [Bench(plan.cells[0].setting, store) for plan in plans]
    return (*(b.fresh(0, "original") for b in benches), benches[1])


def test_compile_is_part_of_every_key(bench, keys):
    plain, compiled = (keys(bench(f"compile = {value}", dry=True)) for value in ("false", "true"))

    assert keys(bench(dry=True)) == plain
    assert all(compiled[row][0] != plain[row][0] for row in plain)


def test_without_a_compiler_it_is_refused_before_anything_runs(bench, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")

    check_compile("cuda")
    with pytest.raises(UsageError, match=r"tiny\.toml: compile = true needs the C\+\+ .*no-such-compiler"):
        bench("compile = true", dry=True)


def test_only_the_model_itself_is_compiled_and_never_evaluated_so(models):
    plain, compiled, data = models
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert compiled.backbone._compiled_call_impl is not None
    assert copy.deepcopy(compiled).backbone._compiled_call_impl is None

    compiled.backbone._compiled_call_impl = pytest.fail
    images = data.images[:5]
    assert torch.equal(predict(compiled, images)[0], predict(plain, images)[0])
    assert compiled.backbone._compiled_call_impl is pytest.fail


def test_the_warm_up_leaves_no_trace(models):
    plain, _, data = models
    before = copy.deepcopy(plain.state_dict())

    _warm_up(data, plain, data.images, data.labels)

    assert all(torch.equal(before[n], t) for n, t in plain.state_dict().items())
    assert (plain.ledger.forward, plain.ledger.backward) == (0, 0)
    assert all(p.grad is None for p in plain.parameters())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_training_gives_the_same_model(bench, keys):
    # each cell compiles for itself, which takes its time
    one = 'methods = ["FT"]\nfloor = 0\nseeds = [0]'
    runs = [bench(f"{one}\ncompile = {c}", store=c) for c in ("false", "true")]

    for row in ("Retrain", "FT"):
        logits = []
        for plan, outcomes, store in runs:
            assert {(o.status, o.reason) for o in outcomes.values()} == {("ok", "")}
            logits.append(torch.from_numpy(store.get(keys(plan)[row][0]).outputs().logits["test"]))
        torch.testing.assert_close(*logits, rtol=1e-3, atol=1e-3)
