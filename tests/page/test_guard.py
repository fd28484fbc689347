"""Who may: hosts, other sites, the token of a page, the token that lets in."""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.access import SECRET, access_of
from cosmos_pipelines.page.guard import Guard
from cosmos_pipelines.page.site import SCREENS
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import Ui
from tests.page.conftest import Gallery
from tests.support.review_page import review_page, visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

HTML = {"Accept": "text/html"}
RUN = "rs_00000000000000000000000000000000"


class Behind:
    """What stands behind the guard in Dagster's place: counts what reaches it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        routes = [
            Route("/graphql", self._answer, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", self._talk),
            Route("/{path:path}", self._answer),
        ]
        self.app = Starlette(routes=routes)

    async def _answer(self, request: Request) -> JSONResponse:
        self.reached.append(f"{request.method} {request.url.path}")
        return JSONResponse({"data": "yes"})

    async def _talk(self, socket: WebSocket) -> None:
        self.reached.append("websocket")
        await socket.accept(subprotocol="graphql-ws")
        await socket.send_json({"data": "yes"})
        await socket.close()


@pytest.fixture(scope="module")
def stands_behind() -> Behind:
    """What stands behind the guard of both pages."""
    return Behind()


@pytest.fixture
def behind(stands_behind: Behind) -> Behind:
    """The same, which nothing has reached in this test."""
    stands_behind.reached.clear()
    return stands_behind


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CosmosAPI]:
    """An empty project."""
    with CosmosAPI(settings=Settings(home=tmp_path_factory.mktemp("films"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(api: CosmosAPI, stands_behind: Behind) -> Iterator[str]:
    """A page of this machine alone."""
    with review_page(api, behind=stands_behind.app) as served:
        yield served


@pytest.fixture(scope="module")
def shut(api: CosmosAPI, stands_behind: Behind) -> Iterator[str]:
    """A page that other machines reach."""
    with review_page(api, behind=stands_behind.app, host="0.0.0.0") as served:
        yield served


def token_of(api: CosmosAPI, url: str) -> str:
    """The token of the link that is printed for this page."""
    return str(access_of(api.settings, "0.0.0.0", httpx.URL(url).port or 80).token)


def socket_opens(url: str, **headers: str) -> bool:
    """Whether Dagster's websocket can be opened."""
    try:
        address = f"{url.replace('http', 'ws', 1)}/graphql"
        with connect(address, additional_headers=headers, subprotocols=["graphql-ws"]) as opened:
            return json.loads(opened.recv()) == {"data": "yes"}
    except InvalidStatus as e:
        assert e.response.status_code == 403
        return False


@pytest.mark.parametrize("path", ["/cosmos/", "/cosmos/events", "/graphql", "/", "/cosmos/video/x"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost:1", "localhost.evil.example:{port}",
             "10.1.2.3:{port}", "127.0.0.1:{port}@evil.example", "", "[::1", "localhost:{port}:1"]
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused_in_one_line(
    url: str, behind: Behind, host: str, path: str
) -> None:
    port = httpx.URL(url).port
    answer = httpx.get(f"{url}{path}", headers={"Host": host.format(port=port)})
    assert answer.status_code == 421 if host else answer.status_code in (400, 421)
    assert len(answer.text.strip().splitlines()) == 1
    assert behind.reached == []


def test_every_name_of_this_machine_is_ours(url: str) -> None:
    port = httpx.URL(url).port
    for name in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        answer = httpx.get(f"{url}/cosmos/", headers={"Host": f"{name}:{port}"})
        assert answer.status_code == 200, name


def test_a_websocket_for_another_name_is_refused(url: str, behind: Behind) -> None:
    assert not socket_opens(url, Host="evil.example")
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


def test_a_program_of_this_machine_asks_dagster_without_a_token(url: str, behind: Behind) -> None:
    assert httpx.post(f"{url}/graphql", json={"query": "{x}"}).json() == {"data": "yes"}
    assert socket_opens(url)
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
    url: str, behind: Behind, headers: dict[str, str]
) -> None:
    sent = {name: value.format(url=url) for name, value in headers.items()}
    token = visitor(url).headers["X-Cosmos-Token"]
    for path in ("/graphql", "/report_asset_materialization/x", "/cosmos/compare"):
        answer = httpx.post(f"{url}{path}", headers={**sent, "X-Cosmos-Token": token})
        assert answer.status_code == 403
    assert not socket_opens(url, **sent)
    assert behind.reached == []


