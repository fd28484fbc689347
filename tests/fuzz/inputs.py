"""How many inputs there are, and what they are made of."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

BY_HAND = int(os.environ.get("COSMOS_FUZZ", "0"))


def some(in_ci: int) -> Callable[[Any], Any]:
    """So many inputs in CI, as many as `COSMOS_FUZZ` says by hand."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=BY_HAND or in_ci,
        deadline=None,
        derandomize=not BY_HAND,
        database=None,
        suppress_health_check=checks,
    )


ODD_TEXTS = (
    "", " ", "\ufeff", "\u200b", "\0", "\x1b[31m", "\n", "\udce9", "é", "日没", "٣", "²", "..", ".",
    "../../etc/passwd", "/etc/passwd", "~", "~nobody/x", "a/b", "a\\b", "-", "--", "-x", "--help",
    "x" * 300, "x" * 5000, "%", "_", "*", "'", '"', "$(reboot)", "`x`", ";", "&&", "{run}",
    "NaN", "inf", "1e999", "-1", "0", "1", "9" * 30, "true", "null", "None", "[]", "{}", "[" * 200,
)  # fmt: skip
TEXT = (
    st.text(max_size=20)
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(ODD_TEXTS)
)
NUMBER = (
    st.integers(-3, 300) | st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 10**25])
)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """The document with a part of it replaced, left out, doubled or added."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 5)) == 0:
        return draw(VALUE)
    if isinstance(document, dict):
        made = dict(document)
        key = draw(st.sampled_from(sorted(made)))
        match draw(st.integers(0, 3)):
            case 0:
                del made[key]
            case 1:
                made[draw(TEXT)] = made[key] if draw(st.booleans()) else draw(VALUE)
            case _:
                made[key] = draw(spoilt(made[key]))
        return made
    items = list(document)
    at = draw(st.integers(0, len(items) - 1))
    match draw(st.integers(0, 3)):
        case 0:
            del items[at]
        case 1:
            items.insert(at, items[at])
        case _:
            items[at] = draw(spoilt(items[at]))
    return items


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes cut, overwritten, lengthened, or in another encoding."""
    made = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(made) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                del made[at:]
            case 1:
                made[at : at + 1] = draw(st.binary(max_size=4))
            case 2:
                made[at:at] = draw(st.sampled_from([b"\xef\xbb\xbf", b"\0", b"[" * 90, b"\xff"]))
            case _:
                made[at : at + draw(st.integers(1, 40))] = b""
    return bytes(made)


@st.composite
def json_like(draw: st.DrawFn, document: Any) -> bytes:
    """A JSON file that is almost, or not at all, the document."""
    spoiled = document
    for _ in range(draw(st.integers(0, 3))):
        spoiled = draw(spoilt(spoiled))
    text = json.dumps(spoiled, ensure_ascii=draw(st.booleans()))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1"]))
    data = text.encode(encoding, "backslashreplace" if encoding == "latin-1" else "replace")
    return draw(damaged(data)) if draw(st.integers(0, 2)) == 0 else data
