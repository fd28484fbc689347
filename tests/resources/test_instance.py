"""The project's Dagster instance."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dagster import DagsterInstance

from cosmos_pipelines.resources.instance import (
    TEMPLATE,
    daemon_reference,
    instance_directory,
    open_instance,
)
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


def test_sensors_run_in_threads_also_where_an_earlier_version_made_the_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    file = instance_directory(settings) / "dagster.yaml"
    for text, threads in (
        (TEMPLATE.read_text().partition("\nsensors:")[0], True),
        ("sensors: {use_threads: false}\n", False),
        (TEMPLATE.read_text(), True),
    ):
        file.write_text(text)
        with DagsterInstance.from_ref(daemon_reference(settings)) as instance:
            assert instance.get_sensor_settings()["use_threads"] is threads
        assert file.read_text() == text


OLD = "run_coordinator:\n  module: dagster._core.run_coordinator\n  class: QueuedRunCoordinator\n"
OWN = "  config: {tag_concurrency_limits: [{key: dagster/backfill, limit: 2}]}\n"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (TEMPLATE.read_text(), 4),
        (TEMPLATE.read_text().partition("    # A step of a backfill")[0], 4),
        (OLD, 4),
        (f"{OLD}  config: {{max_concurrent_runs: 3}}\n", 4),
        (f"{OLD}{OWN}", 2),
    ],
    ids=["ours", "of an earlier version", "no limits", "another limit", "its own limit"],
)
def test_few_steps_of_backfills_start_at_once_so_that_their_loads_can(
    tmp_path: Path, text: str, limit: int
) -> None:
    settings = Settings(home=tmp_path)
    (instance_directory(settings) / "dagster.yaml").write_text(text)
    with DagsterInstance.from_ref(daemon_reference(settings)) as instance:
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        wanted = [{"key": "dagster/backfill", "limit": limit}]
        assert [dict(one) for one in limits.tag_concurrency_limits] == wanted


def older(settings: Settings) -> bytes:
    """Make the project's dagster.yaml as an earlier version made it."""
    text = TEMPLATE.read_bytes().replace(b"resources.run_launcher", b"resources.launcher")
    settings.dagster_dir.mkdir(exist_ok=True)
    (settings.dagster_dir / "dagster.yaml").write_bytes(text)
    return text


def test_the_run_launcher_of_an_earlier_version_is_found_under_its_new_name(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    older(settings)
    with open_instance(settings) as instance:
        assert type(instance.run_launcher).__module__ == "cosmos_pipelines.resources.run_launcher"
    assert (settings.dagster_dir / "dagster.yaml").read_bytes() == TEMPLATE.read_bytes()


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        (b"  module:   'cosmos_pipelines.resources.launcher'  # ours\r\n", b"run_launcher"),
        (b'run_launcher: {"module": "cosmos_pipelines.resources.launcher"}', b"run_launcher"),
        (b"  module: cosmos_pipelines.resources.run_launcher\n", None),
        (b"  module: cosmos_pipelines.resources.launcher_of_mine\n", None),
        (b"  module: studio.cosmos_pipelines.resources.launcher\n", None),
        (b"  class: cosmos_pipelines.resources.launcher\n", None),
    ],
)
def test_nothing_but_the_old_name_is_changed(
    tmp_path: Path, line: bytes, becomes: bytes | None
) -> None:
    file = tmp_path / ".dagster" / "dagster.yaml"
    file.parent.mkdir()
    text = b"# mine: \xff\r\n\r\n\tlauncher: launcher\r" + line + b"# the end"
    file.write_bytes(text)
    file.chmod(0o600)
    inode = file.stat().st_ino
    instance_directory(Settings(home=tmp_path))
    wanted = text.replace(b"resources.launcher", b"resources." + becomes) if becomes else text
    assert file.read_bytes() == wanted
    assert file.stat().st_mode & 0o777 == 0o600
    assert (file.stat().st_ino == inode) == (becomes is None)
    assert list(file.parent.iterdir()) == [file]


def test_a_link_to_a_dagster_yaml_elsewhere_stays_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    older(settings)
    file = settings.dagster_dir / "dagster.yaml"
    file.rename(tmp_path / "shared.yaml")
    file.symlink_to("../shared.yaml")
    instance_directory(settings)
    assert file.is_symlink()
    assert (tmp_path / "shared.yaml").read_bytes() == TEMPLATE.read_bytes()


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