def test_a_query_in_an_address_reaches_dagster_from_nobody(url: str, behind: Behind) -> None:
    for path in ("/graphql", "/graphql/"):
        query = f"{url}{path}?query=mutation{{terminateRun}}"
        assert httpx.get(query, headers={"Accept": "image/*"}).status_code == 405
    assert behind.reached == []
    httpx.get(f"{url}/graphql", headers=HTML)  # the form to ask with
    assert behind.reached == ["GET /graphql"]


def test_a_change_needs_a_page_of_ours_and_its_token(url: str) -> None:
    may = visitor(url)
    right = may.headers["X-Cosmos-Token"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers, body, status in (
        ({"X-Cosmos-Token": right, "Origin": url}, b"{}", 405),
        ({"X-Cosmos-Token": right, "Sec-Fetch-Site": "same-origin"}, b"{}", 405),
        ({"Origin": url, **form}, f"a=1&token={right}".encode(), 405),
        ({"X-Cosmos-Token": right}, b"{}", 403),
        ({"Origin": url}, b"{}", 403),
        ({"Origin": url, "X-Cosmos-Token": "0" * 64}, b"{}", 403),
        ({"Origin": url, "X-Cosmos-Token": "ü"}, b"{}", 403),
        ({"Origin": url}, f"token={right}".encode(), 403),
        ({"Origin": url, **form}, b"token=stale", 403),
        ({"Origin": url, **form}, b"\xff&token", 403),
        ({"Origin": url, **form, "X-Cosmos-Token": "0"}, f"token={right}".encode(), 403),
        ({"Origin": url, **form}, b"a" * (1 << 20) + f"&token={right}".encode(), 413),
    ):
        raw = {name: value.encode() for name, value in headers.items()}
        for method in ("POST", "DELETE", "PATCH"):
            answer = httpx.request(method, f"{url}/cosmos/compare", headers=raw, content=body)
            assert answer.status_code == status, (headers, answer.text)


def test_a_stale_page_is_told_to_reload(url: str) -> None:
    headers = {"Origin": url, "X-Cosmos-Token": "stale", "Accept": "application/json"}
    said = httpx.post(f"{url}/cosmos/compare", headers=headers, json={}).json()
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

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    assert answer.json()["body"].count("wall") == 20_000


def _token(home: str) -> str:
    return access_of(Settings(home=Path(home)), "127.0.0.1", 3000).form_token


def test_one_secret_is_made_by_processes_at_once_and_outlives_them(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        made = pool.map(_token, [str(tmp_path)] * 8, chunksize=1)
    assert len({*made, _token(str(tmp_path))}) == 1
    assert stat.S_IMODE((tmp_path / SECRET).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / SECRET).parent.iterdir()] == [SECRET.name]


def test_a_secret_that_others_can_read_lets_nobody_in(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    known = access_of(settings, "0.0.0.0", 3000)
    (tmp_path / SECRET).chmod(0o644)
    assert access_of(settings, "127.0.0.1", 3000).form_token != known.form_token
    with pytest.raises(InputError, match=r"Other users can read .*page-secret \(mode 644\)"):
        access_of(settings, "0.0.0.0", 3000)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("0123456789abcdef", 0o644, r"mode 644\).*chmod 600"),
        ("0123456789abcdef", 0o640, r"mode 640\)"),
        ("", 0o600, "is empty"),
        ("short", 0o600, "at least 16 characters"),
        ("two words of some length", 0o600, "without blanks"),
        ("müller-müller-müller", 0o600, "ASCII"),
    ],
)
def test_a_token_file_that_is_no_secret_is_refused(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(mode)
    settings = Settings(home=tmp_path, ui=Ui(token_file=Path("token")))
    with pytest.raises(InputError, match=said):
        access_of(settings, "127.0.0.1", 3000)


def test_a_token_file_lets_in_whoever_has_its_token(tmp_path: Path) -> None:
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("0123456789abcdef\n")
    settings = Settings(home=tmp_path, ui=Ui(token_file=Path("token")))
    with CosmosAPI(settings=settings) as api, review_page(api) as url:
        answer = httpx.get(f"{url}/cosmos/?token=0123456789abcdef")
        assert (answer.status_code, answer.headers["location"]) == (303, "/cosmos/")
        assert "0123456789abcdef" not in repr(access_of(settings, "127.0.0.1", 1))


EVERYTHING = ["/", "/cosmos/", "/cosmos/events", "/cosmos/strip", "/graphql", "/logs/x",
              "/cosmos/static/x/css/base.css", f"/cosmos/video/{RUN}.mp4", "/favicon.svg",
              f"/cosmos/run/{RUN}", "/cosmos/enter", "/cosmos/../graphql", "//graphql"]  # fmt: skip


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_is_shown_without_the_token(shut: str, behind: Behind, path: str) -> None:
    cookie = f"cosmos_{httpx.URL(shut).port}"
    for headers in ({}, {"Cookie": f"{cookie}=wrong"}, {"Authorization": "Bearer x"}, HTML):
        answer = httpx.get(f"{shut}{path}", headers=headers)
        assert answer.status_code == 401
        assert "cosmos-token" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        if path != "/cosmos/enter":
            answer = httpx.request(method, f"{shut}{path}", headers={"Origin": shut})
            assert answer.status_code == 401
    assert behind.reached == []


def test_dagsters_websocket_needs_the_token(shut: str, api: CosmosAPI, behind: Behind) -> None:
    assert not socket_opens(shut)
    assert not socket_opens(shut, Origin=shut, Authorization="Bearer wrong")
    assert behind.reached == []
    assert socket_opens(shut, Origin=shut, Authorization=f"Bearer {token_of(api, shut)}")


def test_a_link_lets_in_and_leaves_no_token_in_the_address(
    shut: str, api: CosmosAPI, behind: Behind
) -> None:
    token = token_of(api, shut)
    with httpx.Client(base_url=shut) as client:
        opened = client.get(f"/cosmos/?words=two%20words&token={token}&page=2")
        assert (opened.status_code, opened.headers["location"]) == (
            303, "/cosmos/?words=two+words&page=2",
        )  # fmt: skip
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert token not in cookie
        assert [client.get(path).status_code for path in ("/cosmos/", "/", "/cosmos/strip")] == [
            200, 200, 200,
        ]  # fmt: skip
        assert client.post("/graphql", json={}, headers={"Origin": shut}).status_code == 200
        evil = client.post("/graphql", json={}, headers={"Origin": "http://evil.example"})
        assert evil.status_code == 403
        assert socket_opens(shut, Cookie=opened.headers["set-cookie"].partition(";")[0])
    assert behind.reached == ["GET /", "POST /graphql", "websocket"]


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_a_link_with_a_token_leads_to_no_other_server(shut: str, api: CosmosAPI, path: str) -> None:
    token = token_of(api, shut)
    port = httpx.URL(shut).port
    asked = http.client.HTTPConnection("127.0.0.1", port)
    asked.request("GET", f"{path}?token={token}")
    place = asked.getresponse().headers["location"]
    assert place.startswith("/evil.example")
    fields = {"token": token, "next": path}
    entered = httpx.post(f"{shut}/cosmos/enter", data=fields, headers={"Origin": shut})
    assert (entered.status_code, entered.headers["location"][:6]) == (303, "/evil.")


def test_a_wrong_token_says_nothing_but_that(shut: str, api: CosmosAPI) -> None:
    right = token_of(api, shut)
    said = set()
    for wrong in ("x", right[:-1], right[::-1], "ü", "", right + "0"):
        linked = httpx.get(f"{shut}/cosmos/", params={"token": wrong}, headers=HTML)
        entered = httpx.post(
            f"{shut}/cosmos/enter",
            data={"token": wrong, "next": "/cosmos/"},
            headers={**HTML, "Origin": shut},
        )
        assert (linked.status_code, entered.status_code) == (401, 401)
        assert "set-cookie" not in {**linked.headers, **entered.headers}
        said |= {linked.text, entered.text}
    assert len(said) == 1
    elsewhere = {"Origin": "http://evil.example"}
    sent = httpx.post(f"{shut}/cosmos/enter", data={"token": right}, headers=elsewhere)
    assert (sent.status_code, "set-cookie" in sent.headers) == (403, False)


def test_a_person_types_the_token_and_it_is_in_no_address_and_no_referer(
    shut: str, api: CosmosAPI, tab: Page
) -> None:
    token = token_of(api, shut)
    seen: list[str] = []
    tab.on("request", lambda r: seen.append(f"{r.url} {r.headers.get('referer')}"))
    tab.goto(f"{shut}/cosmos/prompts?words=<b>rain")
    tab.get_by_label("Token").fill("wrong")
    tab.keyboard.press("Enter")
    tab.get_by_text("That is not the token.").wait_for()
    tab.get_by_label("Token").fill(token)
    tab.get_by_role("button").click()
    tab.wait_for_url("**/cosmos/prompts*")
    tab.get_by_role("link", name="Queue").click()
    tab.wait_for_url("**/cosmos/queue")
    assert not [line for line in seen if token in line]
    tab.context.clear_cookies()
    tab.goto(f"{shut}/cosmos/?token={token}")
    tab.wait_for_url("**/cosmos/")
    seen.clear()
    tab.get_by_role("link", name="Queue").click()
    tab.wait_for_url("**/cosmos/queue")
    assert seen
    assert not [line for line in seen if token in line]
    assert not tab.evaluate("document.cookie")


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
    url: str, behind: Behind, tab: Page
) -> None:
    site = type("Evil", (Elsewhere,), {"page": ATTACK.replace("ADDRESS", url).encode()})
    with HTTPServer(("127.0.0.1", 0), site) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            tab.goto(f"http://localhost:{other.server_port}/")
            tab.wait_for_url(f"{url}/graphql*")  # where its form has led
        finally:
            other.shutdown()
            thread.join()
    assert "Another site" in tab.content()
    assert behind.reached == []


