"""Processes that have ended, that belong to another boot, and that run in a container of their own.

A container is a PID namespace with its own `/proc`, on this machine and with its host name.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil
import pytest

from cosmos_pipelines.backends.owner import owner_name
from cosmos_pipelines.identity import Identity, own_identity

ROOT: Final = Path(__file__).resolve().parents[2]
CONTAINER: Final = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
TIME_NAMESPACE: Final = ("unshare", "--time", "--boottime", "100000", "--fork", "--kill-child")


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process executes no more; it may still wait for its parent to look at it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def gone_owner(later: int = 1) -> str:
    """Return the name of a process that has ended: this one's id has been given again since."""
    own = own_identity()
    return named(replace(own, started=own.started + later))


def owner_of_another_boot() -> str:
    """Return the name that this process would have in another boot, or on a clone."""
    return named(replace(own_identity(), boot_id="5e1f0b1c-0000-4000-8000-000000000000"))


def named(process: Identity) -> str:
    """Return the name of a process on this host."""
    host = owner_name().partition(":")[0]
    return f"{host}:{process.pid}:{process.started}:{process.boot_id}:{process.space}"


def needs(namespace: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words that run a program in a new namespace; skip if the kernel forbids it."""
    try:
        subprocess.run([*namespace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as e:
        said = e.stderr.decode() if isinstance(e, subprocess.CalledProcessError) else str(e)
        pytest.skip(f"this kernel or user may not make namespaces: {said.strip()}")
    return namespace


def python_in(namespace: tuple[str, ...], code: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python program in a namespace; its input and output are pipes."""
    return subprocess.Popen(
        [*namespace, sys.executable, "-c", code, *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
