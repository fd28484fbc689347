"""Check what a model needs before it is loaded: GPUs, memory, disk, checkpoints.

Runs on the GPU side: Python 3.10 or newer and its standard library only. Without these checks a
model would fail only after minutes of loading, or without a clear message.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_log import one_line
from model_words import filled

NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,temperature.gpu,name,memory.total,memory.free",
    "--format=csv,noheader,nounits",
)
BROKEN = re.compile(r"\[(GPU requires reset|GPU is lost)\]")
"""Values of a GPU that has failed; `[N/A]` and `[Unknown Error]` occur on sound ones as well.

Other fields of such a GPU may have values: often its memory has, and its temperature has not.
"""
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Memory limit of a container, by version 2 and version 1 of control groups."""
SIZES = ".cosmos-sizes.json"
"""The sizes that `checkpoints.py` keeps beside the files."""
NAMED = 3
"""Number of missing files that a message names."""

Ask = Callable[[tuple[str, ...]], str]
"""Runs a program and returns its output; OSError if the program cannot be run or fails."""
Texts = Sequence[tuple[str, "re.Pattern[str]", str]]
"""Kinds, patterns and sentences with `{1}`: what a line of a program means."""


class Refused(Exception):
    """The order cannot be executed here; nothing was started."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Needs:
    """The least that a model load needs; 0 or empty is not checked."""

    gpus: int = 0
    free_vram_mib: int = 0
    free_vram_percent: int = 0
    """Percent of each GPU's memory."""
    free_ram_mib: int = 0
    free_disk_mib: int = 0
    files: tuple[str, ...] = ()
    """Paths below the directory of checkpoints; `a|b`: one of the two is enough."""
    checkpoint: str = ""
    """The user's own checkpoint, as it is called on the host."""
    hub: tuple[str, ...] = ()
    """Files of the Hugging Face cache: `OWNER/NAME@REVISION/FILE`, or a path below HF_HOME."""


@dataclass(frozen=True)
class Gpu:
    """One line of nvidia-smi; None: memory is unknown (as on GPUs that share the host's memory)."""

    index: int
    name: str
    total_mib: int | None
    free_mib: int | None
    fault: str | None = None
    """What nvidia-smi says instead of a value if the GPU has failed."""


def check(needs: Needs, engine: str, run: Path, ask: Ask, texts: Texts = ()) -> None:
    """Check all needs; `texts`: the meaning of what nvidia-smi may say.

    Raises:
        Refused: the message says what is missing, where, and what to do.
    """
    hint = f"run `cosmos host checkpoints {engine} --download`"
    _check_files(needs.files, hint)
    _check_hub(needs.hub, hint)
    _check_own(needs.checkpoint, engine)
    _check_gpus(needs, ask, texts)
    _check_ram(needs.free_ram_mib)
    free = shutil.disk_usage(run).free >> 20
    if free < needs.free_disk_mib:
        problem = f"{free} MiB are free on the disk of {run}, {needs.free_disk_mib} MiB are needed"
        raise Refused("disk_full", f"{problem}: remove old runs there")


def _check_files(files: tuple[str, ...], hint: str) -> None:
    if not files:
        return
    place = os.environ.get("COSMOS_CHECKPOINTS")
    if not place:
        raise Refused("launch_failed", "COSMOS_CHECKPOINTS, the checkpoints' directory, is not set")
    sizes = sizes_of(Path(place))
    missing, wrong = [], []
    for name in files:
        files_found = [file for file in name.split("|") if _size(Path(place, file))]
        if not files_found:
            missing.append(name.replace("|", " or "))
        for file in files_found:
            if file in sizes and _size(Path(place, file)) != sizes[file]:
                wrong.append(f"{file} has {_size(Path(place, file))} of {sizes[file]} bytes")
    if missing:
        raise Refused("launch_failed", f"{_listed(missing)} below {place}: {hint}")
    if wrong:
        raise Refused("launch_failed", f"{', '.join(wrong[:NAMED])} below {place}: {hint}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def sizes_of(place: Path) -> dict[str, int]:
    """Return the sizes that `checkpoints.py` recorded; empty if it did not download the files."""
    try:
        known = json.loads((place / SIZES).read_text(encoding="utf-8"))["files"]
        return {name: int(facts["size"]) for name, facts in known.items() if "size" in facts}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    except (OverflowError, RecursionError):  # what a number or a list has no end of
        return {}


def _check_hub(names: tuple[str, ...], hint: str) -> None:
    home = Path(os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface"))  # noqa: PTH111
    missing = [_as_told(name) for name in names if not _in_cache(home, name)]
    if missing:
        raise Refused("launch_failed", f"{_listed(missing)} below {home}: {hint}")


def _check_own(checkpoint: str, engine: str) -> None:
    if not checkpoint:
        return
    place = Path(os.environ.get("COSMOS_OWN_CHECKPOINT") or checkpoint)
    within = place / "model" if (place / "model").is_dir() else place
    one = any(within.glob("*.safetensors")) or any(within.glob("*.safetensors.index.json"))
    parts = any(within.glob("*.distcp")) and _size(within / ".metadata") > 0
    if not (_size(place) or (one and _size(within / "config.json")) or parts):
        problem = f"there are no weights at {checkpoint} that the model can read"
        raise Refused("launch_failed", f"{problem}: set checkpoint in [{engine}] of cosmos.toml")


def _in_cache(home: Path, name: str) -> bool:
    """Whether the cache has a file where libraries look for it while they are offline."""
    repo, at, rest = name.partition("@")
    if not at:
        return _size(home / name) > 0
    revision, _, file = rest.partition("/")
    model = home / "hub" / f"models--{repo.replace('/', '--')}"
    try:
        commit = (model / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):  # a commit has no file below refs
        commit = revision
    return _size(model / "snapshots" / commit / file) > 0


def _as_told(name: str) -> str:
    repo, at, rest = name.partition("@")
    revision, _, file = rest.partition("/")
    pinned = f" (at {revision[:12]})" if len(revision) == 40 else ""
    return f"{repo}/{file}{pinned}" if at else name


def _listed(missing: list[str]) -> str:
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing[:NAMED])}{more} {verb} missing"


