"""What of two machines differs, in words."""

import json
import subprocess
import sys

import pytest

from mubench.running.machine import difference, facts, facts_apart

HERE = {
    "torch": "2.6",
    "processor": {"capability": "AVX512", "instructions": ["avx", "fma"], "environment": {}},
}


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({}, ""),
        ({"torch": "2.5"}, "its torch is 2.5, here it is 2.6"),
        (
            {"processor": {**HERE["processor"], "instructions": ["avx", "sse"]}},
            "its processor instructions is sse, here it is fma",
        ),
        (
            {"processor": {**HERE["processor"], "environment": {"MKL_CBWR": "AVX"}}},
            "its processor environment MKL_CBWR is AVX, here it is not set",
        ),
    ],
)
def test_only_what_differs_is_named(there, words):
    assert difference({**HERE, **there}, HERE) == words


def test_another_process_of_this_machine_finds_the_same():
    assert facts_apart("cpu") == json.loads(json.dumps(facts("cpu")))


def test_a_process_that_cannot_tell_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(subprocess.CalledProcessError):
        facts_apart("cpu")
