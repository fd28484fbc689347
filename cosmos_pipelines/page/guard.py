"""Who may: every request and websocket on the port passes here first, Dagster's as well.

In this order: the Host header is ours; who needs the token has it; no other site asks a browser to
change something; what changes something below /cosmos/ carries the token of one of our pages.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from cosmos_pipelines.page.access import Access
from cosmos_pipelines.page.site import MOST_FORM, STATIC, templates
from cosmos_pipelines.person import ordering_as

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER: Final = "/cosmos/enter"
"""Where the page that asks for the token sends it."""
READING: Final = ("GET", "HEAD", "OPTIONS")
OURS: Final = ("same-origin", "none")
"""Sec-Fetch-Site of our own pages, and of what the user typed."""
STAYS_S: Final = 30 * 24 * 3600
FORM: Final = "application/x-www-form-urlencoded"


class Guard:
    """The middleware in front of everything."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is refused; pass on everything else."""
        from starlette.requests import HTTPConnection

        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        body: Message | None = None
        refusal = self._stranger(asked) or self._unwelcome(asked)
        if refusal is None and _changes_ours(asked) and _is_form(asked):
            body = await _whole(receive)
            refusal = self._by_fields(asked, body)
        if refusal is None:
            name = self.access.person_header
            with ordering_as(asked.headers.get(name) if name else None):
                await self.app(scope, _again(body, receive) if body else receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)

    def _stranger(self, asked: HTTPConnection) -> Response | None:
        """Refuse a Host header that is not ours: a name that leads here may be anybody's."""
        hosts = asked.headers.getlist("host")
        server = asked.scope.get("server") or ("", None)
        if len(hosts) == 1 and self.access.knows(hosts[0].lower(), server[0]):
            return None
        return _said(
            asked,
            421,
            "This server does not have the name that was asked for.",
            "Open the address that `cosmos ui` prints, or name yours in cosmos.toml: "
            '[ui] address = "http://NAME:PORT".',
        )

    def _unwelcome(self, asked: HTTPConnection) -> Response | None:
        """Refuse who has no token, and what another site or an old page asks for."""
        method = asked.scope.get("method", "")
        if self.access.token is not None:
            if method in ("GET", "HEAD") and "token" in asked.query_params:
                return self._opened(asked)
            if not _enters(asked, self.access) and not self._may_enter(asked):
                return _ask(asked)
        if method in READING:
            return _no_query(asked)
        origin, site = asked.headers.get("origin"), asked.headers.get("sec-fetch-site")
        expected = self.access.origin(asked.headers["host"].lower())
        ours = (None, expected, self.access.address)  # a proxy may send another Host header on
        foreign = origin not in ours or site not in (None, *OURS)
        unsaid = origin is None and site is None and _below_ours(asked)
        if foreign or unsaid:
            return _said(
                asked,
                403,
                "Another site than this page asked for a change, or a program that names none.",
                f"Programs send `Origin: {expected}`.",
            )
        if _below_ours(asked) and not _is_form(asked):
            given = asked.headers.get("x-cosmos-token", "")
            return None if self.access.is_form_token(given) else _stale(asked)
        return None

    def _by_fields(self, asked: HTTPConnection, body: Message) -> Response | None:
        """Refuse a form without the token of a page; let in whose form has the right token."""
        if body["more_body"]:
            return _said(asked, 413, f"The form has more than {MOST_FORM} bytes.", "")
        fields = _fields(body)
        if _enters(asked, self.access):
            return self._entering(asked, fields)
        return None if self.access.is_form_token(fields.get("token", "")) else _stale(asked)

    def _may_enter(self, asked: HTTPConnection) -> bool:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        return self.access.is_pass(asked.cookies.get(self.access.cookie, "")) or (
            scheme.lower() == "bearer" and self.access.is_token(token.strip())
        )

    def _opened(self, asked: HTTPConnection) -> Response:
        """Answer a link with a token: a cookie, and the same address without the token."""
        if not self.access.is_token(asked.query_params["token"]):
            return _ask(asked, wrong=True)
        return self._welcome(asked, _wanted(asked))

    def _entering(self, asked: HTTPConnection, fields: dict[str, str]) -> Response:
        """Answer the form of the page that asks for the token."""
        if not self.access.is_token(fields.get("token", "").strip()):
            return _ask(asked, wrong=True, to=fields.get("next", ""))
        return self._welcome(asked, _local(fields.get("next", "")))

    def _welcome(self, asked: HTTPConnection, to: str) -> Response:
        from starlette.responses import RedirectResponse

        answer = RedirectResponse(to, 303, headers={**_QUIET})
        answer.set_cookie(
            self.access.cookie,
            self.access.pass_value,
            max_age=STAYS_S,
            httponly=True,
            samesite="lax",  # a link in a message opens; no other site's form or picture counts
            secure=self.access.origin(asked.headers["host"].lower()).startswith("https:"),
        )
        return answer


