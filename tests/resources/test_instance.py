"""The project's Dagster instance."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cosmos_pipelines.resources.instance import TEMPLATE, instance_directory, open_instance
from cosmos_pipelines.settings import Settings


def test_a_new_instance_has_our_dagster_yaml(tmp_path: Path) -> None:
    directory = instance_directory(Settings(home=tmp_path))
    assert directory == tmp_path / ".dagster"
    assert (directory / "dagster.yaml").read_bytes() == TEMPLATE.read_bytes()


def test_a_dagster_yaml_that_is_there_stays(tmp_path: Path) -> None:
    directory = tmp_path / ".dagster"
    directory.mkdir()
    (directory / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    instance_directory(Settings(home=tmp_path))
    assert (directory / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_with_the_postgres_file_everything_is_kept_in_postgresql(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    settings = Settings(home=tmp_path)
    settings.dagster_dir.mkdir()
    shutil.copyfile(
        TEMPLATE.with_name("dagster-postgres.yaml"), settings.dagster_dir / "dagster.yaml"
    )
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("prompts", ["ps_1"])
        assert instance.get_dynamic_partitions("prompts") == ["ps_1"]
        assert "Postgres" in type(instance.event_log_storage).__name__
    assert list(tmp_path.rglob("*.db")) == []
