"""A real PostgreSQL server for the test session, with a new database for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

_HOME = Path("/usr/lib/postgresql")
_OPTIONS = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c max_connections=100 -c shared_buffers=16MB"
)


def _programs() -> Path:
    found = sorted(_HOME.glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    if not found:
        pytest.skip(f"no PostgreSQL server below {_HOME} (Debian: apt-get install postgresql)")
    return found[-1].parent


def _run(*argv: str | Path) -> None:
    """Run a program, as the user postgres if this process is root: PostgreSQL refuses root."""
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*as_postgres, *map(str, argv)],
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the maintenance database of a server that only this session uses."""
    with running_server() as url:
        yield url


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the URL of the maintenance database of a server that only this process uses.

    The server listens on a Unix socket only; the socket's path may have at most 107 bytes.
    """
    programs = _programs()
    base = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(base, "postgres")
    data = base / "data"
    try:
        _run(programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        _start(base)
        try:
            yield f"postgresql+psycopg2://postgres@/postgres?host={base}"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _start(base: Path) -> None:
    options = f"-k {base} {_OPTIONS}"
    _run(_programs() / "pg_ctl", "-D", base / "data", "-l", base / "log", "-w", "-o", options,
         "start")  # fmt: skip


@contextmanager
def stopped(server: str) -> Iterator[None]:
    """Stop a server of `running_server` at once; start it again at the end of the block."""
    base = Path(str(make_url(server).query["host"]))
    _run(_programs() / "pg_ctl", "-D", base / "data", "-m", "immediate", "-w", "stop")
    try:
        yield
    finally:
        _start(base)


@contextmanager
def fresh_database(server: str, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a new database, a copy of `template`, which must have no connections."""
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield server.replace("@/postgres?", f"@/{name}?")
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty database, for one test."""
    with fresh_database(postgres_server) as url:
        yield url
