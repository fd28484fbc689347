"""What is opened is closed: connections to the catalog, and backends."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.assets.jobs import BATCH
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import BACKENDS, Kind
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.cli import main
from cosmos_pipelines.runs.enter import enter
from cosmos_pipelines.runs.plan import plan_transfer
from cosmos_pipelines.settings import Settings
from tests.support.catalogs import BOTH
from tests.support.dagster_project import add_prompt, failure_of, run_job
from tests.support.project import Project

ROOT = Path(__file__).resolve().parents[1]
OPENERS = {"backend_for", "host_backend", "_on_host"}
"""Functions that return a backend, which their callers close."""


@contextmanager
def connections() -> Iterator[Counter[str]]:
    """Count the database connections that are opened and closed in a block."""
    counts: Counter[str] = Counter()

    def opened(*_: object) -> None:
        counts["opened"] += 1

    def closed(*_: object) -> None:
        counts["closed"] += 1

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    try:
        yield counts
    finally:
        event.remove(Pool, "connect", opened)
        event.remove(Pool, "close", closed)


@pytest.mark.parametrize("kind", BOTH)
def test_the_api_closes_the_catalog_at_the_end_of_its_block(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    settings = Settings(home=tmp_path, database_url=url)
    with connections() as counts:
        with CosmosAPI(settings=settings) as api:
            assert api.list_runs() == []
            assert counts["opened"] > counts["closed"]
        assert counts["opened"] == counts["closed"]
        assert api.list_runs() == []  # it may be used again, and closed again
        api.close()
        api.close()
        assert counts["opened"] == counts["closed"]
        with pytest.raises(KeyError), CosmosAPI(settings=settings) as api:
            api.list_runs()
            raise KeyError
        assert counts["opened"] == counts["closed"]
        with CosmosAPI(settings=settings):
            pass  # nothing was opened


@pytest.mark.parametrize(
    "words",
    [["list", "runs"], ["status"], ["show", "rs_nothing"], ["search", "x"], ["logs", "rs_nothing"],
     ["kill", "--all", "--force"], ["verify"], ["create", "recipe", "soft"], ["recover"]],
    ids=" ".join,
)  # fmt: skip
def test_a_command_closes_the_catalog_also_when_it_fails(
    staged: Project, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with connections() as counts:
        main(["--home", str(staged.settings.home), *words])
    assert counts["opened"] == counts["closed"] > 0


@pytest.fixture
def watched() -> Iterator[Counter[str]]:
    """How often backends of the kind `watched` were opened and closed."""
    counts: Counter[str] = Counter()

    class Watched(LocalBackend):
        name = "watched"

        def close(self) -> None:
            counts["closed"] += 1

    def make(settings: Settings) -> LocalBackend:
        counts["opened"] += 1
        return Watched(settings.work)

    BACKENDS["watched"] = Kind(here=make)
    yield counts
    del BACKENDS["watched"]


def add_watched(project: Project) -> Run:
    """Add a pending run for a backend of the kind `watched`."""
    planned = plan_transfer(
        project.catalog, project.settings, add_prompt(project).id, {}, engine="stand_in"
    )
    return enter(project.catalog, project.settings, planned, backend="watched")


def test_a_dagster_run_closes_its_backend(
    staged: Project, instance: dg.DagsterInstance, watched: Counter[str]
) -> None:
    run = add_watched(staged)
    result = run_job(staged, instance, BATCH, "execute_batch", run_ids=[run.id])
    assert result.success, failure_of(result)
    assert watched["opened"] == watched["closed"] > 0


def test_a_kill_closes_its_backend(staged: Project, watched: Counter[str]) -> None:
    run = add_watched(staged)
    assert staged.catalog.claim(run.id, "1:1:1", lease_s=0)
    with CosmosAPI(settings=staged.settings) as api:
        (ended,) = api.kill(run.id)
    assert ended["status"] == "cancelled"
    assert watched["opened"] == watched["closed"] > 0


def opened_in(file: Path) -> Iterator[tuple[ast.Call, ast.AST | None]]:
    """Each call of a file that opens something to be closed, and what it is an argument of."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside: dict[ast.AST | None, ast.AST] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            inside |= dict.fromkeys(node.args, node)
        elif isinstance(node, ast.With):
            inside |= {item.context_expr: node for item in node.items}
        elif isinstance(node, ast.Return):
            inside[node.value] = node
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {*OPENERS, "CosmosAPI"}:
            yield node, inside.get(node)


def test_no_line_of_ours_opens_a_backend_or_an_api_and_leaves_it_open() -> None:
    left = []
    files = {*(ROOT / "cosmos_pipelines").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")}
    for file in files - {ROOT / "cosmos_pipelines" / "backends" / "registry.py"}:
        for call, around in opened_in(file):
            name = ast.unparse(call.func)
            closes = isinstance(around, ast.Call) and ast.unparse(around.func) == "closing"
            passed_on = isinstance(around, ast.Return) and name in OPENERS
            if not closes and not passed_on and not isinstance(around, ast.With):
                left.append(f"{file.relative_to(ROOT)}: {ast.unparse(call)}")
    by_click = "cosmos_pipelines/cli/parameters.py: CosmosAPI(ctx.obj.home if ctx.obj else None)"
    assert left == [by_click]
