"""Who may: hosts, other sites, the token of a page."""

from __future__ import annotations

import asyncio
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.access import SECRET, access_of
from cosmos_pipelines.page.guard import Guard
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import Ui
from tests.support import web
from tests.support.guarded import Behind, socket_opens
from tests.support.review_page import visitor
from tests.support.together import together

if TYPE_CHECKING:
    from playwright.sync_api import Page

HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/cosmos/", "/cosmos/events", "/graphql", "/", "/cosmos/video/x"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost:1", "localhost.evil.example:{port}",
             "10.1.2.3:{port}", "127.0.0.1:{port}@evil.example", "", "[::1", "localhost:{port}:1"]
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused_in_one_line(
    open_page: str, behind: Behind, host: str, path: str
) -> None:
    port = httpx.URL(open_page).port
    answer = web.get(f"{open_page}{path}", headers={"Host": host.format(port=port)})
    assert answer.status_code == 421 if host else answer.status_code in (400, 421)
    assert len(answer.text.strip().splitlines()) == 1
    assert behind.reached == []


def test_every_name_of_this_machine_is_ours(open_page: str) -> None:
    port = httpx.URL(open_page).port
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        answer = web.get(f"{open_page}/cosmos/", headers={"Host": f"{name}:{port}"})
        assert answer.status_code == 200, name


def test_a_websocket_for_another_name_is_refused(open_page: str, behind: Behind) -> None:
    assert not socket_opens(open_page, Host="evil.example")
    assert behind.reached == []


def test_the_address_of_the_settings_is_ours_and_lets_nobody_in(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, ui=Ui(address="https://Studio.example:443/"))
    access = access_of(settings, "127.0.0.1", 3000)
    assert access.knows("studio.example", "127.0.0.1")
    assert access.origin("studio.example") == "https://studio.example"
    assert access.token is not None


