"""Small LeRobot data sets as `lerobot` writes them (0.4.4 for v3.0; d1482799 for v2.1)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cosmos_pipelines.media.encode import encode
from tests.media.renders import colour

TASKS = ("Put the cup on the plate", "Open the drawer")
LENGTHS = (5, 7)
CAMERA = "observation.images.top"


def info(version: str, video_path: str | None, **more: Any) -> dict[str, Any]:
    """What meta/info.json says."""
    return {
        "codebase_version": version,
        "robot_type": "so100",
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS),
        "total_tasks": len(TASKS),
        "chunks_size": 1000,
        "fps": 30,
        "video_path": video_path,
        "features": {
            CAMERA: {"dtype": "video", "shape": [48, 64, 3]},
            "observation.state": {"dtype": "float32", "shape": [6]},
        },
        **more,
    }


def write_v2(root: Path, cameras: Sequence[str] = (CAMERA,)) -> Path:
    """Version 2.1: a video for each episode and camera."""
    path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    said = info("v2.1", path)
    said["features"] |= {name: {"dtype": "video", "shape": [48, 64, 3]} for name in cameras}
    _info(root, said)
    rows = [
        {"episode_index": n, "tasks": [TASKS[n]], "length": length}
        for n, length in enumerate(LENGTHS)
    ]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for n, length in enumerate(LENGTHS):
        for name in cameras:
            file = root / f"videos/chunk-000/{name}/episode_{n:06}.mp4"
            file.parent.mkdir(parents=True, exist_ok=True)
            encode([colour(10 * n + i) for i in range(length)], file, fps=30)
    return root


def write_v3(root: Path) -> Path:
    """Version 3.0: the videos of all episodes one after the other in one file."""
    path = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    _info(root, info("v3.0", path))
    import pandas as pd

    starts = np.cumsum([0, *LENGTHS[:-1]])
    place = f"videos/{CAMERA}"
    table = pd.DataFrame(
        {
            "episode_index": range(len(LENGTHS)),
            "tasks": [[task] for task in TASKS],
            "length": LENGTHS,
            f"{place}/chunk_index": 0,
            f"{place}/file_index": 0,
            f"{place}/from_timestamp": starts / 30,
            f"{place}/to_timestamp": (starts + LENGTHS) / 30,
        }
    )
    file = root / "meta/episodes/chunk-000/file-000.parquet"
    file.parent.mkdir(parents=True)
    table.to_parquet(file)
    video = root / f"videos/{CAMERA}/chunk-000/file-000.mp4"
    video.parent.mkdir(parents=True)
    pictures = [colour(10 * n + i) for n, length in enumerate(LENGTHS) for i in range(length)]
    encode(pictures, video, fps=30)
    return root


def many_episodes(root: Path, count: int) -> Path:
    """Version 2.1 with `count` episodes of two frames and one task."""
    path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    _info(root, info("v2.1", path, total_episodes=count))
    rows = [{"episode_index": n, "tasks": [TASKS[0]], "length": 2} for n in range(count)]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for n in range(count):
        file = root / f"videos/chunk-000/{CAMERA}/episode_{n:06}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        encode([colour(n + i) for i in range(2)], file, fps=30)
    return root


def _info(root: Path, said: dict[str, Any]) -> None:
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(said))
