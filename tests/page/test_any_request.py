"""Whatever is asked of any route is answered in one line: no request is a fault of ours."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.page.server import application
from tests.page.conftest import Gallery
from tests.support.project import settings_in, write_video
from tests.support.review_page import review_page, visitor
from tests.support.waiting import until

HOLE = re.compile(r"{(\w+)(?::path)?}")
ENDLESS = ("/cosmos/events", "/cosmos/log/{run_id}/follow")
ODD_PARTS = ("nowhere", "%00", "%ff", "%ED%A0%80", "..%2f..%2fetc", "a" * 3000, "%0d%0aX: 1",
             "9" * 30, "latest")  # fmt: skip
ODD_TEXTS = ("", "\0", "x\0", "-1", "9" * 19, "9" * 25, "nan", "'", '"a', "%", "☃" * 300, "[null]",
             "-settings.'", "0001-01-01", "9999-12-31T23:59:59+14:00", "99999999999d", "²",
             "scene:\0/\0")  # fmt: skip
NAMES = ("after", "first", "generation", "id", "ids", "name", "offset", "rating", "run", "scene",
         "since", "size", "sort", "status", "tag", "text", "v", "words")  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**19, 10**300, "", "\0", "\ud800", "a" * 20_000, [], [None], [[["x"]]],
    ["\0"], ["\ud800"], ["x"] * 10_001, {}, {"id": {}}, [{"id": None}], {"\ud800": 1},
    {"seed": "9" * 30}, {"weights": "\ud800"}, {"negative_prompt": "\0"},
)  # fmt: skip
ODD_BODIES = (b"", b"null", b"[]", b"{", b"\xff", b'"x"', b'{"ids": 1e999}', b'{"ids": NaN}',
              b"[" * 100_000, b'{"ids": ' + b"9" * 5000 + b"}")  # fmt: skip


def natural(prompt: str, run: str) -> dict[str, Any]:
    """What scripts of the page send, all fields of all routes in one."""
    return {
        "ids": [run], "rating": 3, "verdict": "picked", "add": ["a"], "remove": [], "undo": [],
        "what": "again", "form": "json", "seen": [], "prompts": [prompt], "recipes": [],
        "seeds": "1-2", "engine": "", "backend": "", "filled": {}, "key": "abcdefgh", "shown": 2,
        "batch_name": "b", "runs": ["rs_1"], "text": "A street", "scene": "street", "parent": "",
        "negative_prompt": "", "name": "new", "new": "newer", "replace": False, "batch": False,
    }  # fmt: skip


def paths_of(routes: list[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Each route's method and path."""
    for route in routes:
        if isinstance(route, Mount):
            yield from paths_of(route.routes, before + route.path)
        elif isinstance(route, Route):
            method = "POST" if "POST" in (route.methods or ()) else "GET"
            yield method, before + route.path


