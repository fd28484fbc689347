"""Who may: the token that lets in, from a link, a form or a file."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.page.access import access_of
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import Ui
from tests.support import web
from tests.support.guarded import Behind, socket_opens
from tests.support.review_page import review_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

HTML = {"Accept": "text/html"}
RUN = "rs_00000000000000000000000000000000"


def token_of(api: CosmosAPI, url: str) -> str:
    """The token of the link that is printed for this page."""
    return str(access_of(api.settings, "0.0.0.0", httpx.URL(url).port or 80).token)


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
        answer = web.get(f"{url}/cosmos/?token=0123456789abcdef")
        assert (answer.status_code, answer.headers["location"]) == (303, "/cosmos/")
        assert "0123456789abcdef" not in repr(access_of(settings, "127.0.0.1", 1))


EVERYTHING = ["/", "/cosmos/", "/cosmos/events", "/cosmos/strip", "/graphql", "/logs/x",
              "/cosmos/static/x/css/base.css", f"/cosmos/video/{RUN}.mp4", "/favicon.svg",
              f"/cosmos/run/{RUN}", "/cosmos/enter", "/cosmos/../graphql", "//graphql"]  # fmt: skip


@pytest.mark.parametrize("path", EVERYTHING)
def test_nothing_is_shown_without_the_token(shut: str, behind: Behind, path: str) -> None:
    cookie = f"cosmos_{httpx.URL(shut).port}"
    for headers in ({}, {"Cookie": f"{cookie}=wrong"}, {"Authorization": "Bearer x"}, HTML):
        answer = web.get(f"{shut}{path}", headers=headers)
        assert answer.status_code == 401
        assert "cosmos-token" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        if path != "/cosmos/enter":
            answer = web.request(method, f"{shut}{path}", headers={"Origin": shut})
            assert answer.status_code == 401
    assert behind.reached == []


def test_dagsters_websocket_needs_the_token(shut: str, page_api: CosmosAPI, behind: Behind) -> None:
    assert not socket_opens(shut)
    assert not socket_opens(shut, Origin=shut, Authorization="Bearer wrong")
    assert behind.reached == []
    assert socket_opens(shut, Origin=shut, Authorization=f"Bearer {token_of(page_api, shut)}")


def test_a_link_lets_in_and_leaves_no_token_in_the_address(
    shut: str, page_api: CosmosAPI, behind: Behind
) -> None:
    token = token_of(page_api, shut)
    with web.client(base_url=shut) as client:
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
def test_a_link_with_a_token_leads_to_no_other_server(
    shut: str, page_api: CosmosAPI, path: str
) -> None:
    token = token_of(page_api, shut)
    port = httpx.URL(shut).port
    asked = http.client.HTTPConnection("127.0.0.1", port)
    asked.request("GET", f"{path}?token={token}")
    place = asked.getresponse().headers["location"]
    assert place.startswith("/evil.example")
    fields = {"token": token, "next": path}
    entered = web.post(f"{shut}/cosmos/enter", data=fields, headers={"Origin": shut})
    assert (entered.status_code, entered.headers["location"][:6]) == (303, "/evil.")


def test_a_wrong_token_says_nothing_but_that(shut: str, page_api: CosmosAPI) -> None:
    right = token_of(page_api, shut)
    said = set()
    for wrong in ("x", right[:-1], right[::-1], "ü", "", right + "0"):
        linked = web.get(f"{shut}/cosmos/", params={"token": wrong}, headers=HTML)
        entered = web.post(
            f"{shut}/cosmos/enter",
            data={"token": wrong, "next": "/cosmos/"},
            headers={**HTML, "Origin": shut},
        )
        assert (linked.status_code, entered.status_code) == (401, 401)
        assert "set-cookie" not in {**linked.headers, **entered.headers}
        said |= {linked.text, entered.text}
    assert len(said) == 1
    elsewhere = {"Origin": "http://evil.example"}
    sent = web.post(f"{shut}/cosmos/enter", data={"token": right}, headers=elsewhere)
    assert (sent.status_code, "set-cookie" in sent.headers) == (403, False)


def test_the_way_in_is_the_form_alone(shut: str, page_api: CosmosAPI) -> None:
    form_token = access_of(page_api.settings, "0.0.0.0", 1).form_token
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        sent = {**headers, "Origin": shut, "X-Cosmos-Token": form_token}
        answer = web.post(f"{shut}/cosmos/enter", headers=sent, content=b"a=1")
        assert answer.status_code == 401


def test_a_person_types_the_token_and_it_is_in_no_address_and_no_referer(
    shut: str, page_api: CosmosAPI, tab: Page
) -> None:
    token = token_of(page_api, shut)
    seen: list[str] = []
    tab.on("request", lambda r: seen.append(f"{r.url} {r.headers.get('referer')}"))
    tab.goto(f"{shut}/cosmos/prompts?words=<b>rain")
    tab.get_by_label("Token").fill("wrong")
    tab.keyboard.press("Enter")
    tab.get_by_text("That is not the token.").wait_for()
    tab.get_by_label("Token").fill(token)
    tab.get_by_role("button").click()
    tab.wait_for_url("**/cosmos/prompts?words=%3Cb%3Erain")
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
