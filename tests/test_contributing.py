"""The map of the code, and what contributors are told to type: both are true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.test_docs import ROOT, blocks

PACKAGE = ROOT / "cosmos_pipelines"
MAP = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {c["name"]: c for c in PROJECT["tool"]["importlinter"]["contracts"]}
TYPED = [shlex.split(line) for b in blocks(CONTRIBUTING) for line in b.splitlines()]


def rooms() -> set[str]:
    """The packages and modules at the top of ours."""
    modules = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__"}
    return modules | {p.parent.name for p in PACKAGE.glob("*/__init__.py")}


def floors() -> list[tuple[list[str], set[str]]]:
    """The picture: for each floor its rooms, and those that have a star."""
    picture = MAP.read_text(encoding="utf-8").split("## Floors")[1].split("```")[1]
    found = []
    for line in picture.strip("\n").splitlines():
        words = re.split(r"\s{3,}", line.removeprefix(" "))
        names = [word for word in words if word.removesuffix(" *") in rooms()]
        starred = {n.removesuffix(" *") for n in names if n.endswith(" *")}
        found.append(([n.removesuffix(" *") for n in names], starred))
    return found


def test_the_picture_of_the_floors_is_that_of_the_import_rules() -> None:
    layers = CONTRACTS["Who may import whom"]["layers"]
    assert [sorted(names) for names, _ in floors()] == [sorted(x.split(" | ")) for x in layers]


def test_the_picture_shows_every_room() -> None:
    assert {name for names, _ in floors() for name in names} == rooms()


def test_the_map_names_every_room_inside_a_room() -> None:
    text = MAP.read_text(encoding="utf-8")
    inner = {p.parent.relative_to(PACKAGE).as_posix() for p in PACKAGE.glob("*/**/__init__.py")}
    assert sorted(room for room in inner if "/" in room and f"`{room}/" not in text) == []


def test_the_picture_says_who_may_import_dagster() -> None:
    allowed = CONTRACTS["Dagster is imported in its rooms only"]["ignore_imports"]
    starred = {name for _, stars in floors() for name in stars}
    assert starred == {line.split(".")[1].split(" ")[0] for line in allowed}


@pytest.mark.parametrize("document", [MAP, CONTRIBUTING], ids=lambda p: p.name)
def test_every_path_that_is_named_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = re.findall(r"`(\w[\w.-]*/[\w./-]*|[\w.-]+\.(?:py|md|toml|yaml|lock))`", text)
    assert len(paths) > 15
    below = [ROOT, PACKAGE] if document == MAP else [ROOT]
    assert [p for p in paths if not any((top / p).exists() for top in below)] == []


def test_what_contributors_type_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert len(TYPED) > 4
    for program, *words in TYPED:
        if program == "make":
            assert words[0] in targets
        else:
            assert program.startswith(".venv/bin/")
            assert (Path(sys.executable).parent / Path(program).name).exists(), program


@pytest.mark.parametrize("words", [w for w in TYPED if "pytest" in w], ids=" ".join)
def test_one_test_is_run_as_contributors_are_told(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_a_commit_runs_what_make_check_runs() -> None:
    file = ROOT / ".pre-commit-config.yaml"
    program = Path(sys.executable).with_name("pre-commit")
    done = subprocess.run(
        [program, "validate-config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    [repository] = yaml.safe_load(file.read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert [(h["entry"], h["language"]) for h in repository["hooks"]] == [("make check", "system")]


def test_the_public_ci_runs_our_steps_on_the_oldest_and_the_newest_python() -> None:
    file = ROOT / ".github" / "workflows" / "ci.yml"
    job = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]["ci"]
    assert any("bash .ci/run" in step.get("run", "") for step in job["steps"])
    pythons = job["strategy"]["matrix"]["python"]
    oldest, newest = pythons[0], int(pythons[-1].removeprefix("3."))
    assert PROJECT["project"]["requires-python"] == f">={oldest},<3.{newest + 1}"