def test_the_page_of_one_machine_frames_nowhere_and_is_no_others_picture(gallery: Gallery) -> None:
    run = gallery.videos["noon", "soft"]
    for path in ("/cosmos/", "/cosmos", f"/cosmos/video/{run}.mp4", f"/cosmos/still/run/{run}.jpg",
                 "/cosmos/nowhere", "/cosmos/strip", "/cosmos/static/x/icon.svg",
                 "/cosmos/events"):  # fmt: skip
        with httpx.stream("GET", f"{gallery.url}{path}") as answer:
            found = answer.headers
        assert "frame-ancestors 'none'" in found["content-security-policy"], path
        assert "default-src 'none'" in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["referrer-policy"] == "same-origin"


EVIL = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>'


def test_what_people_write_is_text_on_every_screen(gallery: Gallery, tab: Page) -> None:
    scene = gallery.api.settings.inputs / "street"
    named = scene.with_name("<img src=x onerror=window.ran=1>")
    scene.rename(named)
    gallery.api.create_recipe("<b onclick=ran>", weights={"depth": 1.0})
    prompt = gallery.api.create_prompt(EVIL, named)["id"]
    run = gallery.api.create_run(prompt, recipe="<b onclick=ran>", tags=["<svg onload=ran=1>"])
    paths = [path for path, _ in SCREENS]
    for path in [*paths, f"run/{run['id']}", "?words=<img src=x onerror=window.ran=1>"]:
        tab.goto(f"{gallery.url}/cosmos/{path}")
        tab.locator("main").wait_for()
        assert tab.evaluate("window.ran") is None
        assert tab.locator("img[src=x], b[onclick], svg[onload]").count() == 0


