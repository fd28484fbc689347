"""What a script of the page sends: one JSON object, each value of the kind that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.foreign import parse_json
from cosmos_pipelines.page.site import MOST_FORM

if TYPE_CHECKING:
    from starlette.requests import Request


async def asked(request: Request, most: int = MOST_FORM) -> Mapping[str, Any]:
    """Return the JSON object of a request of at most so many bytes.

    Raises:
        InputError: it is none, or larger than any of ours.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise InputError(f"The request has more than {most} bytes.")
    found = parse_json(body, "The request", most=most)
    if not isinstance(found, Mapping):
        raise InputError("The request is no JSON object.")
    return found


def text(given: Mapping[str, Any], name: str) -> str:
    """Return a text; "" if there is none. Raises InputError."""
    value = given.get(name) or ""
    if not isinstance(value, str):
        raise InputError(f"{name} is no text.")
    return value


def texts(given: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of texts; none if there is none. Raises InputError."""
    value = given.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{name} is no list of texts.")
    return value


def fields(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object; an empty one if there is none. Raises InputError."""
    value = given.get(name) or {}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} is no JSON object.")
    return value