def _check_gpus(needs: Needs, ask: Ask, texts: Texts) -> None:
    if not needs.gpus:
        return
    try:
        answer = ask(NVIDIA_SMI)
    except OSError as e:
        raise _no_gpu(str(e), texts) from None
    if not any(True for _ in _gpus(answer)):
        raise _no_gpu(one_line(answer) or "it lists none", texts)
    gpus = list(_visible(list(_gpus(answer)), os.environ.get("CUDA_VISIBLE_DEVICES")))
    if len(gpus) < needs.gpus:
        problem = f"{needs.gpus} GPU(s) are needed, {len(gpus)} can be seen here"
        raise Refused("launch_failed", f"{problem}: ask for fewer, or give the container more")
    # A process of rank n takes the n-th visible GPU, not the emptiest GPU.
    for gpu in gpus[: needs.gpus]:
        if gpu.fault:
            raise _no_gpu(f"GPU {gpu.index} ({gpu.name}): {gpu.fault}", texts)
        share = (gpu.total_mib or 0) * needs.free_vram_percent // 100
        needed = max(needs.free_vram_mib, share)
        if gpu.free_mib is not None and gpu.free_mib < needed:
            problem = (
                f"GPU {gpu.index} ({gpu.name}) has {gpu.free_mib} of {gpu.total_mib} MiB free, "
                f"{needed} MiB are needed"
            )
            small = gpu.total_mib is not None and gpu.total_mib < needed
            advice = "use a larger GPU" if small else "end other programs on this GPU"
            raise Refused("out_of_memory", f"{problem}: {advice}")


def _gpus(answer: str) -> Iterator[Gpu]:
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) >= 5 and words[0].isdigit():
            total, free = (int(w) if w.isdigit() else None for w in words[-2:])
            fault = BROKEN.search(line)
            name = ", ".join(words[2:-2])
            yield Gpu(int(words[0]), name, total, free, fault[1] if fault else None)


def _no_gpu(said: str, texts: Texts) -> Refused:
    """Return the refusal for what nvidia-smi said."""
    for kind, pattern, sentence in texts:
        if kind == "gpu_lost" and (found := pattern.search(said)):
            return Refused(kind, filled(sentence, found))
    advice = "give GPUs to the container; check the driver and the NVIDIA container toolkit"
    return Refused("gpu_lost", f"nvidia-smi shows no GPU here ({said}): {advice}")


def _visible(gpus: list[Gpu], only: str | None) -> list[Gpu]:
    """Return the GPUs that CUDA will see, in its order; CUDA stops at the first unknown GPU."""
    if only is None or "GPU-" in only or "MIG-" in only:
        return gpus
    by_index = {str(gpu.index): gpu for gpu in gpus}
    shown: list[Gpu] = []
    for word in only.split(","):
        if word.strip() not in by_index:
            break
        shown.append(by_index[word.strip()])
    return shown


def _check_ram(needed_mib: int) -> None:
    if not needed_mib:
        return
    free = _free_ram_mib()
    if free is not None and free < needed_mib:
        problem = f"this host has {free} MiB of free memory, {needed_mib} MiB are needed"
        advice = "end other programs, or use a host with more memory"
        raise Refused("out_of_memory", f"{problem} to load the model: {advice}")


def _free_ram_mib() -> int | None:
    """Return the memory that is free without swapping; less if the container has a limit."""
    sizes = []
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            sizes.append(int(line.split()[1]) >> 10)
    for path in map(Path, CGROUP_LIMITS):
        limit = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if limit.isdigit():
            sizes.append(int(limit) >> 20)
    return min(sizes, default=None)
