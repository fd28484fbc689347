"""Fixtures: a project with the stand-in as an engine, and the project's real Dagster instance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered
from tests.support.templates import lay_dagster

if TYPE_CHECKING:
    import dagster as dg

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stand-in is an engine, also of the processes that are started."""
    told = tmp_path / "site" / "stand_in-1.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: stand_in\nVersion: 1\n")
    named = "[cosmos_pipelines.engines]\nstand_in = tests.support.stand_in_engine:StandIn\n"
    (told / "entry_points.txt").write_text(named)
    monkeypatch.setenv("PYTHONPATH", f"{told.parent}{os.pathsep}{ROOT}")
    with registered():
        yield


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file for whose removal a run waits."""
    file = tmp_path / "gate"
    file.touch()
    return file


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
