"""`cosmos prepare`: what it did with the picture is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import Cosmos
from tests.cli.test_bad_input import sequence
from tests.media import renders
from tests.media.exr import write_picture
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


def test_the_segments_of_a_scene_are_shown_with_what_they_fill(
    cosmos: Cosmos, tmp_path: Path
) -> None:
    sequence(tmp_path / "shot", "color", range(1, 3), (64, 48))
    for i in (1, 2):
        ids = np.zeros((48, 64), np.uint8)
        ids[:12] = 7
        renders.save(tmp_path / f"shot/segmentation.{i:04d}.png", ids)
    assert cosmos("prepare", tmp_path / "shot").code == 0
    text = cosmos("show", "shot").out
    assert "#808080  25.0 % of all pixels, in 2 frames" in text
    legend = cosmos("show", "shot", "--json").json["legend"]
    assert [(one["name"], one["area"]) for one in legend] == [("0", 0.75), ("7", 0.25)]


def test_the_colour_space_and_view_of_the_project_are_used_told_and_kept(
    project: Project, cosmos: Cosmos, tmp_path: Path
) -> None:
    settings = project.settings.home / "cosmos.toml"
    said = 'colorspace = "acescg"\nview = "Un-tone-mapped"\n'
    settings.write_text(f"{settings.read_text()}\n[scenes]\n{said}")
    pixels = np.full((48, 64, 3), 0.2, np.float32)
    for i in (1, 2):
        write_picture(tmp_path / f"shot/color.{i:04}.exr", pixels)
    made = cosmos("prepare", tmp_path / "shot", "--json").json
    colour = made["passes"]["color"]["colour"]
    assert (colour["space"], colour["view"]) == ("ACEScg", "Un-tone-mapped")
    assert "the file does not say it, and cosmos.toml does" in made["notes"][0]
    assert made["asked"]["colorspace_else"] == "acescg"
    assert "color: taken for ACEScg, since" in cosmos("show", "shot").out
    settings.write_text(settings.read_text().replace("acescg", "acescq"))
    wrong = cosmos("prepare", tmp_path / "shot", "--name", "other")
    assert wrong.code == 2
    assert "There is no colour space 'acescq'" in wrong.error
    assert "Did you mean 'ACEScg'" in wrong.error
