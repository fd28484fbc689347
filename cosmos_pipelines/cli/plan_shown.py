"""What would be taken of a directory of renders, as a table, or as lines where that is too wide."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cosmos_pipelines.cli.exit_codes import one_line
from cosmos_pipelines.cli.output import table_width, write, write_table

Plan = Mapping[str, Any]
Row = Mapping[str, Any]


def _size(row: Row) -> str:
    return f"{row['width']}x{row['height']}" if row.get("width") else ""


_COLUMNS: Final = {
    "scene": lambda r: r["scene"],
    "pass": lambda r: r["pass"],
    "files": lambda r: r["files"],
    "frames": lambda r: r.get("frames"),
    "size": _size,
    "values": lambda r: r.get("values"),
    "why": lambda r: r["why"],
}
_INDENT: Final = 16
"""Columns before the files: the longest pass and two spaces on each side."""


def show_plans(plans: Sequence[Plan]) -> None:
    """Print a row for each pass and each file that is ignored.

    On a terminal that is too narrow for the table: under each scene's name two lines for each.
    """
    rows = [row for plan in plans for row in rows_of(plan)]
    if not rows:
        return
    width = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or table_width(rows, _COLUMNS) <= width:
        write_table(rows, _COLUMNS)
        return
    for line in lines_of(rows, width):
        write(line)


def rows_of(plan: Plan) -> list[Row]:
    """A row for each pass of a plan, and for each file that is ignored."""
    scene = {"scene": plan["scene"] or Path(plan["path"]).name}
    ignored = [
        {**scene, "pass": "ignored", **one, "why": one["why"] or "not called as a pass"}
        for one in plan["ignored"]
    ]
    return [*({**scene, **one} for one in plan["passes"]), *ignored]


def lines_of(rows: Sequence[Row], width: int) -> Iterator[str]:
    """The same as lines of `width` columns at most, as far as names allow."""
    scene = None
    for row in rows:
        if row["scene"] != scene:
            scene = row["scene"]
            yield one_line(scene)
        yield f"  {row['pass']:<{_INDENT - 4}}  {one_line(row['files'])}"
        facts = [f"{row['frames']} frames" if row.get("frames") else "", _size(row)]
        told = ", ".join(filter(None, [*facts, row.get("values")]))
        said = one_line("; ".join(filter(None, [told, row["why"]])))
        yield from textwrap.wrap(
            said,
            max(width, 2 * _INDENT),
            initial_indent=" " * _INDENT,
            subsequent_indent=" " * _INDENT,
        )
