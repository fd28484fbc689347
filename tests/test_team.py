"""Several people and dispatchers on one PostgreSQL and one shared project directory."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml
from sqlalchemy import create_engine, inspect, make_url

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.partitions import add_keys
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CatalogAway, CosmosError, SettingsError
from cosmos_pipelines.resources.instance import POSTGRES_TEMPLATE, TEMPLATE, open_instance
from cosmos_pipelines.settings import (
    DAGSTER_VARIABLE,
    Settings,
    dagster_url,
    environment_of,
    load_settings,
)
from tests.media import renders
from tests.support.project import settings_in
from tests.support.together import meet, together

ROOT = Path(__file__).resolve().parents[1]
PEOPLE = 3
ORDERED = 4
"""Runs of each person."""


@pytest.fixture(autouse=True)
def _as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DAGSTER_VARIABLE, "")  # so that it is put back
    monkeypatch.delenv(DAGSTER_VARIABLE)


def on_postgres(home: Path, url: str, more: str = "") -> Settings:
    return settings_in(home, f"[postgres]\nurl = {json.dumps(url)}\n{more}")


def test_one_setting_puts_catalog_and_dagster_into_one_database(
    tmp_path: Path, postgres_url: str
) -> None:
    plain = postgres_url.replace("postgresql+psycopg2://", "postgresql://")
    settings = on_postgres(tmp_path / "films", plain)
    for _ in range(2):
        with (
            Catalog.open(settings.catalog_url) as catalog,
            open_instance(settings) as instance,
        ):
            catalog.add_run("transfer", "preview", "local", {})
            instance.add_dynamic_partitions("prompts", ["ps_1"])
            assert instance.get_dynamic_partitions("prompts") == ["ps_1"]
            assert "Postgres" in type(instance.event_log_storage).__name__
    assert list(tmp_path.rglob("*.db")) == []
    engine = create_engine(postgres_url)
    ours, dagsters = (set(inspect(engine).get_table_names(schema=s)) for s in ("public", "dagster"))
    engine.dispose()
    assert {"runs", "prompts", "notices", "catalog_version"} <= ours
    assert {"runs", "event_logs", "jobs", "alembic_version"} <= dagsters
    assert not {"event_logs", "alembic_version"} & ours


def order_and_claim(number: int, place: str) -> None:
    """What a person and a dispatcher of one machine do, at the same moment as all the others."""
    os.environ["COSMOS_PERSON"] = f"person{number}"
    meet(Path(place) / "meeting", number, PEOPLE)
    with (
        CosmosAPI(Path(place) / f"mount{number}") as api,
        open_instance(api.settings, captures=False) as instance,
    ):
        prompt = api.create_prompt(f"fog {number}", f"scene{number}")
        runs = [api.create_run(prompt["id"], queue=True, seed=n) for n in range(ORDERED)]
        add_keys(instance, "runs", [run["id"] for run in runs])
        mine = []
        while waiting := api.catalog.ready_runs(3):
            wanted = NewLoad("local", "preview", "transfer", tuple(run.id for run in waiting))
            load = api.catalog.claim_load(wanted, f"dispatcher{number}", 600)
            mine += load.run_ids if load else []
    (Path(place) / f"claimed{number}").write_text(json.dumps(mine))


def test_people_and_dispatchers_of_several_machines_share_one_queue(
    tmp_path: Path, postgres_url: str
) -> None:
    (tmp_path / "meeting").mkdir()
    on_postgres(tmp_path / "shared", postgres_url)
    for number in range(PEOPLE):
        scene = tmp_path / "shared" / "inputs" / "videos" / f"scene{number}"
        renders.video(scene / "color.mp4", frames=number + 3)
        (tmp_path / f"mount{number}").symlink_to("shared")  # each machine mounts it elsewhere
    act = f"{__name__}:{order_and_claim.__name__}"
    assert together(act, tmp_path, count=PEOPLE) == [0] * PEOPLE
    files = [tmp_path / f"claimed{n}" for n in range(PEOPLE)]
    claimed = Counter(run_id for file in files for run_id in json.loads(file.read_text()))
    settings = load_settings(tmp_path / "shared")
    with Catalog.open(settings.catalog_url) as catalog, open_instance(settings) as instance:
        runs = catalog.list_runs(limit=None)
        assert Counter(run.ordered_by for run in runs) == {
            f"person{n}": ORDERED for n in range(PEOPLE)
        }
        assert claimed == {run.id: 1 for run in runs}
        assert set(instance.get_dynamic_partitions("runs")) == claimed.keys()
        loads = catalog.open_loads()
        assert sorted(run_id for load in loads for run_id in load.run_ids) == sorted(claimed)


@pytest.mark.parametrize(
    ("url", "becomes"),
    [
        (
            "postgres://me:pw@db/films",
            "postgresql+psycopg2://me:pw@db/films?options=-csearch_path%3Ddagster",
        ),
        (
            "postgresql://db/films?sslmode=require&options=-cwork_mem%3D8MB",
            "postgresql+psycopg2://db/films?sslmode=require"
            "&options=-cwork_mem%3D8MB%20-csearch_path%3Ddagster",
        ),
    ],
    ids=["plain", "with options"],
)
def test_dagsters_schema_is_added_to_whatever_the_url_says(url: str, becomes: str) -> None:
    settings = Settings(home=Path("/nowhere"), postgres={"url": url})  # type: ignore[arg-type]
    assert dagster_url(settings) == becomes
    query = make_url(becomes).query["options"]
    assert isinstance(query, str)
    assert query.endswith("-csearch_path=dagster")
    assert environment_of(settings)[DAGSTER_VARIABLE] == becomes


def test_two_catalogs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="name two catalogs"):
        settings_in(tmp_path, 'database_url = "sqlite:///a"\n[postgres]\nurl = "postgres:///b"\n')


def test_a_dagster_yaml_of_sqlite_is_told_with_the_way_out(
    tmp_path: Path, postgres_url: str
) -> None:
    home = tmp_path / "films"
    with open_instance(settings_in(home, ""), captures=False):
        pass
    settings = on_postgres(home, postgres_url)
    with (
        pytest.raises(SettingsError, match=r"keeps Dagster's records elsewhere.*`mv ") as caught,
        open_instance(settings),
    ):
        pass
    words = str(caught.value).partition("`mv ")[2].partition("`")[0].split()
    Path(words[0]).rename(words[1])
    with open_instance(settings, captures=False) as instance:
        assert "Postgres" in type(instance.run_storage).__name__
    assert (home / ".dagster" / "dagster.yaml").read_bytes() == POSTGRES_TEMPLATE.read_bytes()


def test_a_database_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    settings = on_postgres(tmp_path / "films", f"postgres://me:pa55word@/films?host={tmp_path}")
    with pytest.raises(CatalogAway, match="Dagster's records in postgresql") as caught:  # noqa: SIM117
        with open_instance(settings):
            pass
    assert "pa55word" not in str(caught.value)
    with pytest.raises(CosmosError) as away:
        Catalog.open(settings.catalog_url)
    assert "pa55word" not in str(away.value)


def test_the_compose_file_sets_what_our_settings_know() -> None:
    file = ROOT / "docs" / "team" / "docker-compose.yaml"
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    services = said["services"]
    assert set(services) == {"db", "cosmos"}
    database, ours = services["db"]["environment"], services["cosmos"]["environment"]
    url = make_url(ours["COSMOS_POSTGRES__URL"].replace("${POSTGRES_PASSWORD:?}", "pw"))
    assert url.host == "db"
    assert (url.username, url.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
    assert services["cosmos"]["depends_on"]["db"]["condition"] == "service_healthy"
    assert "healthcheck" in services["db"]
    known = {"COSMOS_HOME", "COSMOS_NOTIFY_URLS", "HF_TOKEN"}
    for name in ours.keys() - known:
        assert name.startswith("COSMOS_")
        words = name.removeprefix("COSMOS_").lower().split("__")
        field = Settings.model_fields[words[0]]
        if len(words) > 1:
            assert words[1] in type(field.default).model_fields, name
    for volume in [one.partition(":")[0] for s in services.values() for one in s["volumes"]]:
        assert volume.startswith((".", "/")) or volume in said["volumes"]
    assert TEMPLATE.with_name("dagster-postgres.yaml") == POSTGRES_TEMPLATE
