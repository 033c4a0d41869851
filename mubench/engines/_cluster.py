"""A Ray cluster seen from outside: its address, whether it answers, its nodes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mubench.errors import UsageError, printable
from mubench.running.outcome import one_line

# Seconds that a cluster may take to answer, and to take a connection, before it counts as unreachable.
ANSWER = 30.0
CONNECT = 5.0
PORT = 6379


def full_address(address: str) -> str:
    """ "auto", or HOST:PORT; UsageError for anything else."""
    host, colon, port = address.strip().rpartition(":") if ":" in address else (address.strip(), "", "")
    if address == "auto":
        return address
    if not host or "/" in address or (colon and not port.isdecimal()):
        raise UsageError(f"--address {printable(address)!r}: give auto, HOST or HOST:PORT of the head node")
    return f"{host}:{port or PORT}"


def unreachable(address: str, reason: str) -> UsageError:
    where = "on this machine" if address == "auto" else f"at {address}"
    return UsageError(
        f"no Ray cluster answers {where} ({one_line(reason, 200)}); start one by `ray start --head`, or give "
        "--address HOST:PORT"
    )


def check_reachable(address: str) -> None:
    """UsageError if no cluster answers there in `ANSWER` seconds; `ray.init` alone would wait for minutes."""
    words = [] if address == "auto" else ["--address", address]
    host, _, port = (_own_cluster() if address == "auto" else address).rpartition(":")
    if host and port.isdecimal():
        try:  # what refuses at once need not be waited for
            socket.create_connection((host, int(port)), CONNECT).close()
        except OSError as error:
            raise unreachable(address, str(error.strerror or error)) from None
    # in a process of its own: it may hang, and prints a lot
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check", *words]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=ANSWER)
    except subprocess.TimeoutExpired:
        raise unreachable(address, f"not within {ANSWER:g} s") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it is not healthy"])[-1]
        raise unreachable(address, last) from None


def _own_cluster() -> str:
    """HOST:PORT of the cluster that Ray calls auto, or "" where Ray itself must tell."""
    with suppress(OSError):
        folder = Path(os.environ.get("RAY_TMPDIR", "/tmp"))
        noted = (folder / "ray" / "ray_current_cluster").read_text(encoding="utf-8")
        return os.environ.get("RAY_ADDRESS") or noted.strip()
    return os.environ.get("RAY_ADDRESS", "")


def nodes() -> list[dict[str, Any]]:
    """What Ray says of the nodes that are alive, always in one order."""
    import ray

    return sorted((n for n in ray.nodes() if n["Alive"]), key=lambda n: str(n["NodeID"]))
