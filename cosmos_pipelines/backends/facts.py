"""The state of a machine now, as texts for people: disk, memory, kernel messages, GPUs.

The same programs run on this machine and on a host; each output, also an error, is one file.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from cosmos_pipelines.remote import gpu

ASK_S: Final = 5.0
"""Seconds for one program."""
KERNEL_LINES: Final = 200
RECORDS: Final = (
    "start.log",
    "pid",
    "boot_id",
    "stop",
    "finished.json",
    "result.json",
    "exit_code",
)
LONGEST: Final = 256 << 10
"""Characters of one file."""

Ask = Callable[[Sequence[str]], str]
"""Run a program and return its output with standard error."""


def questions(directory: str) -> Mapping[str, list[str]]:
    """Return the program for each file name; `directory` holds the run folders."""
    return {
        "disk.txt": ["sh", "-c", 'df -hP; echo; df -iP -- "$1"', "cosmos", directory],
        "memory.txt": ["sh", "-c", "cat /proc/meminfo /proc/loadavg"],
        "gpu.txt": ["nvidia-smi"],
        "dmesg.txt": ["sh", "-c", f"dmesg -T 2>&1 | tail -n {KERNEL_LINES}"],
        "system.txt": ["sh", "-c", "uname -a; cat /etc/os-release; uptime"],
    }


def answers(ask: Ask, directory: str) -> dict[str, str]:
    """Return the output of each of the `questions`; `ask` returns the reason if a program fails."""
    return {name: ask(argv)[-LONGEST:] for name, argv in questions(directory).items()}


def here(directory: Path) -> dict[str, str]:
    """Return the state of this machine."""
    return answers(ask_here, str(directory))


def records(folder: Path) -> dict[str, str]:
    """Return the texts of those records that the run folder has."""
    files = {name: folder / name for name in RECORDS}
    return {f"folder/{name}": _end_of(file) for name, file in files.items() if file.is_file()}


def _end_of(file: Path) -> str:
    with file.open("rb") as f:
        f.seek(max(0, file.stat().st_size - LONGEST))
        return f.read(LONGEST).decode(errors="replace")


def gpus_here(first: int | None = None) -> gpu.GpuState:
    """Return the first GPUs of this machine (None: all); no GPU if nvidia-smi is missing."""
    done = run_here(gpu.query_argv())
    state = gpu.parse(*done) if done else gpu.GpuState(())
    return gpu.GpuState(state.gpus[:first], state.problem)


def ask_here(argv: Sequence[str]) -> str:
    """Return the output of a program of this machine, or a line that the program is missing."""
    done = run_here(argv)
    return f"{argv[0]} is not installed.\n" if done is None else done[1] + done[2]


def run_here(argv: Sequence[str]) -> tuple[int, str, str] | None:
    """Return exit code, output and errors of a program of this machine; None if it is missing.

    A program that does not end within `ASK_S` is killed; the error text says so.
    """
    try:
        done = subprocess.run(
            list(argv), capture_output=True, check=False, timeout=ASK_S, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as e:
        return 124, "", f"{argv[0]} did not answer: {e}\n"
    out, err = (x.decode(errors="replace") for x in (done.stdout, done.stderr))
    return done.returncode, out, err


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the libraries that runs use."""
    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    for name in ("cosmos-pipelines", "dagster", "paramiko", "av", "sqlalchemy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
