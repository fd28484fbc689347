from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata  # noqa: TID253
from alembic.config import Config  # noqa: TID253
from alembic.migration import MigrationContext  # noqa: TID253
from alembic.script import ScriptDirectory  # noqa: TID253
from sqlalchemy import Connection, create_engine, text

from cosmos_pipelines.catalog import Catalog, migrate
from cosmos_pipelines.catalog.database import Transaction
from cosmos_pipelines.catalog.migrate import SCRIPTS
from cosmos_pipelines.catalog.tables import HEAD, VERSION_TABLE, metadata
from cosmos_pipelines.errors import CosmosError, InputError, StateError
from tests.catalog.rows import add_run, fail

OPEN = "import sys; from cosmos_pipelines.catalog import Catalog; Catalog.open(sys.argv[1])"


OF_SOME_ROWS = ("ix_runs_queue", "ix_runs_rating_created_at")
BYTES = ("ix_runs_id_bytes", "ix_prompts_id_bytes", "ix_prompts_name_bytes", "ix_scenes_key_bytes")


def _mine(thing: object, name: str | None, kind: str, *_: object) -> bool:
    """Without what the tables leave to the migrations."""
    by_sql = ("words", "ix_prompts_words", "ix_prompts_name_words", *OF_SOME_ROWS, *BYTES)
    ours = name in by_sql or (name or "").startswith("prompts_fts")
    return not (ours or (kind == "table" and name == VERSION_TABLE))


def test_the_constant_is_the_head_of_the_migration_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_migrations_make_the_tables_that_the_code_uses(catalog: Catalog) -> None:
    with catalog.read() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _mine})
        assert compare_metadata(context, metadata) == []


def test_processes_that_open_a_fresh_database_at_once_all_succeed(catalog_url: str) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, catalog_url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    with Catalog.open(catalog_url) as catalog:
        assert catalog.list_runs() == []