class Asker:
    """Asks the page of one project for all that is odd, and keeps what was no good answer."""

    def __init__(self, api: CosmosAPI, url: str, prompt: str, run: str) -> None:
        self.client, self.prompt, self.run = visitor(url), prompt, run
        self.faults: list[str] = []
        app = application(api)
        self.paths = [p for p in paths_of(app.routes) if p[1].startswith("/cosmos")]
        assert len(self.paths) > 40, self.paths

    def filled(self, path: str, /, **holes: str) -> str:
        """The path with things that are there."""
        there = {"run_id": self.run, "prompt_id": self.prompt, "key": "street", "name": "run.log",
                 "path": "icon.svg", "version": "x"}  # fmt: skip
        return HOLE.sub(lambda m: (there | holes)[m[1]], path)

    def ask(self, method: str, path: str, **sent: Any) -> None:
        """Send a request; an answer is what was asked for, or one line."""
        answer = self.client.request(method, path, **sent)
        self.keep(method, path, answer, sent)

    def keep(self, method: str, path: str, answer: httpx.Response, sent: Any) -> None:
        """Keep a fault."""
        if answer.status_code >= 500:
            self.faults.append(f"{method} {path[:80]} {str(sent)[:120]}: {answer.text[:80]}")

    def read_all(self) -> None:
        """Ask every route that reads for odd things."""
        for method, path in self.paths:
            if method != "GET" or path in ENDLESS:
                continue
            self.ask("GET", self.filled(path))
            for hole in HOLE.findall(path):
                for part in ODD_PARTS:
                    self.ask("GET", self.filled(path, **{hole: part}))
            for text in ODD_TEXTS[::3]:
                self.ask("GET", self.filled(path), params=dict.fromkeys(NAMES, text))
        chance = random.Random(7)
        for path in ("/cosmos/", "/cosmos/wall/ids", "/cosmos/prompts", "/cosmos/wall/values"):
            for _ in range(60):
                self.ask("GET", path, params={chance.choice(NAMES): chance.choice(ODD_TEXTS)})
            self.ask("GET", f"{path}?words=%ff&text=%ED%A0%80")

    def change_all(self, number: int) -> None:
        """Send odd things to every route that changes something, `number` at random."""
        chance = random.Random(7)
        for method, path in self.paths:
            if method != "POST" or path.startswith(("/cosmos/queue/mend", "/cosmos/queue/doctor")):
                continue
            asked = self.filled(path)
            for body in ODD_BODIES:
                self.ask("POST", asked, content=body)
            for hole in HOLE.findall(path):
                for part in ODD_PARTS:
                    self.ask("POST", self.filled(path, **{hole: part}), json={"key": "abcdefgh"})
            for _ in range(number):
                sent = natural(self.prompt, self.run)
                for name in chance.sample([*sent], chance.choice([1, 2, len(sent) // 2])):
                    sent[name] = chance.choice(ODD_VALUES)
                self.ask("POST", asked, content=json.dumps(sent).encode())
            form = f"directory=nowhere&run=%00&step={quote('²')}&fps=nan&name=%ED%A0%80"
            self.ask("POST", asked, content=f"{form}&token={self.client.headers['x-cosmos-token']}",
                     headers={"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip


def test_whatever_is_asked_of_any_route_is_answered(gallery: Gallery) -> None:
    asker = Asker(gallery.api, gallery.url, gallery.prompts["noon"], gallery.videos["noon", "soft"])
    asker.read_all()
    asker.change_all(8)
    assert asker.faults == []


def test_whatever_is_asked_with_postgresql_is_answered(postgres_url: str, tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "films", f'database_url = "{postgres_url}"\n')
    scene = settings.inputs / "street"
    for name in ("color", "depth", "segmentation"):
        write_video(scene / f"{name}.mp4")
    with CosmosAPI(settings=settings) as api, review_page(api) as url:
        prompt = api.create_prompt("A street at noon", scene)["id"]
        asker = Asker(api, url, prompt, api.create_run(prompt)["id"])
        asker.read_all()
        asker.change_all(8)
    assert asker.faults == []


@pytest.mark.parametrize("name", ["rate", "tag", "plan", "order", "delete", "plan-deletion"])
def test_half_a_character_is_refused_in_words_and_changes_nothing(
    gallery: Gallery, name: str
) -> None:
    run = gallery.videos["noon", "soft"]
    before = gallery.api.get_run(run)
    sent = json.dumps({"ids": [run, "\ud800"], "rating": 2, "add": ["t"], "what": "again"})
    answer = visitor(gallery.url).post(
        f"/cosmos/runs/{name}", content=sent, headers={"Accept": "application/json"}
    )
    assert (answer.status_code, gallery.api.get_run(run)) == (400, before)
    assert "half of a character" in answer.json()["error"]


def test_the_home_of_nobody_is_told_as_any_directory_that_is_not_there(gallery: Gallery) -> None:
    client = visitor(gallery.url)
    sent = {"directory": "~nobody-at-all/shot", "token": client.headers["x-cosmos-token"]}
    assert client.post("/cosmos/scenes/prepare", data=sent).status_code == 200
    until(lambda: "nobody-at-all/shot" in client.get("/cosmos/scenes/jobs").text, "the job")
