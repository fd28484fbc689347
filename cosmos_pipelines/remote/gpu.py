"""The GPUs of a host, as `nvidia-smi` tells them. Mechanics only.

A host without a GPU, or with a broken driver, is an answer like another: see `GpuState.problem`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from cosmos_pipelines.foreign import whole

FIELDS: Final = ("index", "uuid", "memory.total", "memory.used", "utilization.gpu",
                 "temperature.gpu", "power.draw", "driver_version", "name")  # fmt: skip
"""The name comes last: it alone may hold a comma."""

KEEP_S: Final = 1.0
"""Seconds for which an answer serves: a query takes the driver 20 ms to a second."""


class Answer(Protocol):
    """What a program left when it ended."""

    @property
    def exit_code(self) -> int:
        """Of the program."""

    @property
    def stdout(self) -> bytes:
        """All of it."""

    @property
    def stderr(self) -> bytes:
        """All of it."""


@dataclass(frozen=True)
class Gpu:
    """One GPU now; None where the driver does not tell."""

    index: int
    uuid: str
    name: str
    driver: str
    memory_total_mib: int | None
    memory_used_mib: int | None
    load_percent: int | None
    temperature_c: int | None
    power_w: float | None

    @property
    def memory_free_mib(self) -> int | None:
        """Memory that nobody uses."""
        if self.memory_total_mib is None or self.memory_used_mib is None:
            return None
        return self.memory_total_mib - self.memory_used_mib


@dataclass(frozen=True)
class GpuState:
    """All GPUs of a host at one moment."""

    gpus: tuple[Gpu, ...]
    problem: str | None = None
    """One line: why there are none."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"gpus": [asdict(gpu) for gpu in self.gpus]}


def query_argv() -> list[str]:
    """Ask for all GPUs: `parse`."""
    return ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]


def parse(exit_code: int, stdout: str, stderr: str = "") -> GpuState:
    """The answer to `query_argv`, whatever it is."""
    gpus = tuple(gpu for line in stdout.splitlines() if (gpu := _gpu(line)))
    if gpus:
        return GpuState(gpus)
    # nvidia-smi says its errors on standard output.
    said = " ".join(f"{stdout}\n{stderr}".split())
    if exit_code == 127 or "not found" in said or "No such file" in said:
        return GpuState((), "nvidia-smi is not there: no NVIDIA driver is installed.")
    if "No devices were found" in said or (exit_code == 0 and not said):
        return GpuState((), "The driver finds no GPU.")
    return GpuState((), said[:300] or f"nvidia-smi failed with exit code {exit_code}.")


class GpuReader:
    """The state of a host's GPUs, asked at most once in `keep_s` seconds. Threads may share it.

    `run` executes an argument vector on the host; what it raises (a lost link) passes through.
    """

    def __init__(
        self,
        run: Callable[[list[str]], Answer],
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._keep_s, self._clock = run, keep_s, clock
        self._lock = threading.Lock()
        self._state: GpuState | None = None
        self._asked = 0.0

    def read(self) -> GpuState:
        """The state now, or as it was `keep_s` seconds ago at most."""
        with self._lock:
            if self._state is None or self._clock() - self._asked >= self._keep_s:
                answer = self._run(query_argv())
                texts = (x.decode(errors="replace") for x in (answer.stdout, answer.stderr))
                self._state = parse(answer.exit_code, *texts)
                self._asked = self._clock()
            return self._state


@dataclass
class Peak:
    """The most that a run's GPUs have shown so far; None until the driver told."""

    memory_mib: int | None = None
    """Sum over its GPUs."""
    load_percent: int | None = None
    """Mean over its GPUs."""

    def add(self, state: GpuState, indices: Sequence[int] | None = None) -> None:
        """Take a look into account; of these GPUs only, if given."""
        ours = [gpu for gpu in state.gpus if indices is None or gpu.index in indices]
        memory = [g.memory_used_mib for g in ours if g.memory_used_mib is not None]
        load = [g.load_percent for g in ours if g.load_percent is not None]
        if memory:
            self.memory_mib = max(self.memory_mib or 0, sum(memory))
        if load:
            self.load_percent = max(self.load_percent or 0, round(sum(load) / len(load)))

    def as_dict(self) -> dict[str, int]:
        """What is known, as plain JSON values."""
        return {f"gpu_peak_{k}": v for k, v in asdict(self).items() if v is not None}


def _gpu(line: str) -> Gpu | None:
    words = [word.strip() for word in line.split(",", len(FIELDS) - 1)]
    if len(words) != len(FIELDS) or (index := whole(words[0])) is None:
        return None
    total, used, load, temperature, power = (_number(word) for word in words[2:7])
    return Gpu(
        index=index,
        uuid=words[1],
        name=words[8],
        driver=words[7],
        memory_total_mib=_whole(total),
        memory_used_mib=_whole(used),
        load_percent=_whole(load),
        temperature_c=_whole(temperature),
        power_w=power,
    )


def _number(word: str) -> float | None:
    """A number; None for `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `ERR!` and the like."""
    return float(word) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", word, re.ASCII) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
