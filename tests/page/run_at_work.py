"""A run of a real program that goes on while a file is there, and its page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.runs.execute import execute_runs
from tests.support.dagster_project import add_run
from tests.support.project import Project
from tests.support.review_page import review_page
from tests.support.waiting import LONG_S


@dataclass
class AtWork:
    """The run, its page, and the thread that executes it once it is started."""

    api: CosmosAPI
    url: str
    run_id: str
    hold: Path
    thread: threading.Thread

    def let_go(self) -> None:
        """Let the run end, and wait for that."""
        self.hold.unlink(missing_ok=True)
        self.thread.join(LONG_S)


@pytest.fixture
def at_work(staged: Project, tmp_path: Path) -> Iterator[AtWork]:
    """A run of the stand-in, which this machine executes: it waits after its first frame."""
    hold = tmp_path / "hold"
    hold.touch()
    run = add_run(staged, f"wait {hold}")
    executed = threading.Thread(
        target=execute_runs,
        args=([run.id],),
        kwargs={
            "catalog": staged.catalog, "settings": staged.settings, "backend": staged.backend,
        },
    )  # fmt: skip
    with CosmosAPI(settings=staged.settings) as api, review_page(api) as url:
        found = AtWork(api, url, run.id, hold, executed)
        yield found
        if executed.ident:
            found.let_go()
