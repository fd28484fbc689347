"""What every screen of the review page works with: the API, the templates, the news."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.foreign import as_text
from cosmos_pipelines.page.feed import Feed
from cosmos_pipelines.page.hosts_news import HostsNews
from cosmos_pipelines.page.jobs import Jobs
from cosmos_pipelines.page.words import FILTERS

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
SCREENS: Final = (
    ("", "Wall"),
    ("prompts", "Prompts"),
    ("new", "Order"),
    ("scenes", "Scenes"),
    ("queue", "Queue"),
)
"""Path below /cosmos/ and name of each screen in the navigation."""
MOST_FORM: Final = 1 << 20
"""Bytes of the largest form that is read."""


@dataclass(frozen=True)
class Site:
    """The review page of one project."""

    api: CosmosAPI
    token: str
    """Every form and every request that changes something carries it (see guard.py)."""
    dagster: str | None = ""
    """What comes before the paths of Dagster's page; None: nobody knows where it is."""
    feed: Feed = field(init=False)
    hosts: HostsNews = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "feed", Feed(self.api))
        object.__setattr__(self, "hosts", HostsNews(self.api, self.feed))
        object.__setattr__(self, "jobs", Jobs(self.feed))

    def newest(self) -> str | None:
        """Return the catalog's cursor of now; None if the catalog cannot be read."""
        try:
            return str(self.api.changes()["cursor"])
        except CosmosError:  # the page that is asked for says why
            return None

    def render(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a page, or a part of one, from a file of `templates/`."""
        from starlette.responses import HTMLResponse

        here = request.url.path.removeprefix("/cosmos/").partition("/")[0]
        shared = {
            "screens": SCREENS,
            "here": here,
            "static": f"/cosmos/static/{version()}",
            "token": self.token,
            "dagster": self.dagster,
            "project": self.api.settings.home.name,
            "since": getattr(request.state, "since", None),
        }
        text = templates().get_template(template).render({**shared, **values})
        # a name of a file that is no UTF-8 may be anywhere in it
        return HTMLResponse(as_text(text), status, headers={"Cache-Control": "no-store"})


def is_page(request: Request) -> bool:
    """Return whether a whole page is asked for, not a part of one, a file or the news."""
    wanted = "text/html" in request.headers.get("accept", "")
    return wanted and request.headers.get("hx-request") != "true"


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form (URL-encoded), each with all its values.

    Raises:
        InputError: it is no form, or larger than any of ours.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_FORM:
            raise InputError(f"The form has more than {MOST_FORM} bytes.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError as e:
        raise InputError("The form cannot be read: it is not URL-encoded UTF-8.") from e
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def one(fields: Mapping[str, list[str]], name: str) -> str:
    """Return a field's only value without blanks around it; "" if it is missing."""
    return (fields.get(name) or [""])[-1].strip()


@functools.cache
def version() -> str:
    """Return a hash of all static files: their URLs change with them, so browsers keep them."""
    found = hashlib.sha256()
    for path in sorted(p for p in STATIC.rglob("*") if p.is_file()):
        found.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


@functools.cache
def templates() -> Environment:
    """Return the templates, which escape every value."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made
