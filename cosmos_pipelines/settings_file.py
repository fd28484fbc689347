"""cosmos.toml as a file: where it lies, what it holds, and on which line a wrong value stands."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from cosmos_pipelines.errors import SettingsError

FILE: Final = "cosmos.toml"


def find_home(start: Path | None = None) -> Path | None:
    """The nearest directory at or above `start` (default: here) that holds cosmos.toml."""
    here = (start or Path.cwd()).resolve()
    return next((d for d in (here, *here.parents) if (d / FILE).is_file()), None)


def read_settings(file: Path) -> tuple[dict[str, Any], str]:
    """Its values and its text; nothing of a file that is not there. Raises SettingsError."""
    if not file.is_file():
        return {}, ""
    text = file.read_text(encoding="utf-8")
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{file} is not valid TOML: {e}.") from None


def explain_settings(error: ValidationError, file: Path, text: str) -> str:
    """All that is wrong, each with its variable, or its file and line."""
    parts = []
    for e in error.errors(include_url=False):
        names = [str(x) for x in e["loc"]]
        where = place_of(names, file, text)
        what = f"{e['input']!r}: {e['msg']}"
        if e["type"] == "extra_forbidden":
            what = "is not a setting"
            if len(names) == 1 and isinstance(e["input"], dict):
                what += ", nor the table of an engine that is here"
        parts.append(f"{where}: {'.'.join(names)} {what}")
    return "; ".join(parts)


def place_of(names: list[str], file: Path, text: str) -> str:
    """Where a setting is set: its variable, or its file and line."""
    variable = "COSMOS_" + "__".join(names).upper()
    if variable in os.environ:
        return f"environment variable {variable}"
    line = _line_of(names, text)
    return f"{file}, line {line}" if line else str(file)


def _line_of(names: list[str], text: str) -> int | None:
    """1-based line of a key in TOML text; tables as `[a]`, keys as `b = ...` or `a.b = ...`."""
    table: list[str] = []
    found = None
    for number, line in enumerate(text.splitlines(), 1):
        if m := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = [x.strip(" \"'") for x in m[1].split(".")]
            if table == names[: len(table)]:
                found = number
        elif m := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            full = table + [x.strip(" \"'") for x in m[1].split(".")]
            if full == names[: len(full)]:
                found = number
    return found
