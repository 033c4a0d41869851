"""The scripts behind the figures of the documents still run."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOLS = Path(__file__).parent.parent / "tools"


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestPredictScale:
    """The model behind the table of docs/scale.md."""

    @pytest.fixture
    def tool(self):
        return load("predict_scale")

    def cells(self, tree):
        return [SimpleNamespace(key=key, original=original) for key, original in tree.items()]

    def test_how_long_cells_take_that_wait_for_their_originals(self, tool):
        tree = {"o1": "", "o2": "", "retrain": "", "a1": "o1", "b1": "o1", "a2": "o2"}
        seconds = {"o1": 10, "o2": 10, "retrain": 9, "a1": 2, "b1": 2, "a2": 2}
        cells = self.cells(tree)

        assert tool.makespan(cells, seconds, 1) == 35  # nobody waits
        assert tool.makespan(cells, seconds, 64) == 12  # an original and a method after it
        # o1 and o2 until 10; then retrain until 19 beside a1, b1, a2 until 12, 14 and 16
        assert tool.makespan(cells, seconds, 2) == 19
        assert tool.makespan(cells, seconds, 3) == 12
        assert tool.makespan([], seconds, 2) == 0

    def test_an_original_that_is_there_already_is_not_waited_for(self, tool):
        assert tool.makespan(self.cells({"a": "elsewhere", "b": "a"}), {"a": 3, "b": 4}, 8) == 7

    def test_a_backward_pass_costs_two_forward_ones(self, tool):
        assert tool.full_samples({"forward": 30, "backward": 30}) == 30
        assert tool.full_samples({"forward": 30, "backward": 0}) == 10

    def test_what_a_sample_of_a_row_costs_beside_one_of_retrains(self, tool, tmp_path):
        file = tmp_path / "cells.csv"
        file.write_text(
            "method,status,rte,forward,backward\nRetrain,ok,10,100,100\nRetrain,ok,30,100,100\n"
            "IU,ok,12,30,0\nOriginal,ok,0,0,0\nGA,FAILED,,,\n"
        )

        assert tool.weights(file) == {"Retrain": 1.0, "IU": pytest.approx(6.0)}

    def test_it_predicts_the_times_of_published_cells(self, tool):
        """At the rate of Retrain, each row but IU within a third."""
        for suite in ("cifar10-random-10-small", "cifar10-class-small", "fashion-random-10-small"):
            found = tool.weights(tool.PUBLISHED.parents[1] / suite / "cells.csv")
            assert all(0.66 < w < 1.34 for name, w in found.items() if name != "IU"), found
