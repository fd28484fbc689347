"""Pieces of a run's logs by offset, for those who look at a part of them, or follow them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.catalog.records import ACTIVE, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, UnknownId, shown
from cosmos_pipelines.operate.log_index import BLOCK, index_of
from cosmos_pipelines.operate.logs import ASK_S
from cosmos_pipelines.remote.changes import Changes
from cosmos_pipelines.runs.cards import below_outputs
from cosmos_pipelines.runs.lost import is_lost
from cosmos_pipelines.settings import Settings

MOST: Final = 1 << 20
"""Bytes of the largest piece."""
MODEL_LOG: Final = "run.log"
_NAMES: Final = re.compile(r"run\.log|cosmos\.log|run\.([1-9]\d{0,5})\.log")


def log_files(settings: Settings, run: Run) -> list[dict[str, Any]]:
    """Return the logs that a run has: `name`, `size`, `about`; the model's own is the first one."""
    directory = run_directory(settings.outputs, run.id) / "logs"
    found = []
    for name in (MODEL_LOG, "cosmos.log", *(f"run.{n}.log" for n in range(1, run.attempt))):
        path = below_outputs(settings, directory / name)
        if path is not None:
            found.append({"name": name, "size": path.stat().st_size, "about": _about(name)})
    return found


def _about(name: str) -> str:
    if name == MODEL_LOG:
        return "what the model printed"
    if name == "cosmos.log":
        return "what Cosmos Pipelines did"
    return f"what the model printed, attempt {name.split('.')[1]}"


def chosen_log(settings: Settings, run: Run) -> str:
    """Return the log to begin with: the model's, or ours if the model never began."""
    if run.status in (*ACTIVE, "pending"):
        return MODEL_LOG
    sizes = {one["name"]: one["size"] for one in log_files(settings, run)}
    return MODEL_LOG if sizes.get(MODEL_LOG) or "cosmos.log" not in sizes else "cosmos.log"


def log_path(settings: Settings, run: Run, name: str) -> Path:
    """Return the real path of one of a run's logs.

    Raises:
        InputError: no log has such a name.
        UnknownId: the run has no such log, or not yet.
    """
    if not _NAMES.fullmatch(name):
        raise InputError(f"{shown(name)} is no log of a run.")
    path = below_outputs(settings, run_directory(settings.outputs, run.id) / "logs" / name)
    if path is None:
        raise UnknownId("log", name, see=f"Run {run.id} has no log of this name, or not yet.")
    return path


def log_range(path: Path, offset: int, size: int) -> dict[str, Any]:
    """Return `data` (bytes from `offset`, at most `size` and `MOST`), `size` of all, `generation`.

    Another `generation` is another file of this name.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        data = file.read(min(size, MOST))
        return {"data": data, **_state(file)}


def log_index(path: Path) -> dict[str, Any]:
    """Return `block` (bytes), and `starts`: the lines that end before each block; see log_index."""
    with path.open("rb", buffering=0) as file:
        size, starts = index_of(path).read(file)
        return {**_state(file), "size": size, "block": BLOCK, "starts": starts}


def _state(file: BinaryIO) -> dict[str, Any]:
    state = os.fstat(file.fileno())
    return {"size": state.st_size, "generation": state.st_ino}


def log_growth(
    catalog: Catalog, settings: Settings, run: Run, offset: int, generation: int | None
) -> Iterator[bytes]:
    """Yield what the model's log has from `offset` on, as it is written, until the run has ended.

    b"" comes ten times a second while nothing is written, so that the caller can end. It also ends
    if the file is another one than `generation`, and if no process executes the run any more.
    """
    path = run_directory(settings.outputs, run.id) / "logs" / MODEL_LOG
    with Changes(path.parent) as changes:
        while below_outputs(settings, path) is None:
            run = catalog.get_run(run.id)
            if run.status not in (*ACTIVE, "pending") or is_lost(catalog, run):
                return
            changes.wait()
            yield b""
        with path.open("rb", buffering=0) as file:
            inode = os.fstat(file.fileno()).st_ino
            if generation not in (None, inode):
                return
            file.seek(offset)
            asked_at = -ASK_S
            while True:
                ended = False
                if time.monotonic() - asked_at >= ASK_S:  # before reading: nothing is missed then
                    run, asked_at = catalog.get_run(run.id), time.monotonic()
                    going = run.status in (*ACTIVE, "pending") and not is_lost(catalog, run)
                    ended = not going or not _is_still(path, inode)
                while chunk := file.read(BLOCK):
                    yield chunk
                if ended:
                    return
                changes.wait()
                yield b""


def _is_still(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:  # set aside for the next attempt
        return False
