"""Secrets leave no trace in what people send to each other. Pure: text in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.foreign import parse_json

MASK: Final = "***"
SHORTEST: Final = 4
"""A shorter value is no secret, and removing it everywhere would spoil the text."""

_NAME: Final = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|KEY|CREDENTIAL|NOTIFY_URLS", re.IGNORECASE)
_PAIR: Final = re.compile(r"(?s)([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_ASSIGNED: Final = re.compile(
    r"""(?x)
    (\b[A-Z0-9_]*(?:TOKEN|PASSWORD|PASSWD|SECRET|KEY|CREDENTIAL|NOTIFY_URLS)[A-Z0-9_]*  # variables
      |(?i:\b(?:[a-z0-9]+[_-])*(?:api[_-]?key|token|password|passwd|secret)\b))  # options
    (["']?\s*[=:]\s*|\s+(?=["']))
    ("[^"\n]*"|'[^'\n]*'|[^\s"',;}\]]+)
    """
)
_KNOWN: Final = (
    re.compile(r"\bhf_[A-Za-z0-9]{8,}"),  # Hugging Face
    re.compile(r"\bnvapi-[A-Za-z0-9_-]{8,}"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{16,}"),
    re.compile(r"\bAKIA[A-Z0-9]{12,}"),
    re.compile(r"(?<=Bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
)


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    return _NAME.search(name) is not None


def secrets_of(env: Mapping[str, str]) -> set[str]:
    """The values of an environment that are secrets."""
    values = {value for name, value in env.items() if is_secret(name)}
    for name, several in env.items():
        if "NOTIFY_URLS" in name:
            values.update(several.split())
    return {value for value in values if len(value) >= SHORTEST}


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """A text without secrets: those of `known`, what is assigned to a name of one, known forms.

    JSON stays JSON; in it, values of such names and `NAME=value` words are masked whole.
    """
    for value in sorted(known, key=len, reverse=True):
        text = text.replace(value, MASK).replace(json.dumps(value)[1:-1], MASK)
    try:
        read = parse_json(text, "", most=len(text))
    except InputError:
        return _plain(text)
    if isinstance(read, dict | list):
        return json.dumps(_inside(read), indent=1, ensure_ascii=False)
    return _plain(text)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: MASK if v and _masked(k, v) else _inside(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_inside(v) for v in value]
    return _word(value) if isinstance(value, str) else value


def _masked(name: str, value: Any) -> bool:
    return isinstance(value, str | int | float) and is_secret(name)


def _word(text: str) -> str:
    pair = _PAIR.fullmatch(text)
    if pair and is_secret(pair[1]):
        return f"{pair[1]}={MASK}"
    return _plain(text)


def _plain(text: str) -> str:
    for pattern in _KNOWN:
        text = pattern.sub(MASK, text)
    return _ASSIGNED.sub(lambda m: f"{m[1]}{m[2]}{MASK}", text)