def test_tables_that_another_process_makes_between_two_looks_are_ours(
    catalog_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Catalog.open(catalog_url).close()
    real, looks = migrate._version, [None]

    def first_too_early(connection: Connection) -> str | None:
        return looks.pop() if looks else real(connection)

    monkeypatch.setattr(migrate, "_version", first_too_early)
    with Catalog.open(catalog_url) as catalog:
        assert catalog.list_runs() == []
    assert looks == []


def test_a_current_database_is_opened_without_alembic_or_pydantic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    Catalog.open(url).close()
    program = (
        (
            f"{OPEN}.list_prompts(); loaded = {{'alembic', 'pydantic', 'pandas', 'dagster', "
            "'sqlalchemy.orm', 'sqlalchemy.dialects.postgresql'} & set(sys.modules); "
            "assert not loaded, loaded"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )
    subprocess.run([sys.executable, "-c", program, url], check=True)


BY_0004 = ("name_created_at", "model_type_created_at", "model_type_status_created_at")


def drop_what_0009_added(tx: Transaction) -> None:
    tx.connection.exec_driver_sql("DROP TABLE workers")


def drop_what_0008_and_later_added(tx: Transaction) -> None:
    execute = tx.connection.exec_driver_sql
    drop_what_0009_added(tx)
    sqlite = tx.connection.dialect.name == "sqlite"
    execute(f"DROP TRIGGER gpu_times_update{'' if sqlite else ' ON runs'}")
    for table in ("notices", "gpu_times"):
        execute(f"DROP TABLE {table}")
    if not sqlite:
        execute("DROP FUNCTION catalog_gpu_times")


def drop_what_0004_and_later_added(tx: Transaction) -> None:
    execute = tx.connection.exec_driver_sql
    drop_what_0008_and_later_added(tx)
    for index in ("ix_runs_queue", "ix_runs_load_id"):
        execute(f"DROP INDEX {index}")
    for column in ("turn", "load_id", "ordered_by", "any_place"):
        execute(f"ALTER TABLE runs DROP COLUMN {column}")
    for table in ("loads", "pauses"):
        execute(f"DROP TABLE {table}")
    for column in ("recipe", "engine"):
        execute(f"DROP INDEX ix_runs_{column}_created_at")
    execute("DROP INDEX ix_runs_request_key")
    execute("ALTER TABLE runs DROP COLUMN request_key")
    sqlite = tx.connection.dialect.name == "sqlite"
    for table in ("tags", "counts"):
        for on in ("insert", "update", "delete"):
            execute(f"DROP TRIGGER IF EXISTS run_{table}_{on}{'' if sqlite else ' ON runs'}")
        execute(f"DROP TABLE run_{table}")
        if not sqlite:
            execute(f"DROP FUNCTION catalog_run_{table}")
    for index in BY_0004:
        execute(f"DROP INDEX ix_{'prompts' if index.startswith('name') else 'runs'}_{index}")
    for index in (*OF_SOME_ROWS, "ix_prompts_name_words", *BYTES):
        execute(f"DROP INDEX IF EXISTS {index}")
    execute("CREATE INDEX ix_prompts_name ON prompts (name)")


def drop_what_0003_added(tx: Transaction) -> None:
    drop_what_0004_and_later_added(tx)
    for column in ("sources", "rendered_in"):
        tx.connection.execute(text(f"ALTER TABLE scenes DROP COLUMN {column}"))


def test_paths_below_the_project_that_an_older_version_kept_whole_become_relative(
    catalog_url: str, tmp_path: Path
) -> None:
    home = tmp_path / "project"
    with Catalog.open(catalog_url) as catalog:
        catalog.put_scene("city", f"{home}/inputs/videos/city", "d", {})
        catalog.put_scene("shot@12345678", f"{home}er/shot", "d", {})
        videos = (f"{home}/clips/a.mp4", "/b.mp4")
        of_files = [
            catalog.add_run("upscale", "preview", "local", {}, source={"video": video, "more": 1})
            for video in videos
        ]
        other = catalog.add_run("transfer", "preview", "local", {})
        with catalog.write() as tx:  # as 0002 left it
            drop_what_0003_added(tx)
            tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0002'"))
    with Catalog.open(catalog_url, home) as catalog:
        paths = {scene.key: scene.path for scene in catalog.list_scenes()}
        assert paths == {"city": "inputs/videos/city", "shot@12345678": f"{home}er/shot"}
        sources = [catalog.get_run(run.id).source for run in (*of_files, other)]
        assert sources == [{"video": "clips/a.mp4", "more": 1}, {"video": "/b.mp4", "more": 1}, {}]


def test_a_catalog_of_the_first_version_keeps_its_runs(catalog_url: str) -> None:
    with Catalog.open(catalog_url) as catalog:
        prompt, _ = catalog.add_prompt("text", None, "city", "name", {})
        run = catalog.add_run("transfer", "preview", "local", {}, prompt_id=prompt.id)
        with catalog.write() as tx:  # as 0001 left it
            tx.connection.execute(text("ALTER TABLE runs DROP COLUMN progress"))
            drop_what_0003_added(tx)
            tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    with Catalog.open(catalog_url) as catalog:
        assert catalog.get_run(run.id) == run
        assert catalog.claim(run.id, "us")
        assert catalog.advance(run.id, "us", "uploading", "uploading", progress={"done": 1})
        assert catalog.get_run(run.id).progress == {"done": 1}


def test_a_catalog_of_version_0003_counts_the_runs_and_tags_that_it_has(catalog_url: str) -> None:
    with Catalog.open(catalog_url) as catalog:
        runs = [add_run(catalog, tags=["b", "a"][: n % 3]) for n in range(4)]
        runs += [add_run(catalog, queued=True, priority=n) for n in (0, 1)]
        runs = [catalog.tag(run.id, add=["b", "a"][: n % 3]) for n, run in enumerate(runs)]
        catalog.cancel_pending(runs[0].id)
        with catalog.write() as tx:  # as 0003 left it
            drop_what_0004_and_later_added(tx)
            tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0003'"))
    with Catalog.open(catalog_url) as catalog:
        assert [run.id for run in catalog.queued_runs()] == [runs[5].id, runs[4].id]
        counts = catalog.count_by_status()
        assert (counts["pending"], counts["cancelled"], counts["failed"]) == (5, 1, 0)
        assert [run.id for run in catalog.list_runs(tag="a")] == [runs[5].id, runs[2].id]
        assert len(catalog.list_runs(tag="b")) == 4
        catalog.tag(runs[0].id, add=["a"])
        catalog.cancel_pending(runs[1].id)
        assert [run.id for run in catalog.list_runs(tag="a")][-1] == runs[0].id
        assert catalog.count_by_status()["cancelled"] == 2


def test_a_catalog_of_version_0007_counts_the_gpu_time_that_it_has(catalog_url: str) -> None:
    with Catalog.open(catalog_url) as catalog:
        pair = [add_run(catalog, execution_config={"num_gpus": 2}) for _ in range(2)]
        for run in pair:
            fail(catalog, run, order="od_1")
        odd = add_run(catalog, execution_config={"num_gpus": "many"})
        fail(catalog, odd, order="od_2")
        add_run(catalog)
        with catalog.write() as tx:  # as 0007 left it
            drop_what_0008_and_later_added(tx)
            tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0007'"))
    with Catalog.open(catalog_url) as catalog:
        times = catalog.gpu_times(pair[0].created_at)
        assert sorted((t.order_id, t.gpus) for t in times) == [
            ("od_1", 2),
            ("od_1", 2),
            ("od_2", 1),
        ]
        ends = {catalog.get_run(run.id).completed_at for run in (*pair, odd)}
        assert {time.ended_at for time in times} == ends


def test_a_catalog_of_version_0008_keeps_its_pauses_and_takes_signs_of_life(
    catalog_url: str,
) -> None:
    with Catalog.open(catalog_url) as catalog:
        paused = catalog.pause("all", "ada@studio", "maintenance")
        with catalog.write() as tx:  # as 0008 left it
            drop_what_0009_added(tx)
            tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0008'"))
    with Catalog.open(catalog_url) as catalog:
        assert catalog.list_pauses() == [paused]
        assert catalog.list_workers() == []
        catalog.sign_on("us", "ada@studio", "studio")
        assert [worker.owner for worker in catalog.list_workers()] == ["us"]


def test_a_database_of_a_newer_version_is_refused(catalog_url: str) -> None:
    with Catalog.open(catalog_url) as catalog, catalog.write() as tx:
        tx.connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StateError, match="newer version"):
        Catalog.open(catalog_url)


def test_a_database_of_another_program_is_refused_and_left_alone(catalog_url: str) -> None:
    if catalog_url.startswith("sqlite"):
        Path(catalog_url.removeprefix("sqlite:///")).parent.mkdir()
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (other INTEGER)"))
    with pytest.raises(InputError, match="another program"):
        Catalog.open(catalog_url)
    with engine.begin() as connection:
        assert not connection.dialect.has_table(connection, "prompts")
    engine.dispose()


def test_the_directory_of_the_database_is_made(tmp_path: Path) -> None:
    Catalog.open(f"sqlite:///{tmp_path / 'a' / 'b' / 'cosmos.db'}").close()
    assert (tmp_path / "a" / "b" / "cosmos.db").is_file()


def test_a_file_that_is_no_database_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cosmos.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="not an SQLite database") as caught:
        Catalog.open(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_database_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "cosmos.db"
    with Catalog.open(f"sqlite:///{path}") as catalog:
        for number in range(200):
            catalog.add_prompt(f"prompt {number} " * 50, None, "city", "name", {})
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    with pytest.raises(InputError, match="damaged") as caught:
        Catalog.open(f"sqlite:///{path}").list_prompts()
    assert str(path) in str(caught.value)


def test_a_directory_in_place_of_the_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        Catalog.open(f"sqlite:///{tmp_path}")


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    with pytest.raises(InputError, match="cannot be made"):
        Catalog.open(f"sqlite:///{tmp_path}/outputs/cosmos.db")


def test_a_read_only_database_can_be_read_and_says_so_when_written(tmp_path: Path) -> None:
    path = tmp_path / "cosmos.db"
    Catalog.open(f"sqlite:///{path}").close()
    with Catalog.open(f"sqlite:///file:{path}?mode=ro&uri=true") as catalog:
        assert catalog.list_prompts() == []
        with pytest.raises(InputError, match="read-only"):
            catalog.add_prompt("text", None, "city", "name", {})


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(CosmosError, match="cannot be reached") as caught:
        Catalog.open(f"postgresql+psycopg2://me:secret@/db?host={tmp_path}")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["no url", "mysql://host/db", "postgres://host/db", ""])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"database URL|cannot use"):
        Catalog.open(url)
