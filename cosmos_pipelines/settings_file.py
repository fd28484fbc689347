"""cosmos.toml as a file: where it lies, what it holds, and on which line a wrong value stands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import SettingsError, named, shown
from cosmos_pipelines.foreign import absolute, is_utf8, parse_toml, read_text

if TYPE_CHECKING:  # who lists what there is does not wait for pydantic
    from pydantic import ValidationError

FILE: Final = "cosmos.toml"
TWO_CATALOGS: Final = "database_url and postgres.url name two catalogs: set one of them"


def find_home(start: Path | None = None) -> Path | None:
    """The nearest directory at or above `start` (default: here) that holds cosmos.toml."""
    try:
        here = absolute(start or Path.cwd())
    except FileNotFoundError:
        raise SettingsError("The current directory is gone.", hint="`cd` into another.") from None
    return next((d for d in (here, *here.parents) if (d / FILE).is_file()), None)


def home_of(given: Path | None) -> Path:
    """The project's directory, absolute: the one given, that of COSMOS_HOME, the nearest.

    A path of its cosmos.toml stands for the directory.

    Raises:
        SettingsError: there is none, or it cannot be one.
    """
    if given is not None and given.name == FILE:
        given = given.parent
    chosen = given or (Path(h) if (h := os.environ.get("COSMOS_HOME")) else None)
    if chosen is None:
        if (found := find_home()) is not None:
            return found
        raise SettingsError(
            f"No {FILE} here or in any directory above.",
            hint="Run `cosmos init` in the directory that shall hold your project, "
            "or set COSMOS_HOME.",
        )
    home = absolute(chosen, kind=SettingsError)
    try:
        if not is_utf8(home):
            what = "has a name that is no UTF-8"
        elif home.is_dir():
            return home
        else:
            what = "is not a directory" if home.exists() else "is not there"
    except OSError as e:
        what = f"cannot be a project's directory: {e.strerror}"
    raise SettingsError(f"The home {named(chosen)} {what}.", hint="See --home and COSMOS_HOME.")


def read_settings(file: Path) -> tuple[dict[str, Any], str]:
    """Its values and its text; nothing of a file that is not there. Raises SettingsError."""
    if not os.path.lexists(file):
        return {}, ""
    text = read_text(file, kind=SettingsError)
    return parse_toml(text, str(file), kind=SettingsError), text


def catalog_below(outputs: Path) -> str:
    """The SQLAlchemy URL of the catalog that lies below the outputs."""
    return f"sqlite:///{outputs / 'cosmos.db'}"


def with_driver(url: str) -> str:
    """The URL of a PostgreSQL database with the driver that we have named in it."""
    kind, sign, rest = url.partition("://")
    return f"postgresql+psycopg2{sign}{rest}" if kind in ("postgres", "postgresql") else url


def with_schema(url: str, schema: str) -> str:
    """The URL with an option by which PostgreSQL looks into this schema, and makes tables there."""
    base, _, query = url.partition("?")
    options = [one for one in query.split("&") if one.startswith("options=")]
    others = [one for one in query.split("&") if one and one not in options]
    first = f"{options[0]}%20" if options else "options="
    return f"{base}?{'&'.join([*others, f'{first}-csearch_path%3D{schema}'])}"


def explain_settings(error: ValidationError, file: Path, text: str) -> str:
    """All that is wrong, each with its variable, or its file and line."""
    parts = []
    for e in error.errors(include_url=False):
        names = [str(x) for x in e["loc"] if x != "[key]"]
        where = place_of(names, file, text)
        what = f"{shown(e['input'])}: {e['msg']}"
        if e["type"] == "missing":
            what = "is not set"
        if e["type"] == "extra_forbidden":
            what = "is not a setting"
            if len(names) == 1 and isinstance(e["input"], dict):
                what += ", nor the table of an engine that is here"
        parts.append(f"{where}: {'.'.join(names)} {what}")
    return "; ".join(parts)


def place_of(names: list[str], file: Path, text: str) -> str:
    """Where a setting is set: its variable, or its file and line."""
    for count in range(len(names), 0, -1):  # a table may be given whole, as JSON
        if variable := _variable("COSMOS_" + "__".join(names[:count])):
            return f"environment variable {variable}"
    line = _line_of(names, text)
    return f"{file}, line {line}" if line else str(file)


def explain_variable(error: Exception) -> str:
    """What is wrong with a variable that should hold JSON (`pydantic_settings.SettingsError`)."""
    found = re.search(r'field "(\w+)"', str(error))
    field = found[1] if found else ""
    variable = _variable(f"COSMOS_{field}") or f"COSMOS_{field}".upper()
    why = error.__cause__
    said = f"is not valid JSON: {shown(why, quoted=False)}" if why else "cannot be read"
    return f"environment variable {variable} {said}"


def deepest_variable() -> str:
    """The variable of ours that has the most lists and objects in it, as an error names it."""
    ours = [name for name in os.environ if name.upper().startswith("COSMOS_")]
    return f"environment variable {max(ours, key=lambda name: len(os.environ[name]))}"


def _variable(name: str) -> str | None:
    """What a variable is really called; upper and lower case are the same."""
    return next((known for known in os.environ if known.upper() == name.upper()), None)


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
