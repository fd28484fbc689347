"""Eight processes make every first use, and write what they looked for, at the same moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cosmos_pipelines.assets.partitions import PROMPTS, SCENES, add_keys
from cosmos_pipelines.assets.sync import record
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.doctor.here import dagster
from cosmos_pipelines.resources.instance import TEMPLATE, open_instance
from cosmos_pipelines.runs.inputs import register_scene
from cosmos_pipelines.runs.scene_requests import read_request, register_request
from cosmos_pipelines.settings import Settings, load_settings
from tests.media import renders
from tests.support.postgres import fresh_database
from tests.support.together import EIGHT, meet, together

WELL = [0] * EIGHT
POSTGRES = TEMPLATE.with_name("dagster-postgres.yaml")
ROUNDS = int(os.environ.get("COSMOS_ROUNDS", "2"))
KEYS = [f"rs_{n:032x}" for n in range(25)]
REQUEST = """
engine = "preview"
num_steps = 2

[[prompt]]
text = "A rainy night"

[[prompt]]
text = "A foggy morning"

[[recipe]]
name = "soft"
guidance = 3.0

[[recipe]]
guidance = 9.0
"""


def act(number: int, *homes: str) -> None:
    """What a command, a step or a sensor does with a dropped scene in a project that is new."""
    for home in homes:
        meet(Path(f"{home}.meeting"), number)
        settings = load_settings(Path(home))
        with (
            Catalog.open(settings.catalog_url, settings.home) as catalog,
            open_instance(settings, captures=False) as instance,
        ):
            add_keys(instance, "runs", KEYS if number % 2 else KEYS[::-1])
            directory = settings.inputs / "city"
            scene = register_scene(catalog, settings, directory)
            request = read_request(directory)
            assert request
            prompts, runs = register_request(catalog, settings, directory, request)
            record(instance, catalog, settings, scene, *prompts, *runs)


def check(settings: Settings) -> None:
    """There is one of everything."""
    assert dagster(settings).result == "ok"
    with (
        Catalog.open(settings.catalog_url) as catalog,
        open_instance(settings, captures=False) as instance,
    ):
        runs = catalog.list_runs()
        assert len(catalog.list_prompts()) == 2
        assert len(runs) == 4
        assert {run.queued_at is not None for run in runs} == {True}
        assert set(instance.get_dynamic_partitions("runs")) == {*KEYS, *(r.id for r in runs)}
        assert instance.get_dynamic_partitions("scenes") == ["city"]
        assert len(instance.fetch_materializations(SCENES, limit=10).records) == 1
        assert len(instance.fetch_materializations(PROMPTS, limit=10).records) == 2


@pytest.fixture(params=["sqlite", "postgresql"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Path]]:
    """New projects, each with a dropped scene; all records in SQLite, or in PostgreSQL."""
    homes = [tmp_path / str(n) for n in range(ROUNDS)]
    with ExitStack() as databases:
        for home in homes:
            Path(f"{home}.meeting").mkdir()
            scene = home / "inputs" / "videos" / "city"
            renders.video(scene / "color.mp4", frames=6)
            (scene / "scene.toml").write_text(REQUEST)
            url = None
            if request.param == "postgresql":
                server = request.getfixturevalue("postgres_server")
                url, dagsters = (databases.enter_context(fresh_database(server)) for _ in "12")
                (home / ".dagster").mkdir()
                told = POSTGRES.read_text().replace(
                    "\n      env: DAGSTER_POSTGRES_URL", f" {json.dumps(dagsters)}"
                )
                (home / ".dagster" / "dagster.yaml").write_text(told)
            line = f"database_url = {json.dumps(url)}\n" if url else ""
            (home / "cosmos.toml").write_text(line)
        yield homes


def test_of_everything_that_eight_processes_make_at_once_there_is_one(homes: list[Path]) -> None:
    assert together(f"{__name__}:{act.__name__}", *homes) == WELL
    for home in homes:
        check(load_settings(home))
