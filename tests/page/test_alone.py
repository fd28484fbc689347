"""`cosmos ui --without-dagster`: the review page alone, and what is printed and logged of it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_tables import Ui
from tests.page.conftest import Gallery
from tests.support import web
from tests.support.ports import free_port
from tests.support.review_page import review_page
from tests.support.waiting import LONG_S


class Alone:
    """`cosmos ui --without-dagster --host 0.0.0.0` of an empty project."""

    def __init__(self, home: Path) -> None:
        (home / "cosmos.toml").touch()
        self.port = free_port()
        words = ["ui", "--without-dagster", "--host", "0.0.0.0", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "cosmos_pipelines.cli", *words],
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.imported: set[str] = set()
        self.said: list[str] = []

    def read(self, until: str | None = None) -> None:
        """Read what it says, to a line that begins so or to its end."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("import time:"):
                self.imported.add(line.split("|")[-1].strip())
                continue
            self.said.append(line.rstrip())
            if until and line.startswith(until):
                return


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    """One that answers."""
    page = Alone(tmp_path)
    page.read(until="Serving")
    yield page
    page.process.kill()
    page.process.wait(LONG_S)


def test_the_review_page_alone_prints_its_link_logs_no_token_and_ends_at_once(
    alone: Alone,
) -> None:
    links = [word for line in alone.said for word in line.split() if word.startswith("http")]
    here, others = (httpx.URL(link) for link in links)
    assert (here.host, here.path, here.port) == ("127.0.0.1", "/cosmos/", alone.port)
    assert (others.host, others.query) == (socket.gethostname().lower(), here.query)
    token = here.params["token"]
    with web.client(base_url=f"http://127.0.0.1:{alone.port}") as client:
        assert client.get("/").status_code == 401
        assert client.get("/cosmos/", params={"token": f"{token}x"}).status_code == 401
        assert client.get("/graphql", params={"token": token}).status_code == 303
        assert client.get("/graphql").status_code == 405
        assert client.get("/").headers["location"] == "/cosmos/"
        assert client.get("/runs").status_code == 404
        assert "nav-dagster" not in client.get("/cosmos/").text
        with client.stream("GET", "/cosmos/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: hello"
            alone.process.send_signal(signal.SIGINT)
            assert list(lines)  # to its end
    alone.read()
    assert alone.process.wait(LONG_S) == 0
    assert [line for line in alone.said if token in line] == alone.said[: len(links)]
    assert not [line for line in alone.said if "Cancel" in line]  # what it would wait for
    assert not [name for name in alone.imported if re.match(r"dagster\b|grpc\b|graphene\b", name)]
    assert "uvicorn" in alone.imported


def test_other_paths_lead_to_dagsters_page_where_the_settings_name_it(tmp_path: Path) -> None:
    ui = Ui(dagster_url="http://studio:3100/dagster/")
    settings = Settings(home=tmp_path, ui=ui)
    with CosmosAPI(settings=settings) as api, review_page(api, alone=True) as url:
        answer = web.get(f"{url}/assets/inference_videos?view=partitions&partition=a")
        assert answer.headers["location"] == (
            "http://studio:3100/dagster/assets/inference_videos?view=partitions&partition=a"
        )
        away = web.get(f"{url}//evil.example/x").headers["location"]
        assert away == "http://studio:3100/dagster//evil.example/x"
        assert 'href="http://studio:3100/dagster/"' in web.get(f"{url}/cosmos/").text
        assert web.get(f"{url}/").headers["location"] == "/cosmos/"


@pytest.mark.parametrize("dagster", [None, "http://dagster.example:3000/there"])
def test_without_dagster_here_its_links_lead_to_its_address_or_are_left_out(
    gallery: Gallery, dagster: str | None
) -> None:
    told = gallery.api.settings.model_copy(update={"ui": Ui(dagster_url=dagster)})
    with CosmosAPI(settings=told) as api, review_page(api, alone=True) as url:
        page = web.get(f"{url}/cosmos/run/{gallery.larger}").text
    links = re.findall(r'href="([^"]*/(?:assets|runs)/[^"]*)"', page)
    assert all(dagster and link.startswith(f"{dagster}/") for link in links)
    assert bool(links) is bool(dagster)