_QUIET: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
}


def _below_ours(asked: HTTPConnection) -> bool:
    path: str = asked.scope["path"]
    return f"{path}/".startswith("/cosmos/")


def _changes_ours(asked: HTTPConnection) -> bool:
    return asked.scope.get("method", "GET") not in READING and _below_ours(asked)


def _enters(asked: HTTPConnection, access: Access) -> bool:
    posted = asked.scope.get("method") == "POST" and asked.scope["path"] == ENTER
    return posted and access.token is not None and _is_form(asked)


def _is_form(asked: HTTPConnection) -> bool:
    """Whether the token of a page is to be looked for in the fields of a form."""
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == FORM and "x-cosmos-token" not in asked.headers


def _no_query(asked: HTTPConnection) -> Response | None:
    """Refuse a query of Dagster's in an address: it may change something, and a picture can ask."""
    path = asked.scope["path"].rstrip("/")
    if path != "/graphql" or "text/html" in asked.headers.get("accept", ""):
        return None
    return _said(asked, 405, "Dagster's GraphQL is asked with POST on this server.", "")


def _stale(asked: HTTPConnection) -> Response:
    return _said(
        asked,
        403,
        "Nothing was changed: the page does not have the token of this server.",
        "Reload the page.",
    )


def _said(asked: HTTPConnection, status: int, error: str, hint: str) -> Response:
    """Say a refusal as JSON where a script asked, else as a line of text."""
    from starlette.responses import JSONResponse, PlainTextResponse

    headers = {**_QUIET, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if "application/json" in asked.headers.get("accept", ""):
        return JSONResponse({"error": error, "hint": hint or None}, status, headers=headers)
    return PlainTextResponse(f"{error} {hint}".strip() + "\n", status, headers=headers)


def _ask(asked: HTTPConnection, *, wrong: bool = False, to: str | None = None) -> Response:
    """Ask a person for the token; tell a program that it needs one."""
    from starlette.responses import HTMLResponse

    if "text/html" not in asked.headers.get("accept", "") or "hx-request" in asked.headers:
        return _said(
            asked,
            401,
            "This server wants its token.",
            "Open the link that `cosmos ui` prints, or send `Authorization: Bearer TOKEN`.",
        )
    style, digest = _style()
    text = (
        templates()
        .get_template("enter.html")
        .render(enter=ENTER, style=style, wrong=wrong, next=_wanted(asked) if to is None else to)
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {**_QUIET, "Content-Security-Policy": policy, "WWW-Authenticate": "Bearer"}
    return HTMLResponse(text, 401, headers=headers)


@functools.cache
def _style() -> tuple[str, str]:
    """The style of the page that asks for the token, which gets no other file, and its hash."""
    text = "".join((STATIC / "css" / f"{name}.css").read_text() for name in ("tokens", "enter"))
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _wanted(asked: HTTPConnection) -> str:
    """The path and query of a request on this server, without the token."""
    if asked.scope["path"] == ENTER:
        return "/cosmos/"
    raw: bytes = asked.scope.get("raw_path") or asked.scope["path"].encode()
    path = _local(raw.partition(b"?")[0].decode("latin-1"))
    pairs = parse_qsl(asked.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = urlencode([pair for pair in pairs if pair[0] != "token"])
    return f"{path}?{query}" if query else path


def _local(to: str) -> str:
    """A path as one of this server: `//host` and `/\\host` are other servers to a browser."""
    plain = "".join(c for c in to if c.isprintable() and c.isascii())
    return "/" + plain.lstrip("/\\ ") if plain else "/cosmos/"


async def _whole(receive: Receive) -> Message:
    """The body of a request as one message; `more_body`: it is longer than any form."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_FORM or not message.get("more_body"):
            return {**message, "body": body, "more_body": len(body) > MOST_FORM}


def _fields(body: Message) -> dict[str, str]:
    """The fields of a form; what is none has no fields."""
    try:
        return dict(parse_qsl(body.get("body", b"").decode(), keep_blank_values=True))
    except ValueError:
        return {}


def _again(body: Message, receive: Receive) -> Receive:
    """What gives the body that was read, and then what comes after it."""
    kept = [body]

    async def read() -> Message:
        return kept.pop() if kept else await receive()

    return read