@pytest.mark.parametrize(
    "path",
    [
        "/cosmos/static/x/../../../../../../etc/passwd",
        "/cosmos/static/x/..%2f..%2fsite.py",
        "/cosmos/static/x/%2e%2e/%2e%2e/site.py",
        "/cosmos/static/x/..%5c..%5csite.py",
        "/cosmos/static/x/%2fetc%2fpasswd",
        "/cosmos/static/x//etc/passwd",
        "/cosmos/static/x/css/base.css%00.js",
        "/cosmos/static/x/" + "a" * 5000,
        "/cosmos/video/..%2f..%2fcosmos.toml.mp4",
        "/cosmos/video/%2e%2e%2fcosmos.toml%00.mp4",
        "/cosmos/still/run/..%2f..%2f..%2foutputs%2fcosmos.db.jpg",
        "/cosmos/preview/scene/../../../cosmos.toml.webp",
        "/cosmos/preview/scene/..%2f..%2f..%2fcosmos.toml%00.webp",
        "/cosmos/preview/scene/%2fetc%2fpasswd.webp",
        "/cosmos/preview/scene/" + "a" * 5000 + ".webp",
        "/cosmos/run/..%2f..%2fcosmos.toml",
        "/cosmos/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_project(url: str, path: str) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", httpx.URL(url).port)
    asked.request("GET", path)
    answer = asked.getresponse()
    assert answer.status == 404, answer.read()
    assert b"root:" not in answer.read()
