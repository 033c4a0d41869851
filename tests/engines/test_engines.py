"""Engines are plugins: found by name, refused in one line, and what they are asked."""

import importlib.util
import math
import socket
from types import SimpleNamespace

import pytest

import mubench
from mubench.api.engine import engine
from mubench.commands.request import Request
from mubench.commands.run import make_records
from mubench.discovery.find import Catalogue
from mubench.engines import _cluster, ray
from mubench.errors import UsageError
from mubench.storage.store import Store

MINE = """
from pathlib import Path
from mubench.api.engine import engine
from mubench.running.executor import local_workers

@engine("mine")
class Mine:
    '''Notes what it is asked.'''

    def __init__(self, *, note: str = "note"):
        self.note = Path(note)

    def workers(self, cells, store, jobs, pulse):
        self.note.write_text(f"{len(cells)} cells, jobs {jobs}")
        return local_workers(cells, store, 0)

    def close(self):
        self.note.write_text(self.note.read_text() + ", closed")
"""


def request(home, **options):
    return Request("digits-random-50", Store(home / "store"), **options)


def test_the_built_in_ones_and_their_options():
    found = Catalogue().engines

    assert set(found) == {"local", "ray", "slurm"}
    assert [p.name for p in found["ray"].parameters] == ["address", "gpus_per_cell"]
    assert found["slurm"].parameters[-1].choices == ("slurm", "local")
    assert found["local"].summary.startswith("Processes of this machine")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "rayy"}, "unknown engine 'rayy'. Did you mean 'ray'?"),
        (
            {"engine": "local", "gpus_per_cell": 0.5},
            "--gpus-per-cell is no option of --engine local, but of ray",
        ),
        ({"engine": "slurm", "address": "head:1"}, "--address is no option of --engine slurm, but of ray"),
        (
            {"engine": "slurm", "engine_set": ("partiton=gpu",)},
            "unknown parameter 'partiton' in --engine slurm. Did you mean 'partition'?",
        ),
        ({"engine": "slurm", "engine_set": ("minutes=an hour",)}, "minutes = 'an hour' is not int"),
        ({"engine": "slurm", "engine_set": ("minutes=0",)}, "minutes = 0: a job needs at least 1"),
        (
            {"engine": "slurm", "engine_set": ("memory_gb=-1",)},
            "memory_gb = -1: give 1 or more, or 0 for no limit",
        ),
        ({"engine": "slurm", "engine_set": ("minutes",)}, "--engine-set 'minutes': write key=value"),
        ({"engine": "ray", "gpus_per_cell": math.nan}, "--engine ray: gpus_per_cell = nan is not float"),
    ],
)
def test_wrong_words_are_refused(home, options, message):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        _ = request(home, **options).workforce
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_what_is_not_installed_is_named_with_the_command(home, name, package, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda one: None if one == package else find(one))

    with pytest.raises(UsageError) as caught:
        _ = request(home, engine=name).workforce

    needs = f"--engine {name} needs {package}, which is not installed"
    assert str(caught.value) == f"{needs}: pip install 'mubench[{name}]'"


class TestRay:
    """What is refused before Ray is asked."""

    @pytest.fixture(autouse=True)
    def _installed(self, monkeypatch):
        monkeypatch.setattr(ray, "need_package", lambda *_: None)

    @pytest.mark.parametrize("share", [0.0, -1.0, 1.5, 2.0, math.inf])
    def test_a_share_of_a_gpu_is_above_0_and_at_most_1(self, share):
        with pytest.raises(UsageError, match=f"--gpus-per-cell {share:g}: a cell takes a GPU or a share"):
            ray.Ray(gpus_per_cell=share)

    @pytest.mark.parametrize(
        ("given", "address"),
        [("auto", "auto"), ("head", "head:6379"), ("head:7000", "head:7000"), ("10.0.0.1", "10.0.0.1:6379")],
    )
    def test_an_address_gets_rays_port(self, given, address):
        assert _cluster.full_address(given) == address

    @pytest.mark.parametrize("address", ["", ":6379", "head:port", "ray://head:10001", "head:"])
    def test_what_is_no_address(self, address):
        with pytest.raises(UsageError, match="give auto, HOST or HOST:PORT"):
            _cluster.full_address(address)

    def test_a_cluster_that_is_not_there_is_refused_at_once(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(UsageError, match=f"no Ray cluster answers at {address} ") as caught:
                _cluster.check_reachable(address)  # nobody listens
        assert "Connection refused" in str(caught.value)

    def test_one_that_was_stopped_is_refused_as_auto(self, monkeypatch, tmp_path):
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        monkeypatch.delenv("RAY_ADDRESS", raising=False)

        with pytest.raises(UsageError, match="no Ray cluster answers on this machine"):
            _cluster.check_reachable("auto")

    @pytest.mark.parametrize(
        ("has", "share", "count", "beside"),
        [
            ({"CPU": 32, "GPU": 8}, 1.0, 8, 1),
            ({"CPU": 32, "GPU": 2}, 0.3, 6, 3),
            ({"CPU": 32, "GPU": 3}, 0.6, 3, 1),  # and not 5: what is left of two GPUs is no share of one
            ({"CPU": 3, "GPU": 2}, 0.5, 3, 2),
            ({"CPU": 32}, 1.0, 0, 1),
        ],
    )
    def test_places_of_a_node_with_gpus(self, has, share, count, beside):
        setting = SimpleNamespace(device="cuda", threads=4)
        node = {"NodeID": "n", "NodeManagerAddress": "host", "Resources": has}

        seats = ray._seats(node, ray._demand(setting, share), setting, None)

        assert len(seats) == count
        assert all(seat._beside == beside for seat in seats)

    def test_places_of_a_node_without(self):
        setting = SimpleNamespace(device="cpu", threads=4)
        node = {"NodeID": "n", "NodeManagerAddress": "host", "Resources": {"CPU": 14.0, "GPU": 2}}

        seats = ray._seats(node, ray._demand(setting, 1.0), setting, None)

        assert [seat._beside for seat in seats] == [3, 3, 3]  # they share its memory


def test_an_engine_of_a_plugin_runs_what_is_missing_and_is_not_asked_for_nothing(
    home, made_up, suite_file, plugin_file
):
    plugin, suite = plugin_file(MINE, head=""), suite_file()
    words = {"engine": "mine", "plugins": (plugin,), "engine_set": (f"note={home}/asked",), "device": "cpu"}
    asked = Request(str(suite), Store(home / "store"), jobs=3, **words)

    _, outcomes, *_ = make_records(asked, None)

    assert [o.status for o in outcomes] == ["ok"] * 3
    assert (home / "asked").read_text() == "3 cells, jobs 3, closed"
    (home / "asked").unlink()
    assert make_records(asked, None)[1] == []
    assert not (home / "asked").exists()


def test_python_runs_on_an_engine_too(home, made_up, suite_file, plugin_file):
    options = {"note": str(home / "asked")}
    words = {"plugins": [plugin_file(MINE, head="")], "device": "cpu", "quiet": True}

    results = mubench.run(suite_file(), engine="mine", engine_options=options, **words)

    assert results.failures.empty
    assert (home / "asked").read_text() == "3 cells, jobs None, closed"


def test_a_class_with_an_option_without_a_default_is_no_engine():
    with pytest.raises(TypeError, match=r"engine 'x' \(X\): parameter hosts needs a default"):

        @engine("x")
        class X:
            def __init__(self, *, hosts: str) -> None: ...
