"""What must be there before a model is loaded: GPUs, memory, disk, checkpoints.

Runs on the GPU side: Python 3.10 or newer and its standard library only. A model that lacks one of
these would say so only after minutes of loading, or not clearly at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,memory.free",
    "--format=csv,noheader,nounits",
)
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Of a container's memory, by version 2 and version 1 of control groups."""
SIZES = ".cosmos-sizes.json"
"""What `checkpoints.py` keeps beside the files."""
NAMED = 3
"""Missing files that are told by name."""

Ask = Callable[[tuple[str, ...]], str]
"""Runs a program, answers what it wrote; OSError if it cannot be run or fails."""


class Refused(Exception):
    """The order cannot be carried out here; nothing was started."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Needs:
    """The least that a load of the model takes; 0 or empty is not looked at."""

    gpus: int = 0
    free_vram_mib: int = 0
    free_vram_percent: int = 0
    """Of each GPU's own memory."""
    free_ram_mib: int = 0
    free_disk_mib: int = 0
    files: tuple[str, ...] = ()
    """Below the directory of checkpoints; `a|b`: one of the two is enough."""
    hub: tuple[str, ...] = ()
    """Directories below `hub` of the Hugging Face cache."""


@dataclass(frozen=True)
class Gpu:
    """One line of nvidia-smi; a memory of None is not told (as on GPUs that share the host's)."""

    index: int
    name: str
    total_mib: int | None
    free_mib: int | None


def check(needs: Needs, engine: str, run: Path, ask: Ask) -> None:
    """Look at everything.

    Raises:
        Refused: says what is missing, where, and what to do.
    """
    hint = f"run `cosmos host checkpoints {engine} --download`"
    _check_files(needs.files, hint)
    _check_hub(needs.hub, hint)
    _check_gpus(needs, ask)
    _check_ram(needs.free_ram_mib)
    free = shutil.disk_usage(run).free >> 20
    if free < needs.free_disk_mib:
        said = f"{free} MiB are free where {run} lies, {needs.free_disk_mib} MiB are needed"
        raise Refused("disk_full", f"{said}: remove old runs there")


def _check_files(files: tuple[str, ...], hint: str) -> None:
    if not files:
        return
    place = os.environ.get("COSMOS_CHECKPOINTS")
    if not place:
        raise Refused("launch_failed", "COSMOS_CHECKPOINTS does not say where the checkpoints are")
    sizes = sizes_of(Path(place))
    missing, wrong = [], []
    for name in files:
        found = [one for one in name.split("|") if _size(Path(place, one))]
        if not found:
            missing.append(name.replace("|", " or "))
        for one in found:
            if one in sizes and _size(Path(place, one)) != sizes[one]:
                wrong.append(f"{one} has {_size(Path(place, one))} of {sizes[one]} bytes")
    if missing:
        raise Refused("launch_failed", f"{_listed(missing)} below {place}: {hint}")
    if wrong:
        raise Refused("launch_failed", f"{', '.join(wrong[:NAMED])} below {place}: {hint}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def sizes_of(place: Path) -> dict[str, int]:
    """Sizes as they were when `checkpoints.py` downloaded; none where others brought the files."""
    try:
        known = json.loads((place / SIZES).read_text(encoding="utf-8"))["files"]
        return {name: int(facts["size"]) for name, facts in known.items() if "size" in facts}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    except (OverflowError, RecursionError):  # what a number or a list has no end of
        return {}


def _check_hub(names: tuple[str, ...], hint: str) -> None:
    home = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")  # noqa: PTH111
    hub = Path(home) / "hub"
    missing = [name for name in names if not any((hub / name / "snapshots").glob("*/*"))]
    if missing:
        raise Refused("launch_failed", f"{_listed(missing)} below {hub}: {hint}")


def _listed(missing: list[str]) -> str:
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{', '.join(missing[:NAMED])}{more} {verb} missing"


def _check_gpus(needs: Needs, ask: Ask) -> None:
    if not needs.gpus:
        return
    try:
        answer = ask(NVIDIA_SMI)
    except OSError as e:
        advice = "start it with its GPUs, and check the driver and the NVIDIA container toolkit"
        raise Refused("launch_failed", f"nvidia-smi shows no GPU here ({e}): {advice}") from None
    gpus = list(_visible(list(_gpus(answer)), os.environ.get("CUDA_VISIBLE_DEVICES")))
    if len(gpus) < needs.gpus:
        said = f"{needs.gpus} GPU(s) are needed, {len(gpus)} can be seen here"
        raise Refused("launch_failed", f"{said}: ask for fewer, or give the container more")
    # A process of rank n takes the n-th GPU that it can see, not the emptiest one.
    for gpu in gpus[: needs.gpus]:
        share = (gpu.total_mib or 0) * needs.free_vram_percent // 100
        needed = max(needs.free_vram_mib, share)
        if gpu.free_mib is not None and gpu.free_mib < needed:
            said = (
                f"GPU {gpu.index} ({gpu.name}) has {gpu.free_mib} of {gpu.total_mib} MiB free, "
                f"{needed} MiB are needed"
            )
            small = gpu.total_mib is not None and gpu.total_mib < needed
            advice = "take a larger GPU" if small else "end what else uses it"
            raise Refused("out_of_memory", f"{said}: {advice}")


def _gpus(answer: str) -> Iterator[Gpu]:
    for line in answer.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) >= 4 and words[0].isdigit():
            total, free = (int(w) if w.isdigit() else None for w in words[-2:])
            yield Gpu(int(words[0]), ", ".join(words[1:-2]), total, free)


def _visible(gpus: list[Gpu], only: str | None) -> list[Gpu]:
    """Those that CUDA will see, in its order; it stops at the first one that it does not know."""
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
        said = f"this host has {free} MiB of memory to give, {needed_mib} MiB are needed"
        advice = "end what else uses it, or take a host with more"
        raise Refused("out_of_memory", f"{said} to load the model: {advice}")


def _free_ram_mib() -> int | None:
    """What can be had without swapping; less, where the container has a limit."""
    sizes = []
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            sizes.append(int(line.split()[1]) >> 10)
    for path in map(Path, CGROUP_LIMITS):
        limit = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        if limit.isdigit():
            sizes.append(int(limit) >> 20)
    return min(sizes, default=None)
