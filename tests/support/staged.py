"""Fixtures: a project with the stand-in as an engine, and the project's real Dagster instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered
from tests.support.templates import lay_dagster

if TYPE_CHECKING:
    import dagster as dg


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Project]:
    """A project with the scene `city` and the stand-in as an engine; its orders end with it."""
    with registered():
        made = make_project(tmp_path / "home")
        made.scene()
        yield made
        for order in made.backend.active():
            handle = made.backend.find(order)
            assert handle is not None
            made.backend.cancel(handle, 0)


@pytest.fixture
def instance(staged: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The project's real Dagster instance, which does not capture stdout; ticks do not wait."""
    from cosmos_pipelines.resources.instance import open_instance

    monkeypatch.setattr("cosmos_pipelines.sensors.waiting.TICK_S", 0.0)
    lay_dagster(staged.settings)
    with open_instance(staged.settings, captures=False) as opened:
        yield opened
