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
from tests.cli.conftest import Cosmos, spawn
from tests.support.project import Project

HEAVY = {"dagster", "numpy", "av", "pandas", "alembic", "paramiko", "PIL", "loguru", "rich"}


def imported_by(*words: str, home: Path) -> set[str]:
    """Top-level packages that a command has imported, in a process of its own."""
    program = (
        "import json, sys\n"
        "from cosmos_pipelines.cli import main\n"
        "code = main(json.loads(sys.argv[1]))\n"
        "sys.stderr.write(json.dumps([code, sorted({m.split('.')[0] for m in sys.modules})]))\n"
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
