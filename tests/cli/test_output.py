"""Data on stdout: JSON, tables, records; colours only on a terminal that wants them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from cosmos_pipelines.cli.output import age, duration, write_json, write_record, write_table
from tests.catalog.rows import add_run
from tests.cli.conftest import Cosmos, on_terminal
from tests.support.project import Project

ROWS = [{"id": "rs_" + "a" * 32, "text": "x" * 300}, {"id": "rs_b", "text": "two\nlines"}]
COLUMNS = {"id": lambda r: r["id"], "text": lambda r: r["text"]}


@pytest.fixture
def recipe(project: Project) -> str:
    """A recipe with long settings."""
    settings = {"weights": {"vis": 0.25, "edge": 0.25, "depth": 0.25, "seg": 0.25}, "seed": 1}
    project.catalog.put_recipe("r" * 40, "preview", "transfer", settings)
    return "r" * 40


def test_json_is_indented_and_keeps_its_letters(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"text": "Straße"})
    assert capsys.readouterr().out == '{\n  "text": "Straße"\n}\n'


def test_without_a_terminal_nothing_is_cut_and_a_row_is_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_table(ROWS, COLUMNS)
    title, first, second = capsys.readouterr().out.splitlines()
    assert title.split() == ["ID", "TEXT"]
    assert first.split() == [ROWS[0]["id"], "x" * 300]
    assert second.endswith("two lines")


def test_on_a_terminal_ids_are_whole_and_the_last_column_gives_way(
    project: Project, recipe: str
) -> None:
    lines = on_terminal(project, "list", "recipes", env={"NO_COLOR": "1"}).out.splitlines()
    assert len(lines) == 2
    assert recipe in lines[1]
    assert lines[1].rstrip().endswith("…")


def test_a_terminal_gets_colours_unless_they_are_not_wanted(project: Project, recipe: str) -> None:
    assert "\x1b[" in on_terminal(project, "list", "recipes").out
    assert "\x1b[" not in on_terminal(project, "list", "recipes", env={"NO_COLOR": "1"}).out


def test_without_a_terminal_there_are_no_colours_whatever_is_wanted(
    cosmos: Cosmos, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in cosmos("list", "recipes").out


def test_empty_fields_of_a_record_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    write_record({"id": "rs_1", "none": None, "list": [], "made": {"by": "x"}, "zero": 0})
    assert capsys.readouterr().out.splitlines() == ["id    rs_1", "made", "  by  x", "zero  0"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (900_000, "10 d")],
)
def test_a_duration_is_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_in_the_future_has_no_age() -> None:
    assert age((datetime.now(UTC) + timedelta(hours=1)).isoformat()) == "0 s"


def test_a_simulated_engine_says_so_in_lists(cosmos: Cosmos, recipe: str) -> None:
    assert "PREVIEW" in cosmos("list", "recipes").out.upper().split(recipe.upper())[1]


def test_lists_are_json_on_request(cosmos: Cosmos, recipe: str) -> None:
    [row] = cosmos("list", "recipes", "--json").json
    assert row["name"] == recipe
    assert cosmos("list", "recipes", "--ids").out == recipe + "\n"
    for what in ("prompts", "runs", "scenes"):
        said = cosmos("list", what, "--json")
        assert (json.loads(said.out), said.err) == ([], "")


def test_runs_are_listed_by_rating_and_tag(cosmos: Cosmos, project: Project) -> None:
    good, _, tagged = (add_run(project.catalog) for _ in range(3))
    project.catalog.rate(good.id, 5)
    project.catalog.rate(tagged.id, 3)
    project.catalog.tag(tagged.id, ["Keep"])
    assert cosmos("list", "runs", "--rating", 4, "--ids").out.split() == [good.id]
    assert cosmos("list", "runs", "--rating", 3, "--ids").out.split() == [tagged.id, good.id]
    assert cosmos("list", "runs", "--tag", "keep", "--ids").out.split() == [tagged.id]
    assert cosmos("list", "runs", "--tag", "other", "--ids").out == ""
    assert cosmos("list", "runs", "--rating", 6).code == 2
