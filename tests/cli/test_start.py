"""Starting: what is imported, and what the table of commands promises."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from cosmos_pipelines.cli.app import COMMANDS, root_command
from tests.catalog.rows import add_prompt, add_run
from tests.cli.conftest import Cosmos, spawn
from tests.support.project import Project

LISTING = {"catalog", "catalog_place", "cli", "errors", "files", "foreign", "ids", "labels"}
LISTING |= {"identity", "lines", "settings_file"}
"""The rooms that a listing may import: no engine, no operation, no settings, no API."""
LIBRARIES = {"sqlalchemy", "greenlet", "typer", "shellingham", "annotated_doc", "annotated_types"}
LIBRARIES |= {"pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
LIBRARIES |= {"cython_runtime"}
"""The libraries that a listing may import; Typer imports pydantic to read options."""
HEAVY = {"dagster", "numpy", "av", "pandas", "alembic", "paramiko", "PIL", "loguru", "rich"}


def imported_by(*words: str, home: Path) -> set[str]:
    """Top-level packages that a command has imported, in a process of its own."""
    return {name.split(".")[0] for name in modules_of(*words, home=home)}


def modules_of(*words: str, home: Path) -> set[str]:
    """All modules that a command has imported, in a process of its own."""
    program = (
        "import json, sys\n"
        "from cosmos_pipelines.cli import main\n"
        "code = main(json.loads(sys.argv[1]))\n"
        "sys.stderr.write(json.dumps([code, sorted(sys.modules)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(["--home", str(home), *words])],
        capture_output=True,
        text=True,
        check=True,
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return set(names)


@pytest.mark.parametrize("words", [["--help"], ["list", "runs"], ["inference", "--help"]])
def test_a_light_command_imports_nothing_heavy(words: list[str], project: Project) -> None:
    assert not imported_by(*words, home=project.settings.home) & HEAVY


def test_a_look_at_the_queue_imports_neither_dagster_nor_a_library_of_pictures(
    project: Project,
) -> None:
    waiting = add_prompt(project.catalog).id
    add_run(project.catalog, prompt_id=waiting, queued=True)
    heavy = {"dagster", "numpy", "av", "pandas", "PIL", "paramiko"}
    assert not imported_by("queue", home=project.settings.home) & heavy


@pytest.mark.parametrize("what", ["runs", "prompts", "recipes"])
def test_a_listing_imports_what_it_needs_and_nothing_else(what: str, project: Project) -> None:
    add_run(project.catalog, prompt_id=add_prompt(project.catalog).id)
    project.catalog.put_recipe("soft", "cosmos3", "transfer", {})
    modules = modules_of("list", what, home=project.settings.home)
    ours = {name.split(".")[1] for name in modules if name.startswith("cosmos_pipelines.")}
    assert ours <= LISTING
    others = {name.split(".")[0] for name in modules} - sys.stdlib_module_names
    known = LIBRARIES | {"cosmos_pipelines", "sitecustomize", "usercustomize", "_virtualenv"}
    assert {name for name in others - known if not name.startswith(("__editable__", "_"))} == set()


def test_help_needs_neither_pydantic_nor_sqlalchemy(tmp_path: Path) -> None:
    assert not imported_by("--help", home=tmp_path) & {"pydantic", "sqlalchemy"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    module = import_module(f"cosmos_pipelines.cli.{COMMANDS[name].module}")
    command = typer.main.get_command(module.app)
    assert command.get_short_help_str(200).startswith(COMMANDS[name].help.rstrip("."))


def test_every_command_has_its_help() -> None:
    assert set(root_command().commands) == set(COMMANDS)


def test_the_version_is_told(cosmos: Cosmos) -> None:
    said = cosmos("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("cosmos 0.")


def test_a_group_without_a_command_shows_its_help(cosmos: Cosmos) -> None:
    said = cosmos("list")
    assert said.code == 0
    assert "recipes" in said.out


def test_a_mistyped_command_is_answered_with_the_nearest(cosmos: Cosmos) -> None:
    said = cosmos("inferense")
    assert said.code == 2
    assert "'inference'" in said.error
    assert said.out == ""


def test_a_mistyped_option_is_one_line(cosmos: Cosmos) -> None:
    said = cosmos("inference", "ps_1", "--num-stepz", "3")
    assert said.code == 2
    assert "cosmos inference --help" in said.error
    assert said.err.count("\n") == 1


def test_the_shell_completes_commands_without_loading_them() -> None:
    env = {"_COSMOS_COMPLETE": "complete_bash", "COMP_WORDS": "cosmos pr", "COMP_CWORD": "1"}
    assert spawn(env=env).out.split() == ["prepare", "prompt-enhance"]


def test_outside_of_a_project_the_way_in_is_told(tmp_path: Path) -> None:
    said = spawn("list", "runs", cwd=tmp_path, env={"COSMOS_HOME": ""})
    assert said.code == 2
    assert "cosmos init" in said.error
