"""`cosmos prepare`: what it did with the picture is told."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cosmos
from tests.cli.test_bad_input import sequence
from tests.support.project import Project


def test_what_was_changed_or_left_out_is_told(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    render = tmp_path / "a render"
    sequence(render, "beauty", range(1, 5), (65, 49))
    sequence(render, "segmentation", range(1, 5), (65, 49))
    sequence(render, "mystery", range(1, 3), (8, 8))
    said = cosmos("prepare", render, "--fps", "24", "--name", "odd")
    assert said.code == 0
    assert said.out == f"{project.settings.inputs / 'odd'}\n"
    assert "cropped from 65x49 to 64x48" in said.err
    assert "decoded colours differ from the source by at most 0 of 255" in said.err
    assert "mystery" in said.err


def test_what_was_prepared_already_is_not_encoded_again(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    sequence(tmp_path / "shot", "color", range(1, 4), (64, 48))
    assert json.loads(cosmos("prepare", tmp_path / "shot", "--json").out)["unchanged"] is False
    assert json.loads(cosmos("prepare", tmp_path / "shot", "--json").out)["unchanged"] is True
