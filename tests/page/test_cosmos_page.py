"""NVIDIA's engines on the page: queued runs of a simulated Cosmos-Transfer1, seen in a browser."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.inputs import register_prompt
from cosmos_pipelines.runs.plan import plan_transfer
from tests.models.trees import path_with_torchrun
from tests.page.test_server import Served
from tests.support.cosmos_models import cosmos_project
from tests.support.project import Project, write_video
from tests.support.waiting import LONG_S, until

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of Cosmos-Transfer1 with a scene in all five passes."""
    monkeypatch.setenv("PATH", path_with_torchrun())
    made = cosmos_project(tmp_path / "home")
    made.scene("old town", frames=6)
    for i, name in enumerate(("edge", "vis")):
        write_video(made.settings.inputs / "old town" / f"{name}.mp4", frames=6, seed=90 + i)
    yield made
    made.catalog.close()


def test_a_batch_that_the_daemon_executes_shows_its_videos_and_why_one_has_none(
    project: Project, tab: Page
) -> None:
    catalog, settings = project.catalog, project.settings
    runs = []
    for text in ("Rain at night", "A [sim:blocked bleeding] sign"):
        prompt, _ = register_prompt(catalog, settings, text, "old town")
        runs.append(enter(catalog, settings, plan_transfer(catalog, settings, prompt.id, {}),
                          queued=True))  # fmt: skip
    page = Served(settings.home)
    try:
        good, blocked = (run.id for run in runs)
        until(lambda: catalog.get_run(good).status == "completed", "the run")
        until(lambda: catalog.get_run(blocked).error_kind == "blocked", "the blocked run")
        tab.set_viewport_size({"width": 1400, "height": 1200})
        tab.goto(f"{page.url}/assets/inference_videos?view=partitions&partition={good}")
        picture = tab.locator(f"img[src*='/cosmos/preview/run/{good}']").first
        picture.wait_for()
        until(lambda: picture.evaluate("img => img.naturalWidth > 0"), "the preview")
        for shown in ("Cosmos-Transfer1", "960 x 704", "model seconds", "chunks"):
            tab.get_by_text(shown, exact=True).first.wait_for()
        tab.goto(f"{page.url}/runs/{catalog.get_run(blocked).dagster_run_id}")
        tab.get_by_text("bleeding").first.wait_for()
    finally:
        page.process.send_signal(signal.SIGINT)
        page.process.wait(LONG_S)
