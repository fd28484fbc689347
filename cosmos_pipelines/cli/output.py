"""Print data on stdout: JSON, tables, records. Tables fit the terminal; ids stay whole."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cosmos_pipelines.cli.exit_codes import one_line
from cosmos_pipelines.labels import LABELS
from cosmos_pipelines.lines import plain

_EXECUTED = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What JSON leaves as it is, and `plain` would remove; as escapes the data stay whole."""

Record = Mapping[str, Any]
Columns = Mapping[str, Callable[[Any], object]]
"""The function for a cell, by title. The last column is cut if the terminal is narrow."""


def write(text: str) -> None:
    """Print one line (or several lines) of data, without what a terminal would execute."""
    sys.stdout.write(plain(text) + "\n")


def write_json(value: object) -> None:
    """Print `value` as JSON, indented by 2."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    write(_EXECUTED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def write_table(rows: Iterable[Any], columns: Columns, *, cut: bool = True) -> None:
    """Print rows under their titles; on a terminal the last column is cut to fit, if `cut`."""
    cells = _cells(rows, columns)
    if sys.stdout.isatty():
        _on_terminal(list(columns), cells, cut)
        return
    table = [[title.upper() for title in columns], *cells]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    for row in table:
        write("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def table_width(rows: Iterable[Any], columns: Columns) -> int:
    """Return how many columns of a terminal the whole table takes."""
    from rich.cells import cell_len

    table = [list(columns), *_cells(rows, columns)]
    widths = [max(cell_len(row[i]) for row in table) for i in range(len(columns))]
    return sum(widths) + 2 * (len(widths) - 1)


def write_record(record: Record, *, indent: str = "") -> None:
    """Print the fields of one record, a line each; leave out empty fields."""
    shown = {k: v for k, v in record.items() if v not in (None, "", [], {})}
    width = max((len(k) for k in shown), default=0)
    for key, value in shown.items():
        if isinstance(value, Mapping):
            write(f"{indent}{one_line(key)}")
            write_record(value, indent=indent + "  ")
        else:
            write(f"{indent}{one_line(key):<{width}}  {_cell(value)}")


def age(moment: str | None) -> str:
    """Return the age of an ISO 8601 time: `5 s`, `3 min`, `2 h`, `4 d`."""
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    return duration(max(0.0, seconds))


def at_work(worker: Mapping[str, Any]) -> str:
    """Return who works on the queue, on which machine, and for how long, in a line."""
    return f"{worker['said']}, for {age(worker['since'])}."


def duration(seconds: float) -> str:
    """Return a number of seconds in the largest unit that gives at least 1."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def engine_label(name: str) -> str:
    """Return an engine's name for users; the name of a simulated engine says so."""
    if name in LABELS:
        return LABELS[name]
    from cosmos_pipelines.engines import label_of

    return label_of(name)


def _cells(rows: Iterable[Any], columns: Columns) -> list[list[str]]:
    return [[_cell(show(row)) for show in columns.values()] for row in rows]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        parts = [_cell(v) for v in value]
        sentences = bool(parts) and all(part.endswith(".") for part in parts)
        return (" " if sentences else ", ").join(parts)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return one_line(str(value))


def _on_terminal(titles: Sequence[str], cells: Sequence[Sequence[str]], cut: bool) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    *whole, last = [
        max(cell_len(x) for x in (title, *(row[i] for row in cells)))
        for i, title in enumerate(titles)
    ]
    fixed = sum(whole) + 2 * len(whole)
    if cut:
        last = min(last, max(console.width - fixed, 12))
    console.width = fixed + last
    plain = console.no_color
    bold = "" if plain else "bold"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=bold)
    for title, width in zip(titles, (*whole, last), strict=True):
        table.add_column(title.upper(), no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        table.add_row(*(Text(c, style="" if plain else _STYLES.get(c, "")) for c in row))
    console.print(table)


_STYLES = {
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "uploading": "cyan",
    "downloading": "cyan",
}
