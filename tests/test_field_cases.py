"""Inputs as they came from the field: a directory of `tests/cases/field/` and a function each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cosmos_pipelines.runs.scene_requests import read_request, register_request
from tests.support.project import Project, make_project

FIELD = Path(__file__).parent / "cases" / "field"
Case = Callable[[Path, Project], None]
CASES: dict[str, Case] = {}


def case(number: str) -> Callable[[Case], Case]:
    """What holds for the inputs in the directory of this number."""

    def keep(function: Case) -> Case:
        CASES[number] = function
        return function

    return keep


@pytest.mark.parametrize("number", sorted(p.name for p in FIELD.iterdir()))
def test_what_came_from_the_field_is_taken_or_refused_as_it_should_be(
    number: str, tmp_path: Path
) -> None:
    CASES[number](FIELD / number, make_project(tmp_path / "home"))


@case("08")
def a_byte_order_mark_is_no_part_of_a_request(inputs: Path, project: Project) -> None:
    """`a` has a prompt.txt of an editor that writes the mark first, `b` such a scene.toml."""
    found = []
    for name in ("a", "b"):
        directory = project.settings.inputs / name
        shutil.copytree(inputs / name, directory)
        shutil.copy(inputs / "color.mp4", directory)
        request = read_request(directory)
        assert request is not None
        prompts, runs = register_request(project.catalog, project.settings, directory, request)
        assert len(runs) == 1
        found += [prompt.text for prompt in prompts]
    assert found == ["A wet street at night"] * 2
    from cosmos_pipelines.runs.inputs import register_prompt

    typed, created = register_prompt(
        project.catalog, project.settings, "A wet street at night", "a"
    )
    assert not created
    assert typed.scene == "a"