@pytest.mark.parametrize(
    "address", ["studio:3000", "http://studio/wall", "http://a b", "ftp://x", "http://u@x"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"no URL|must end"):
        Ui(address=address)


def test_a_program_of_this_machine_asks_dagster_without_a_token(
    open_page: str, behind: Behind
) -> None:
    assert web.post(f"{open_page}/graphql", json={"query": "{x}"}).json() == {"data": "yes"}
    assert socket_opens(open_page)
    assert behind.reached == ["POST /graphql", "websocket"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "{url}", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "{url}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_starts_nothing_through_a_browser(
    open_page: str, behind: Behind, headers: dict[str, str]
) -> None:
    sent = {name: value.format(url=open_page) for name, value in headers.items()}
    token = visitor(open_page).headers["X-Cosmos-Token"]
    for path in ("/graphql", "/report_asset_materialization/x", "/cosmos/compare"):
        answer = web.post(f"{open_page}{path}", headers={**sent, "X-Cosmos-Token": token})
        assert answer.status_code == 403
    assert not socket_opens(open_page, **sent)
    assert behind.reached == []


def test_a_query_in_an_address_reaches_dagster_from_nobody(open_page: str, behind: Behind) -> None:
    for path in ("/graphql", "/graphql/"):
        query = f"{open_page}{path}?query=mutation{{terminateRun}}"
        assert web.get(query, headers={"Accept": "image/*"}).status_code == 405
    assert behind.reached == []
    web.get(f"{open_page}/graphql", headers=HTML)  # the form to ask with
    assert behind.reached == ["GET /graphql"]


def test_a_change_needs_a_page_of_ours_and_its_token(open_page: str) -> None:
    may = visitor(open_page)
    right = may.headers["X-Cosmos-Token"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers, body, status in (
        ({"X-Cosmos-Token": right, "Origin": open_page}, b"{}", 405),
        ({"X-Cosmos-Token": right, "Sec-Fetch-Site": "same-origin"}, b"{}", 405),
        ({"Origin": open_page, **form}, f"a=1&token={right}".encode(), 405),
        ({"X-Cosmos-Token": right}, b"{}", 403),
        ({"Origin": open_page}, b"{}", 403),
        ({"Origin": open_page, "X-Cosmos-Token": "0" * 64}, b"{}", 403),
        ({"Origin": open_page, "X-Cosmos-Token": "ü"}, b"{}", 403),
        ({"Origin": open_page}, f"token={right}".encode(), 403),
        ({"Origin": open_page, **form}, b"token=stale", 403),
        ({"Origin": open_page, **form}, b"\xff&token", 403),
        ({"Origin": open_page, **form, "X-Cosmos-Token": "0"}, f"token={right}".encode(), 403),
        ({"Origin": open_page, **form}, b"a" * (1 << 20) + f"&token={right}".encode(), 413),
    ):
        raw = {name: value.encode() for name, value in headers.items()}
        for method in ("POST", "DELETE", "PATCH"):
            answer = web.request(method, f"{open_page}/cosmos/compare", headers=raw, content=body)
            assert answer.status_code == status, (headers, answer.text)


def test_a_stale_page_is_told_to_reload(open_page: str) -> None:
    headers = {"Origin": open_page, "X-Cosmos-Token": "stale", "Accept": "application/json"}
    said = web.post(f"{open_page}/cosmos/compare", headers=headers, json={}).json()
    assert said["hint"] == "Reload the page."


def test_a_form_reaches_its_route_whole(tmp_path: Path) -> None:
    async def echo(request: Request) -> JSONResponse:
        return JSONResponse({"body": (await request.body()).decode()})

    access = access_of(Settings(home=tmp_path), "127.0.0.1", 3000)
    app = Guard(Starlette(routes=[Route("/cosmos/x", echo, methods=["POST"])]), access)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as c:
            data = {"token": access.form_token, "text": "wall " * 20_000}
            return await c.post("/cosmos/x", data=data, headers={"Origin": "http://localhost:3000"})

    with ThreadPoolExecutor() as aside:  # a browser's loop may run in this thread
        answer = aside.submit(asyncio.run, ask()).result()
    assert answer.status_code == 200, answer.text
    assert answer.json()["body"].count("wall") == 20_000


def _token(home: Path) -> str:
    return access_of(Settings(home=home), "127.0.0.1", 3000).form_token


def write_token(number: int, home: str, answers: str) -> None:
    (Path(answers) / str(number)).write_text(_token(Path(home)))


def test_one_secret_is_made_by_processes_at_once_and_outlives_them(tmp_path: Path) -> None:
    home, answers = tmp_path / "films", tmp_path / "answers"
    home.mkdir()
    answers.mkdir()
    assert together(f"{__name__}:write_token", home, answers) == [0] * 8
    made = {path.read_text() for path in answers.iterdir()}
    assert made == {_token(home)}
    assert stat.S_IMODE((home / SECRET).stat().st_mode) == 0o600
    assert [path.name for path in (home / SECRET).parent.iterdir()] == [SECRET.name]


def test_a_secret_that_others_can_read_lets_nobody_in(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    known = access_of(settings, "0.0.0.0", 3000)
    (tmp_path / SECRET).chmod(0o644)
    assert access_of(settings, "127.0.0.1", 3000).form_token != known.form_token
    with pytest.raises(InputError, match=r"Other users can read .*page-secret \(mode 644\)"):
        access_of(settings, "0.0.0.0", 3000)


ATTACK = """<script>
const at = "ADDRESS", query = "/graphql?query=mutation{launchRun}", tried = [];
const go = (path, more) => tried.push(
  fetch(at + path, { mode: "no-cors", credentials: "include", ...more }).catch(() => null));
go(query, {});
go(query, { method: "POST" });
go("/graphql", { method: "POST", body: '{"query": "mutation{launchRun}"}' });
go("/cosmos/compare", { method: "POST", body: new URLSearchParams({ token: "x" }) });
tried.push(new Promise((done) => {
  const picture = new Image();
  picture.onerror = picture.onload = done;
  picture.src = at + query;
}));
tried.push(new Promise((done) => {
  const socket = new WebSocket(at.replace("http", "ws") + "/graphql", "graphql-ws");
  socket.onerror = socket.onmessage = done;
}));
Promise.all(tried).then(() => {
  document.body.innerHTML = `<form method=post action="${at}${query}"><input name=a></form>`;
  document.forms[0].submit();
});
</script>"""


class Elsewhere(BaseHTTPRequestHandler):
    """Another site: every path is the same page."""

    page = b""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_page_of_another_site_reaches_dagster_by_no_way(
    open_page: str, behind: Behind, tab: Page
) -> None:
    site = type("Evil", (Elsewhere,), {"page": ATTACK.replace("ADDRESS", open_page).encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), site) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            tab.goto(f"http://localhost:{other.server_port}/")
            tab.wait_for_url(f"{open_page}/graphql*")  # where its form has led
        finally:
            other.shutdown()
            thread.join()
    assert "Another site" in tab.content()
    assert behind.reached == []
