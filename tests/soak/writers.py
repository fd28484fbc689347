"""Slow writers: each drops a scene in pieces, as a renderer or a copy over a slow link does."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import av

from tests.support.project import write_video

FRAMES = 8
PROMPTS = 3
"""Of a scene; each is a run."""
PIECE_S = 0.4
"""Seconds between two pieces of a file."""


def texts_of(number: int) -> list[str]:
    """The prompts that scene `number` asks for."""
    return [f"Scene {number:03}, take {take}" for take in range(1, PROMPTS + 1)]


def drop(inputs: Path, aside: Path, number: int, chances: random.Random) -> None:
    """Write a scene with its scene.toml, which is there first, within some seconds.

    Of eight scenes one is a sequence of pictures, and two end with a marker.
    """
    kind = chances.choice(["pictures", "marked", "marked", *5 * ["videos"]])
    source = write_video(aside / f"{number}.mp4", frames=FRAMES, seed=number)
    scene = inputs / f"scene_{number:03}"
    scene.mkdir(parents=True)
    toml = "".join(f'[[prompt]]\ntext = "{text}"\n' for text in texts_of(number))
    toml += "[[recipe]]\nweights = { vis = 0.5, edge = 0.5 }\n"
    head = f"frames = {FRAMES}\n" if kind == "pictures" else ""
    _in_pieces(scene / "scene.toml", (head + toml).encode())
    if kind == "pictures":
        _pictures(source, scene / "color", chances)
    else:
        _in_pieces(scene / "color.mp4", source.read_bytes())
    if kind == "marked":
        time.sleep(chances.uniform(0, 3))
        (scene / "scene.ready").touch()
    shutil.rmtree(aside / f"{number}", ignore_errors=True)
    source.unlink()


def _in_pieces(file: Path, content: bytes) -> None:
    step = max(1, len(content) // 8)
    with file.open("wb") as out:
        for start in range(0, len(content), step):
            out.write(content[start : start + step])
            out.flush()
            time.sleep(PIECE_S)


def _pictures(video: Path, folder: Path, chances: random.Random) -> None:
    folder.mkdir()
    with av.open(str(video)) as source:
        for i, frame in enumerate(source.decode(video=0), 1):
            frame.to_image().save(folder / f"color.{i:04}.png")
            time.sleep(chances.uniform(0.2, 1.0))
