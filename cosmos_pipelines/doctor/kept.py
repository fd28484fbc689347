"""The last result of the checks, kept below the outputs for those who look later."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.doctor.doctor import examine
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import write_bytes
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.settings import Settings

MOST: Final = 1 << 20
"""Bytes of a kept result that are read."""


def examine_and_keep(
    settings: Settings, on_check: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Make all checks; keep and return their time and results."""
    checks = []
    for checked in examine(settings):
        checks.append(checked.as_dict())
        if on_check is not None:
            on_check(checks[-1])
    result = {"at": iso(datetime.now(UTC)), "checks": checks}
    file = _file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, json.dumps(result).encode())
    return result


def last_result(settings: Settings) -> dict[str, Any] | None:
    """Return what `examine_and_keep` kept last; None if there is nothing that can be used."""
    try:
        found = read_json(_file(settings), MOST)
    except (InputError, FileNotFoundError):  # it can be asked for again at any time
        return None
    whole = isinstance(found, dict) and isinstance(found.get("checks"), list) and "at" in found
    return found if whole else None


def _file(settings: Settings) -> Path:
    return settings.outputs / "doctor.json"
