"""The GPUs of a host, as `nvidia-smi` lists them.

A host without a GPU or with a broken driver raises no error: see `GpuState.problem`.
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
"""The name comes last: only the name may hold a comma."""

MOST: Final = 64
"""Number of GPUs that are read, of a host that may say anything."""
LONGEST: Final = 1000
"""Characters of a line that are read."""
BROKEN: Final = re.compile(r"\[(GPU requires reset|GPU is lost)\]")
"""Values of a GPU that has failed; `[N/A]` and `[Unknown Error]` occur on sound ones as well."""
SIGNS: Final = (
    "temperature.gpu",
    "ecc.errors.uncorrected.volatile.total",
    "remapped_rows.pending",
    "retired_pages.pending",
    "gpu_recovery_action",
)
"""Fields that show a failing GPU (`nvidia-smi --help-query-gpu`)."""
UNUSABLE: Final = frozenset({"GPU requires reset", "GPU is lost", "the driver asks for: Reset",
                             "the driver asks for: Reboot"})  # fmt: skip
"""Signs with which no program can use the GPU; with the others it still works."""
_ASK_EACH: Final = """
for field do
    nvidia-smi "--query-gpu=index,$field" --format=csv,noheader,nounits 2>/dev/null |
    while IFS= read -r row; do printf '%s %s\\n' "$field" "$row"; done
done
"""
_NO_HANDLE: Final = re.compile("Unable to determine the device handle for GPU|GPU is lost")

KEEP_S: Final = 1.0
"""Seconds for which an answer is used again: a query takes the driver 20 ms to a second."""


class Answer(Protocol):
    """The result of a program that has ended."""

    @property
    def exit_code(self) -> int:
        """The program's exit code."""

    @property
    def stdout(self) -> bytes:
        """All of the program's output."""

    @property
    def stderr(self) -> bytes:
        """All of the program's errors."""


@dataclass(frozen=True)
class Gpu:
    """The state of one GPU now; None if the driver gives no value."""

    index: int
    uuid: str
    name: str
    driver: str
    memory_total_mib: int | None
    memory_used_mib: int | None
    load_percent: int | None
    temperature_c: int | None
    power_w: float | None
    fault: str | None = None
    """What the driver says instead of values if the GPU has failed: `GPU requires reset`."""

    @property
    def memory_free_mib(self) -> int | None:
        """The free memory of the GPU."""
        if self.memory_total_mib is None or self.memory_used_mib is None:
            return None
        return self.memory_total_mib - self.memory_used_mib


@dataclass(frozen=True)
class GpuState:
    """All GPUs of a host at one moment."""

    gpus: tuple[Gpu, ...]
    problem: str | None = None
    """One line: why there are no GPUs, or what is wrong with one that is not listed."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"gpus": [asdict(gpu) for gpu in self.gpus]}


def query_argv() -> list[str]:
    """Return a program that lists all GPUs; `parse` reads its output."""
    return ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]


def health_argv() -> list[str]:
    """Return a program that prints the signs of a failing GPU; `parse_health` reads its output.

    Each field is asked for by itself: nvidia-smi refuses a whole query for one field that its
    driver does not know yet, or no longer (`Field "..." is not a valid field to query.`).
    """
    return ["sh", "-c", _ASK_EACH, "cosmos", *SIGNS]


def parse_health(stdout: str) -> dict[str, list[str]]:
    """Return, by the name of each GPU (`GPU 0`), what is wrong with it; sound GPUs are left out."""
    found: dict[str, list[str]] = {}
    for line in stdout.splitlines():
        field, _, row = line.partition(" ")
        index, _, value = (word.strip() for word in row.partition(","))
        if field in SIGNS and whole(index) is not None and (wrong := _wrong(field, value)):
            found.setdefault(f"GPU {index}", []).append(wrong)
    return found


def _wrong(field: str, value: str) -> str | None:
    if BROKEN.fullmatch(value):
        return value.strip("[]")
    if field == "ecc.errors.uncorrected.volatile.total":
        return f"{value} uncorrected ECC errors since its start" if whole(value) else None
    if field == "gpu_recovery_action":
        sound = value in ("None", "N/A", "") or value.startswith("[")
        return None if sound else f"the driver asks for: {value}"
    return "a repair of its memory waits for a reset" if value == "Yes" else None


def parse(exit_code: int, stdout: str, stderr: str = "") -> GpuState:
    """Read the output of `query_argv`, also if the program failed."""
    lines = stdout[: MOST * LONGEST].splitlines()
    gpus = tuple(gpu for line in lines if (gpu := _gpu(line[:LONGEST])))[:MOST]
    if gpus:
        return GpuState(gpus, next(filter(None, map(_missing, lines)), None))
    # nvidia-smi prints its errors on standard output.
    message = " ".join(f"{stdout[:LONGEST]}\n{stderr[:LONGEST]}".split())
    if exit_code == 127 or "not found" in message or "No such file" in message:
        return GpuState((), "nvidia-smi is not installed: the host has no NVIDIA driver.")
    if "No devices were found" in message or (exit_code == 0 and not message):
        return GpuState((), "The driver finds no GPU.")
    return GpuState((), message[:300] or f"nvidia-smi failed with exit code {exit_code}.")


class GpuReader:
    """Reads the state of a host's GPUs at most once in `keep_s` seconds. Threads may share it.

    `run` executes an argument vector on the host; its errors (a lost link) pass through.
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
        """Return the state of the GPUs, at most `keep_s` seconds old."""
        with self._lock:
            if self._state is None or self._clock() - self._asked >= self._keep_s:
                answer = self._run(query_argv())
                texts = (x.decode(errors="replace") for x in (answer.stdout, answer.stderr))
                self._state = parse(answer.exit_code, *texts)
                self._asked = self._clock()
            return self._state


@dataclass
class Peak:
    """The highest values of a run's GPUs so far; None until the driver gives a value."""

    memory_mib: int | None = None
    """Sum over the run's GPUs."""
    load_percent: int | None = None
    """Mean over the run's GPUs."""

    def add(self, state: GpuState, indices: Sequence[int] | None = None) -> None:
        """Add a state of the GPUs; `indices`: only these GPUs."""
        gpus = [gpu for gpu in state.gpus if indices is None or gpu.index in indices]
        memory = [g.memory_used_mib for g in gpus if g.memory_used_mib is not None]
        load = [g.load_percent for g in gpus if g.load_percent is not None]
        if memory:
            self.memory_mib = max(self.memory_mib or 0, sum(memory))
        if load:
            self.load_percent = max(self.load_percent or 0, round(sum(load) / len(load)))

    def as_dict(self) -> dict[str, int]:
        """Return the known values, as plain JSON values."""
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
        fault=next((found[1] for word in words[2:7] if (found := BROKEN.fullmatch(word))), None),
    )


def _missing(line: str) -> str | None:
    """What a line says of a GPU that cannot be listed; None for any other line."""
    return " ".join(line.split())[:300] if _NO_HANDLE.search(line) else None


def _number(word: str) -> float | None:
    """A number; None for `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `ERR!` and the like."""
    return float(word) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", word, re.ASCII) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
