"""By what a line of a log tells its level and its time, as data for whoever shows lines. Pure.

The expressions are written so that Python and JavaScript read them alike; a test holds that.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from cosmos_pipelines.engines.cosmos3.facts import SAYS as COSMOS3
from cosmos_pipelines.engines.cosmos_transfer1.facts import SAYS as TRANSFER1
from cosmos_pipelines.engines.cosmos_transfer2_5.facts import SAYS as TRANSFER2_5
from cosmos_pipelines.engines.gpu_faults import GPU_FAULTS
from cosmos_pipelines.lines import REMOVED

_SAYS: Final = (TRANSFER1, TRANSFER2_5, COSMOS3)
_LEVELS: Final = (
    # loguru, logging and our own programs write the name of the level in capitals
    ("error", r"\b(?:ERROR|CRITICAL|FATAL|FAILED|REFUSED|BLOCKED)\b"),
    # absl and NVIDIA's C++ libraries (glog): E1129 15:20:54.123456
    ("error", r"^[EF]\d{4} \d\d:\d\d:\d\d"),
    # Python: the traceback, and the exception below it
    ("error", r"^\s*Traceback \(most recent call last\)"),
    ("error", r'^\s*File "[^"]*", line \d+'),
    ("error", r"^(?:\w+\.){0,9}\w*(?:Error|Exception|Interrupt)(?::|$)"),
    ("error", r"NVRM: Xid|CUDA error|Segmentation fault|[Kk]illed process"),
    ("warning", r"\bWARN(?:ING)?\b|\b\w{0,60}Warning:|^W\d{4} \d\d:\d\d:\d\d"),
    ("info", r"\bINFO\b|^I\d{4} \d\d:\d\d:\d\d"),
    ("debug", r"\b(?:DEBUG|TRACE)\b"),
)
_TIME: Final = (
    r"^(?:\x5b|[EWIF]\d{4} )?"
    r"((?:\d{4}-\d\d-\d\d[T ]|\d\d-\d\d )?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
"""The time at the beginning of a line, as loguru, logging, glog and NVIDIA's logger write it."""


def log_rules() -> dict[str, Any]:
    """Return `levels`, `ignores`, `time` and `remove`: regular expressions for lines.

    `levels`: level, pattern and flags, the most telling first; `ignores`: lines that are no failure
    whatever words they have; `time`: its first group is the time of a line; `remove`: escape
    sequences and control characters.
    """
    failures = [pattern for _, pattern, _ in _failures()]
    rules = [("error", pattern) for pattern in dict.fromkeys(failures)]
    return {
        "levels": [{"level": level, **_flagged(p)} for level, p in (*_LEVELS[:6], *rules)]
        + [{"level": level, **_flagged(p)} for level, p in _LEVELS[6:]],
        "ignores": [_flagged(p) for p in _ignores()],
        "time": _TIME,
        "remove": REMOVED,
    }


def _failures() -> chain[Any]:
    return chain(GPU_FAULTS, *(says["failures"] for says in _SAYS))


def _ignores() -> list[str]:
    return list(dict.fromkeys(chain(*(says.get("ignores", ()) for says in _SAYS))))


def _flagged(pattern: str) -> dict[str, str]:
    """A pattern without the flag at its beginning, and the flag."""
    if pattern.startswith("(?i)"):
        return {"pattern": pattern[4:], "flags": "i"}
    return {"pattern": pattern, "flags": ""}
