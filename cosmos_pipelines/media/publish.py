"""Put a prepared scene into its directory, where nothing but what we made is ever replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import flush_directory, move, write_json
from cosmos_pipelines.media.files import hash_of
from cosmos_pipelines.media.scene_file import FILES, SCENE_FILE, made_by_us, ours


def check_replaceable(dest: Path, earlier: Mapping[str, Any], keep: Collection[Path] = ()) -> None:
    """Refuse to prepare into `dest` where scene.json or a pass is not ours to replace or remove.

    A pass of another origin would become part of the scene. `keep`: those that are its sources.

    Raises:
        MediaError: one is there that we did not make, or that was changed since.
    """
    if os.path.lexists(dest / SCENE_FILE) and not ours(earlier):
        raise MediaError(
            f"{dest / SCENE_FILE} is there already and was not made by `cosmos prepare`.",
            hint="Move it away (--name and --description say what it may say), "
            "or prepare into another directory.",
        )
    for name in FILES:
        file = dest / name
        if file not in keep and os.path.lexists(file) and not made_by_us(file, earlier):
            raise MediaError(
                f"{file} is there already and was not made by `cosmos prepare`, "
                "or was changed since.",
                hint="Move it away or prepare into another directory.",
            )


def publish(
    record: Mapping[str, Any],
    staging: Path,
    dest: Path,
    earlier: Mapping[str, Any],
    keep: Collection[Path] = (),
) -> dict[str, Any]:
    """Move what is whole in `staging` into place and return the record as it was written.

    The record first, since by it we know our own files if we are killed here: it has the hashes of
    what it replaces as well. Color last, since a scene is taken as prepared as soon as it has that.
    `keep`: the sources, which stay.

    Raises:
        MediaError: as `check_replaceable`; nothing was changed.
    """
    made = sorted(staging.glob("*.mp4"), key=lambda path: path.name.startswith("color."))
    kept = {e["file"] for e in record["passes"].values()} - {file.name for file in made}
    kept |= {file.name for file in keep if file.parent == dest}
    check_replaceable(dest, earlier, keep={dest / name for name in kept})
    there = [dest / name for name in FILES if name not in kept and (dest / name).exists()]
    if there:
        record = {**record, "replaced": {file.name: hash_of(file) for file in there}}
    record = _as_text(record)
    write_json(staging / SCENE_FILE, record)
    move(staging / SCENE_FILE, dest / SCENE_FILE)
    new = {file.name for file in made}
    for file in there:
        if file.name not in new:
            file.unlink(missing_ok=True)
    for file in made:
        move(file, dest / file.name)
    flush_directory(dest)  # the catalog is about to say that the scene is there
    return record


def _as_text(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with `?` for what is no UTF-8 in names of files, which are told to people."""
    text = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
    read: dict[str, Any] = json.loads(text)
    return read
