"""What has happened as one text for people. Pure.

What it tells of may come from a host or a file of somebody else: nothing in it can call anybody
(`<!channel>`, `@everyone`), and no line is long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.catalog.notices import Notice
from cosmos_pipelines.lines import plain

LISTED: Final = 10
"""Failed runs that are told one by one."""
_LONGEST: Final = 300
_CALLS: Final = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "\uff20"})
_ORDER: Final = ("budget", "host_away", "disk_full", "failed", "queue_empty")
_TITLES: Final = {
    "budget": "budget used up",
    "host_away": "a host is away",
    "disk_full": "a disk is nearly full",
    "queue_empty": "the queue is empty",
}
_BAD: Final = frozenset(_ORDER) - {"queue_empty"}


def digest(project: str, notices: Sequence[Notice], page: str | None) -> tuple[str, str, bool]:
    """Return the title and the text of one message, and whether it tells of something bad.

    `page`: the URL of the review page for others, if there is one.
    """
    by_kind: dict[str, list[Notice]] = {}
    for notice in notices:
        by_kind.setdefault(notice.kind, []).append(notice)
    known = [kind for kind in _ORDER if kind in by_kind]
    titles = [_title(kind, len(by_kind[kind])) for kind in known]
    parts = ["\n".join(_lines(kind, by_kind[kind])) for kind in known]
    if page:
        parts.append(f"{page}/cosmos/")
    title = safe(f"{project}: {', '.join(titles)}")
    return title, "\n\n".join(parts), bool(_BAD.intersection(known))


def safe(text: str) -> str:
    """One line of text that calls nobody, of at most some hundred characters."""
    line = plain(" ".join(text.split())).translate(_CALLS)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _title(kind: str, number: int) -> str:
    if kind != "failed":
        return _TITLES[kind]
    return "1 run failed" if number == 1 else f"{number} runs failed"


def _lines(kind: str, notices: Sequence[Notice]) -> list[str]:
    if kind != "failed":
        return [safe(notice.said) for notice in notices]
    lines = [safe(notice.said) for notice in notices[:LISTED]]
    if (more := len(notices) - LISTED) > 0:
        lines.append(f"and {more} more: `cosmos list runs --status failed` lists them.")
    lines.append("`cosmos why RS_ID` says why a run failed.")
    return lines
