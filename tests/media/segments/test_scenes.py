"""Segments as they lie in a directory of renders, made into a scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.segments.colours import code_of
from tests.media import renders
from tests.media.segments import mattes

BLENDER = Path(__file__).parents[1] / "blender/exr"
COLOURS = ((200, 30, 30, 255), (30, 30, 200, 255))


def replicator(folder: Path, classes: tuple[str, str] = ("car", "tree")) -> Path:
    """What BasicWriter writes: the classes change their colours from frame to frame."""
    folder.mkdir(exist_ok=True)
    for i in range(3):
        renders.save(folder / f"rgb_{i:04d}.png", renders.colour(i))
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[:24], picture[24:] = COLOURS[i % 2], COLOURS[(i + 1) % 2]
        renders.save(folder / f"semantic_segmentation_{i:04d}.png", picture)
        told = {str(COLOURS[i % 2]): classes[0], str(COLOURS[(i + 1) % 2]): classes[1]}
        labels = {colour: {"class": name} for colour, name in told.items()}
        file = folder / f"semantic_segmentation_labels_{i:04d}.json"
        file.write_text(json.dumps(labels))
    return folder


def test_replicator_s_directory_becomes_a_scene_with_a_legend(tmp_path: Path) -> None:
    source = replicator(tmp_path / "r")
    made = prepare_scene(source, tmp_path / "city")
    legend = made["passes"]["segmentation"]["legend"]
    assert {(one["name"], one["area"], one["frames"]) for one in legend} == {
        ("car", 0.5, 3),
        ("tree", 0.5, 3),
    }
    car = list(code_of("car").to_bytes(3))
    for picture in pictures_of(tmp_path / "city/segmentation.mp4"):
        assert (picture[:24] == car).all()
    assert any("one colour over the whole clip" in note for note in made["notes"])
    assert prepare_scene(source, tmp_path / "city")["unchanged"]


def test_other_labels_make_the_segmentation_anew_and_other_options_only_that_they_touch(
    tmp_path: Path,
) -> None:
    source = replicator(tmp_path / "r")
    first = prepare_scene(source, tmp_path / "city")
    replicator(source, ("bus", "tree"))
    second = prepare_scene(source, tmp_path / "city")
    assert {one["name"] for one in second["passes"]["segmentation"]["legend"]} == {"bus", "tree"}
    sha = {name: one["sha256"] for name, one in first["passes"].items()}
    assert second["passes"]["color"]["sha256"] == sha["color"]
    assert second["passes"]["segmentation"]["sha256"] != sha["segmentation"]


@pytest.mark.parametrize(
    "called",
    ["names.json", "shot.0001.json", "ids_0001.json"],
    ids=["one", "one a picture", "called otherwise"],
)
def test_another_manifest_beside_the_pictures_makes_the_segmentation_anew(
    tmp_path: Path, called: str
) -> None:
    source = tmp_path / "r"
    half = np.repeat(np.array([1, 0], np.float32), 24)[:, None].repeat(64, 1)
    masks = {"car": half, "tree": 1 - half}
    for n in (1, 2):
        said = called.replace("0001", f"{n:04}")
        told = mattes.metadata("crypto_object", manif_file=said)
        picture = {"crypto_object": mattes.ranked(masks, 2)}
        mattes.write(source / f"shot.{n:04}.exr", picture, told)
        (source / said).write_text(mattes.manifest(list(masks)))
    first = prepare_scene(source, tmp_path / "city")
    assert prepare_scene(source, tmp_path / "city")["unchanged"]
    renamed = {"lorry": f"{mattes.id_of('car'):08x}", "tree": f"{mattes.id_of('tree'):08x}"}
    (source / said).write_text(json.dumps(renamed))
    second = prepare_scene(source, tmp_path / "city")
    assert "lorry" in {one["name"] for one in second["passes"]["segmentation"]["legend"]}
    assert second["passes"]["color"] == first["passes"]["color"]


def test_blender_s_multilayer_files_are_a_scene_with_named_segments(tmp_path: Path) -> None:
    made = prepare_scene(BLENDER, tmp_path / "city")
    legend = made["passes"]["segmentation"]["legend"]
    assert {one["name"] for one in legend} == {"Floor", "Red Cube", "Ball", "Ring", "background"}
    assert {one["frames"] for one in legend} == {3}
    assert made["passes"]["segmentation"]["max_error"] == 0
    with pytest.raises(MediaError, match=r"no cryptomatte of materials; it has ViewLayer\."):
        prepare_scene(BLENDER, tmp_path / "other", Asked(segments="materials"))
    assert not (tmp_path / "other/color.mp4").exists()


def test_carla_s_folders_are_a_scene_with_named_segments(tmp_path: Path) -> None:
    tags = np.zeros((48, 64, 3), np.uint8)
    tags[12:, :, 0] = 14
    renders.sequence(tmp_path / "carla/rgb", "%06d.png", renders.colour, range(3))
    renders.sequence(tmp_path / "carla/semantic_segmentation", "%06d.png", lambda i: tags, range(3))
    made = prepare_scene(tmp_path / "carla", tmp_path / "city")
    legend = made["passes"]["segmentation"]["legend"]
    assert [(one["name"], one["area"]) for one in legend] == [("Car", 0.75), ("Unlabeled", 0.25)]


def test_materials_are_not_taken_of_what_is_no_cryptomatte(tmp_path: Path) -> None:
    renders.render(tmp_path / "r", frames=2)
    asked = Asked(segments="materials")
    with pytest.raises(MediaError, match=r"is no cryptomatte, of which `--segments materials`"):
        prepare_scene(tmp_path / "r", tmp_path / "city", asked)
    prepare_scene(tmp_path / "r", tmp_path / "city", Asked(segments="objects"))


def test_what_was_asked_of_segments_is_asked_again() -> None:
    asked = Asked(segments="materials")
    assert asked.facts()["segments"] == "materials"
    assert Asked.before({"asked": asked.facts()}) == asked
    assert "segments" not in Asked().facts()
