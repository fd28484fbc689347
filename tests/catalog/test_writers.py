"""Many writers at once: each waits its turn, none is refused, nothing that one wrote is lost."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog import Catalog, turn
from cosmos_pipelines.catalog.backup import backup
from cosmos_pipelines.cli import main
from cosmos_pipelines.errors import CosmosError
from tests.catalog.rows import add_prompt, add_run
from tests.support.together import EIGHT, together

ROUNDS = 10
API, COMMANDS = range(5), range(5, EIGHT)


def write(number: int, home: str, run_id: str) -> None:
    """Five processes use the API, three the command line; all tag the same run."""
    if number in API:
        with_api(CosmosAPI(home), number, run_id)
    else:
        with_commands(home, number, run_id)


def with_api(api: CosmosAPI, number: int, run_id: str) -> None:
    for n in range(ROUNDS):
        prompt = api.catalog.add_prompt(f"fog {number} {n}", None, "city", "fog", {})[0]
        same = api.catalog.add_prompt(f"rain {n}", None, "city", "rain", {})[0]
        run = api.catalog.add_run("transfer", "preview", "local", {}, prompt_id=prompt.id)
        owner = f"here:{number}:1.0"
        assert api.catalog.claim(run.id, owner)
        assert api.catalog.renew([run.id], owner) == 1
        assert api.catalog.advance(run.id, owner, "uploading", "failed", error_kind="lost")
        api.catalog.put_scene("city", "inputs/videos/city", f"{number} {n}", {})
        api.catalog.note(run_id, f"{number} {n}")
        api.tag(run_id, add=f"{number}-{n}")
        api.rate(run.id, 1 + n % 5)
        api.create_recipe("soft", num_steps=number + 1)
        api.delete_run(run.id)
        assert api.get_prompt(same.id)["name"] == "rain"


def with_commands(home: str, number: int, run_id: str) -> None:
    for n in range(ROUNDS):
        recipe = ["create", "recipe", "soft", "--num-steps", str(number)]
        for words in (["tag", run_id, f"{number}-{n}"], ["rate", run_id, "3"], recipe):
            assert main(["--home", home, *words]) == 0


def test_eight_writers_at_once_are_all_served_and_lose_nothing_of_each_other(
    catalog: Catalog, tmp_path: Path
) -> None:
    run = add_run(catalog)
    url = catalog.url.render_as_string(hide_password=False)
    (tmp_path / "cosmos.toml").write_text(f'database_url = "{url}"\n')
    assert together(f"{__name__}:write", tmp_path, run.id) == [0] * EIGHT
    done = catalog.get_run(run.id)
    assert set(done.tags) == {f"{number}-{n}" for number in range(EIGHT) for n in range(ROUNDS)}
    assert set(done.notes) == {f"{number} {n}" for number in API for n in range(ROUNDS)}
    assert [r.id for r in catalog.list_runs(limit=None)] == [run.id]
    assert len(catalog.list_prompts(limit=None)) == len(API) * ROUNDS + ROUNDS


def name(number: int, url: str) -> None:
    with Catalog.open(url) as catalog:
        for n in range(ROUNDS):
            assert catalog.add_prompt(f"A foggy street, {number}.{n}", None, "city", None, {})[1]


def test_names_that_are_made_of_texts_at_once_are_each_given_once(catalog: Catalog) -> None:
    url = catalog.url.render_as_string(hide_password=False)
    assert together(f"{__name__}:name", url) == [0] * EIGHT
    names = {prompt.name for prompt in catalog.list_prompts(limit=None)}
    assert len(names) == EIGHT * ROUNDS
    assert {"foggy_street", f"foggy_street_{EIGHT * ROUNDS}"} <= names


def test_writers_are_served_by_a_server_whose_default_is_serializable(
    postgres_url: str, tmp_path: Path
) -> None:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        set_ = f"ALTER DATABASE {engine.url.database} SET default_transaction_isolation = "
        connection.execute(text(f"{set_}'serializable'"))
    engine.dispose()
    with Catalog.open(postgres_url) as catalog:
        run = add_run(catalog)
        (tmp_path / "cosmos.toml").write_text(f'database_url = "{postgres_url}"\n')
        assert together(f"{__name__}:write", tmp_path, run.id) == [0] * EIGHT
        assert len(catalog.get_run(run.id).tags) == EIGHT * ROUNDS


class Held:
    """Another program that keeps the catalog locked."""

    def __init__(self, catalog: Catalog) -> None:
        self.connection = sqlite3.connect(catalog.where, isolation_level=None)
        self.connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self.connection.close()


@pytest.fixture
def sqlite_catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(f"sqlite:///{tmp_path / 'cosmos.db'}")


class LetGo(logging.Handler):
    """Lets the catalog go as soon as the user was told of the wait."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        self.held, self.said = held, [""]

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        self.held.let_go()


def test_a_writer_that_waits_for_long_says_so_once_and_then_writes(
    sqlite_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TRY_S", 0.02)
    monkeypatch.setattr(turn, "SAY_S", 0.1)
    handler = LetGo(Held(sqlite_catalog))
    logger = logging.getLogger(turn.__name__)
    logger.addHandler(handler)
    try:
        add_prompt(sqlite_catalog)
    finally:
        logger.removeHandler(handler)
    assert handler.said[1:] == [
        f"Waiting for another process that writes to the catalog {sqlite_catalog.where}."
    ]
    assert len(sqlite_catalog.list_prompts()) == 1


SLOW = """
import sys
from cosmos_pipelines.catalog import turn
turn.TRY_S, turn.SAY_S = 0.02, 0.1
from cosmos_pipelines.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_command_that_waits_says_so_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "cosmos.toml").touch()
    api = CosmosAPI(tmp_path)
    run = add_run(api.catalog)
    held = Held(api.catalog)
    command = [sys.executable, "-c", SLOW, "--home", str(tmp_path), "rate", run.id, "4"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        held.let_go()
    assert said.startswith("Waiting for another process that writes")
    assert process.returncode == 0
    assert api.catalog.get_run(run.id).rating == 4


def test_a_writer_gives_up_in_one_line_if_the_catalog_stays_locked(
    sqlite_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TRY_S", 0.02)
    monkeypatch.setattr(turn, "WAIT_S", 0.1)
    held = Held(sqlite_catalog)
    with pytest.raises(CosmosError, match="another process keeps it locked"):
        add_prompt(sqlite_catalog)
    held.let_go()
    add_prompt(sqlite_catalog)  # the same connection is good again
    with sqlite_catalog.read() as connection:
        timeout = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    assert timeout == turn.BUSY_S * 1000


def test_a_restored_backup_is_written_while_others_read_it(
    sqlite_catalog: Catalog, tmp_path: Path
) -> None:
    add_prompt(sqlite_catalog)
    backup(sqlite_catalog, tmp_path / "restored.db")
    url = f"sqlite:///{tmp_path / 'restored.db'}"
    with Catalog.open(url) as reader, Catalog.open(url) as writer, reader.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM prompts").scalar() == 1
        thread = threading.Thread(target=lambda: add_prompt(writer, "rain"))
        thread.start()
        thread.join()
        assert len(writer.list_prompts()) == 2
