"""A catalog with thousands of scenes and runs, written in bulk; directories of scenes are empty."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Table, insert, update

from cosmos_pipelines.catalog.tables import prompts, revisions, runs, scenes
from tests.support.project import Project

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = ("completed", "completed", "completed", "failed", "cancelled")
AT_ONCE = 5_000
SHAPE = {"width": 64, "height": 48, "frames": 6, "fps": "24", "size": 999, "codec": "h264"}


def fill(project: Project, *, n_scenes: int, n_waiting: int, n_ended: int) -> str:
    """Enter scenes with a prompt each, queued runs and ended runs; some of them are 4K videos.

    Returns the cursor behind all of that, as `changes_since` would.
    """
    for n in range(n_scenes):
        (project.settings.inputs / f"scene_{n:05}").mkdir(parents=True, exist_ok=True)
    number = iter(range(1, 10_000_000))
    _write(project, scenes, (_scene(n, next(number)) for n in range(n_scenes)))
    _write(project, prompts, (_prompt(n, next(number)) for n in range(n_scenes)))
    every = range(n_waiting + n_ended)
    rows = (_run(n, n_scenes, next(number), waiting=n >= n_ended) for n in every)
    _write(project, runs, rows)
    last = next(number)
    with project.catalog.write() as tx:
        tx.connection.execute(update(revisions).values(value=last))
    return str(last)


def _write(project: Project, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, AT_ONCE)):
        with project.catalog.write() as tx:
            tx.connection.execute(insert(table), batch)


def _scene(n: int, revision: int) -> dict[str, Any]:
    return {
        "key": f"scene_{n:05}",
        "path": f"inputs/videos/scene_{n:05}",
        "digest": f"{n:064x}",
        "facts": {
            name: {**SHAPE, "file": f"{name}.mp4", "sha256": f"{n:064x}"}
            for name in ("color", "depth", "edge")
        },
        "created_at": WHEN,
        "updated_at": WHEN,
        "revision": revision,
    }


def _prompt(n: int, revision: int) -> dict[str, Any]:
    return {
        "id": f"ps_{n:032x}",
        "text": f"street number {n}",
        "scene": f"scene_{n:05}",
        "name": f"street_{n}",
        "parameters": {},
        "created_at": WHEN,
        "updated_at": WHEN,
        "revision": revision,
    }


def _run(n: int, n_prompts: int, revision: int, *, waiting: bool) -> dict[str, Any]:
    status = "pending" if waiting else ENDS[n % len(ENDS)]
    at = WHEN + timedelta(seconds=n)
    upscale = not waiting and n % 4 == 3 and status == "completed"
    video: dict[str, Any] = {"video": f"outputs/run_{n}/video.mp4", "sha256": f"{n:064x}", **SHAPE}
    video["inputs"] = dict.fromkeys(("color", "depth"), f"{n:064x}")
    return {
        "id": f"rs_{n:032x}",
        "prompt_id": f"ps_{n % n_prompts:032x}",
        "model_type": "upscale" if upscale else "transfer",
        "parent_run_id": f"rs_{n - n % 4:032x}" if upscale else None,
        "status": status,
        "engine": "preview",
        "backend": "local",
        "execution_config": {"seed": n},
        "outputs": video if status == "completed" else {},
        "created_at": at,
        "completed_at": None if waiting else at,
        "queued_at": at if waiting else None,
        "turn": at.timestamp() if waiting else None,
        "priority": 0,
        "attempt": 1,
        "tags": [],
        "source": {},
        "notes": [],
        "updated_at": WHEN,
        "revision": revision,
    }
