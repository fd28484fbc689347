"""What Dagster loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cosmos_pipelines.definitions import build_definitions
from cosmos_pipelines.resources.instance import TEMPLATE, instance_directory
from cosmos_pipelines.settings import Settings, environment_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.Definitions]:
    home = tmp_path_factory.mktemp("home")
    url = "postgresql+psycopg2://cosmos:hidden@db/cosmos"
    yield build_definitions(Settings(home=home, database_url=url, owner="team:vfx"))


def test_everything_loads(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_says_what_it_is_whose_it_is_and_of_what_kind(defs: dg.Definitions) -> None:
    specs = list(defs.resolve_all_asset_specs())
    assert len(specs) == 6
    for spec in specs:
        assert spec.description
        assert spec.owners == ["team:vfx"]
        assert spec.kinds
        assert spec.code_version
        assert spec.group_name in ("inputs", "prompts", "generation")
        assert spec.partitions_def is not None


def test_the_lineage_is_scene_prompt_video_upscaled(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    parents = {
        key.to_user_string(): sorted(p.to_user_string() for p in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "scenes": [],
        "prompts": ["scenes"],
        "enhanced_prompts": ["prompts"],
        "inference_videos": ["prompts"],
        "upscaled_videos": ["inference_videos"],
        "upscaled_files": [],
    }


def test_every_sensor_is_on_by_default(defs: dg.Definitions) -> None:
    sensors = {s.name: s.default_status for s in defs.sensors or []}
    assert set(sensors) == {
        "new_scenes",
        "dispatch_queue",
        "lost_runs",
        "catalog_sync",
        "up_to_date",
        "notices",
    }
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}


def test_no_password_is_shown(defs: dg.Definitions) -> None:
    shown = str(defs.resources)
    assert "postgresql+psycopg2" in shown
    assert "hidden" not in shown


def test_the_files_at_the_top_are_those_that_are_installed() -> None:
    for name in ("dagster.yaml", "dagster-postgres.yaml", "workspace.yaml"):
        assert (ROOT / name).read_bytes() == (TEMPLATE.parent / name).read_bytes()


def test_the_postgres_file_differs_in_its_storage_only() -> None:
    plain = TEMPLATE.read_text().partition("telemetry:")[2]
    postgres = TEMPLATE.with_name("dagster-postgres.yaml").read_text().partition("telemetry:")[2]
    assert postgres == plain


def test_the_workspace_file_loads(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    instance_directory(settings)
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env={**environment_of(settings), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful" in done.stdout + done.stderr
