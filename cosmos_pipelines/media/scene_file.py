"""Read scene.json, the record that `cosmos prepare` leaves in a scene directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.files import saying_why_not_read

SCENE_FILE: Final = "scene.json"
Entry = dict[str, Any]
"""What the record says of one pass."""


def read_scene_file(directory: Path) -> dict[str, Any]:
    """The directory's scene.json, or {} where there is none.

    Raises:
        MediaError: the directory or the file cannot be read, or it is no JSON object.
    """
    file = directory / SCENE_FILE
    with saying_why_not_read(directory):
        next(directory.iterdir(), None)
        if not file.exists():
            return {}
    try:
        with saying_why_not_read(file):
            record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as e:
        raise MediaError(
            f"{file} is not valid JSON: {e}.", hint="Delete it or prepare the scene again."
        ) from None
    if not isinstance(record, dict):
        raise MediaError(f"{file} is not a JSON object.", hint="Delete it or prepare again.")
    return record


def entries_of(record: Mapping[str, Any]) -> dict[str, Entry]:
    """The passes that `cosmos prepare` recorded; {} for scene.json files of other origin."""
    passes = record.get("passes")
    known = passes.items() if isinstance(passes, dict) else ()
    return {n: e for n, e in known if isinstance(e, dict) and e.get("made") and e.get("file")}


def products(directory: Path, record: Mapping[str, Any]) -> set[Path]:
    """Files in `directory` that we made: results, never sources."""
    return {directory / str(e["file"]) for e in entries_of(record).values() if e["made"] != "kept"}
