"""The scripts behind the figures of the documents still run."""

import importlib.util
from pathlib import Path

from click.testing import CliRunner

TOOLS = Path(__file__).parent.parent / "tools"


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_about_compiling_prints_a_row_per_model(monkeypatch):
    monkeypatch.setattr("torch.nn.Module.compile", lambda _: None)  # a minute, and a C++ compiler

    words = ["small-cnn", "--batch-size", "4", "--seconds", "0.01", "--threads", "1"]
    result = CliRunner().invoke(load("measure_compile").main, words, catch_exceptions=False)

    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert [line for line in lines if line.startswith("| small-cnn | ")] == [lines[2]]
    assert lines[2].count("|") == lines[0].count("|")
