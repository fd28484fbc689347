"""What would be taken of a directory of renders, and why, before anything is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depths.kinds import kind_of
from cosmos_pipelines.media.encode_pass import check, make
from cosmos_pipelines.media.layouts.choice import Left
from cosmos_pipelines.media.prepare import planned, require_color
from cosmos_pipelines.media.sequence import FoundScene, Pass
from cosmos_pipelines.media.sources import Source, look_at


def plan_of(scene: FoundScene, asked: Asked) -> dict[str, Any]:
    """The passes of a scene as their files are, what is ignored, and what is wrong.

    `passes`: pass, files, kind, frames, width, height, layers, values (how they are stored and
    read), labels (how many files beside them), why. `ignored`: files and why. `wrong`: why the
    scene cannot be prepared, with a `hint`; None otherwise. All headers and labels are read, and
    pictures of depth until one has several depths.
    """
    sources: dict[str, Source] = {}
    wrong = scene.wrong
    for name, found in scene.passes.items():
        try:
            sources[name] = look_at([found], asked.step)[0]
        except MediaError as e:
            wrong = wrong or e
    try:
        require_color(scene)
        if wrong is None:
            plan = planned(list(sources.values()), asked)
            for source in sources.values():
                check(source, plan)
    except MediaError as e:
        wrong = wrong or e
    return {
        "passes": [_told(p, sources.get(name), asked) for name, p in scene.passes.items()],
        "ignored": rows_of(scene.left),
        "wrong": wrong.message if wrong else None,
        "hint": wrong.hint if wrong else None,
    }


def rows_of(left: Iterable[Left]) -> list[dict[str, str]]:
    """Files that are no pass, each with `files` and `why`."""
    return [{"files": one.label, "why": one.why} for one in left]


def first_picture(scene: FoundScene, name: str, asked: Asked) -> bytes | None:
    """A JPEG of the first frame of a pass as it would be prepared; None if there is no such pass.

    Of depth it is the first frame that has several depths.

    Raises:
        MediaError: it cannot be read.
    """
    from cosmos_pipelines.media.pictures import still

    found = scene.passes.get(name)
    if found is None:
        return None
    with tempfile.TemporaryDirectory(prefix="cosmos-plan-") as directory:
        video, picture = Path(directory) / "first.mp4", Path(directory) / "first.jpg"
        if found.kind == "video":
            video = found.files[0]
        else:
            _encode_one(found, video, asked)
        return still(video, picture).read_bytes()


def _encode_one(found: Pass, video: Path, asked: Asked) -> None:
    """Write a video of one frame."""
    wrong: MediaError | None = None
    for n in range(len(found.files) if found.name == "depth" else 1):
        one = replace(found, files=found.files[n : n + 1], numbers=found.numbers[n : n + 1])
        try:
            source = look_at([one])[0]
            make(source, video, planned([source], asked), lambda: None)
        except MediaError as e:
            wrong = wrong or e
        else:
            return
    assert wrong
    raise wrong


def _told(found: Pass, source: Source | None, asked: Asked) -> dict[str, Any]:
    return {
        "pass": found.name,
        "files": found.label,
        "kind": found.kind,
        "frames": source.frames if source else len(found.numbers) or None,
        "width": source.width if source else None,
        "height": source.height if source else None,
        "layers": list(found.layers),
        "values": _values(found, source, asked),
        "labels": len(found.beside),
        "why": found.why,
    }


def _values(found: Pass, source: Source | None, asked: Asked) -> str:
    if source and source.video:
        said = [f"{source.video.codec} {source.video.pix_fmt}"]
    else:
        said = [source.kind] if source else []
    if source and found.name == "depth" and found.kind != "video":
        said.append(kind_of(source, asked).name)
    elif found.name != "depth":
        said.append(found.meaning)
    return ", ".join(filter(None, said))
