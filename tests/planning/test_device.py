"""What is known of the processor without torch agrees with torch, and decides keys."""

import json
import os
import subprocess
import sys

import pytest

from mubench.planning import device
from mubench.planning.device import cpu_capability, default_jobs, processor, resolve_device, resolve_precision

PLANNED = """
import sys, tempfile
from pathlib import Path
from mubench.discovery.find import Catalogue
from mubench.planning import suite
from mubench.planning.device import cpu_capability
from mubench.planning.plan import make_plan
from mubench.storage.store import Store
known = Catalogue((), Path(sys.argv[1]) / "specs")
plan = make_plan(suite.load(suite.find("digits-class-3")), known, Store(Path(sys.argv[1])), "cpu")
import torch
# older versions of torch call the default otherwise
assert cpu_capability() == torch.backends.cpu.get_cpu_capability().replace("NO AVX", "DEFAULT")
print(*[cell.key for cell in plan.cells])
"""
X86 = "processor : 0\nvendor_id : GenuineIntel\nmodel : 85\nflags : sse2 fma avx2 {}\n\nprocessor : 1\n"


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    """`cpuinfo(text)`: what /proc/cpuinfo says."""

    def write(text):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        monkeypatch.setattr(device, "Path", lambda _: path)

    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    return write


def test_another_capability_gives_other_keys_and_is_the_one_torch_uses(tmp_path):
    """Processes of their own: torch settles its capability when it is imported."""
    found = {}
    for override in ("", "default"):
        environment = {k: v for k, v in os.environ.items() if k != "ATEN_CPU_CAPABILITY"}
        environment |= {"ATEN_CPU_CAPABILITY": override} if override else {}
        command = [sys.executable, "-P", "-c", PLANNED, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        found[override] = done.stdout.split()

    assert len(found[""]) == len(found["default"]) > 3
    assert not set(found[""]) & set(found["default"])


@pytest.mark.parametrize(
    ("flags", "override", "capability"),
    [
        ("", None, "AVX2"),
        ("avx512f avx512vl avx512bw avx512dq", None, "AVX512"),
        ("avx512f avx512vl", None, "AVX2"),
        ("avx512f avx512vl avx512bw avx512dq", "avx2", "AVX2"),
        ("", "default", "DEFAULT"),
        ("", "AVX512", "AVX2"),
    ],
)
def test_the_capability_of_an_x86_processor(cpuinfo, monkeypatch, flags, override, capability):
    cpuinfo(X86.format(flags))
    if override:
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", override)

    assert cpu_capability() == capability


def test_what_decides_nothing_is_not_among_the_facts(cpuinfo):
    cpuinfo(X86.format("nx"))
    one = processor("cpu")
    cpuinfo("cpu MHz : 9\n" + X86.format("smap"))

    assert processor("cpu") == one


@pytest.mark.parametrize(
    "text", [X86.format("avx512_bf16"), X86.format("").replace("85", "86"), "Features : asimd sve\n", ""]
)
def test_another_processor_is_another_fact(cpuinfo, text):
    cpuinfo(X86.format(""))
    one = processor("cpu")
    cpuinfo(text)

    assert json.dumps(processor("cpu")) != json.dumps(one)


@pytest.mark.parametrize(
    "name", ["MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE"]
)
def test_variables_that_choose_other_kernels_are_facts(monkeypatch, name):
    monkeypatch.delenv(name, raising=False)
    one = processor("cpu")
    monkeypatch.setenv(name, "SSE4_2")

    assert processor("cpu") != one


@pytest.mark.parametrize(
    ("flags", "precision"), [("avx512_bf16", "bf16"), ("amx_bf16", "bf16"), ("", "fp32")]
)
def test_the_precision_of_auto_is_what_the_processor_computes_in(cpuinfo, flags, precision):
    cpuinfo(X86.format(flags))

    assert resolve_precision("auto", "cpu") == precision
    assert resolve_precision("fp32", "cpu") == "fp32"


def test_as_many_jobs_as_the_threads_leave_room_for(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    assert [default_jobs("cpu", threads) for threads in (1, 3, 8, 99)] == [8, 2, 1, 1]
    assert default_jobs("cuda", 1) == 1


def test_without_a_driver_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(device, "_may_have_cuda", lambda: False)

    assert resolve_device("auto") == "cpu"
