"""Scenes that Blender itself rendered (tests/media/blender/make.py) are taken as they lie there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.readers.picture import read_facts, read_layer

BLENDER = Path(__file__).parent / "blender"
FRAMES = (1, 2, 3)
CAMERA = json.loads((BLENDER / "camera.json").read_text())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The multilayer EXRs, prepared once."""
    made = tmp_path_factory.mktemp("blender") / "shot"
    return prepare_scene(BLENDER / "exr", made, Asked(view="Un-tone-mapped"))


def layer(frame: int, name: str) -> np.ndarray[Any, Any]:
    path = BLENDER / f"exr/shot.{frame:04}.exr"
    found = read_facts(path).layer(f"ViewLayer.{name}")
    assert found
    return read_layer(path, found)


def decoded(scene: dict[str, Any], name: str) -> list[np.ndarray[Any, Any]]:
    return list(pictures_of(Path(scene["path"]) / f"{name}.mp4", exact=True))


def test_one_multilayer_sequence_is_a_whole_scene(scene: dict[str, Any]) -> None:
    passes = scene["passes"]
    assert set(passes) == {"color", "depth", "segmentation"}
    assert passes["color"]["source"]["layers"] == ["ViewLayer.Combined"]
    assert passes["depth"]["source"]["layers"] == ["ViewLayer.Depth"]
    assert passes["segmentation"]["source"]["layers"] == [
        f"ViewLayer.CryptoObject0{n}" for n in range(3)
    ]


def test_its_colours_are_those_of_the_pictures_and_the_video(
    scene: dict[str, Any], tmp_path: Path
) -> None:
    """`test_colour.py` compares pixels before H.264 halves chroma; here each is coded once."""
    for other in ("png", "mp4"):
        made = prepare_scene(BLENDER / other, tmp_path / other)
        pairs = zip(decoded(scene, "color"), decoded(made, "color"), strict=True)
        assert max(np.abs(a.astype(int) - b).mean() for a, b in pairs) < 6


def test_its_depth_is_that_of_the_known_camera(scene: dict[str, Any]) -> None:
    """On the floor, where a ray and a plane give the distance along the camera's axis."""
    for frame in FRAMES:
        floor = layer(frame, "Object Index")[..., 0] == CAMERA["objects"]["Floor"]
        depth = layer(frame, "Depth")[..., 0]
        assert np.abs(depth / floor_depth(frame, depth.shape) - 1)[floor].max() < 0.02


def test_what_is_farther_is_never_brighter(scene: dict[str, Any]) -> None:
    facts = scene["passes"]["depth"]["depth"]
    span = facts["value_of_black"] - facts["value_of_white"]
    for frame, got in zip(FRAMES, decoded(scene, "depth"), strict=True):
        depth = layer(frame, "Depth")[..., 0]
        want = 255 * (1 - np.clip((depth - facts["value_of_white"]) / span, 0, 1))
        assert np.abs(got[..., 0] - want).mean() < 2
        assert got[..., 0][depth > 1e9].max(initial=0) <= 8


def test_each_cryptomatte_mask_is_that_of_the_object_index(scene: dict[str, Any]) -> None:
    legend = {one["name"]: one["color"] for one in scene["passes"]["segmentation"]["legend"]}
    assert set(CAMERA["objects"]) <= set(legend)
    for frame, got in zip(FRAMES, decoded(scene, "segmentation"), strict=True):
        index = layer(frame, "Object Index")[..., 0]
        for name, number in CAMERA["objects"].items():
            colour = np.array(list(bytes.fromhex(legend[name].removeprefix("#"))))
            assert np.array_equal((got == colour).all(axis=-1), index == number), (frame, name)


def floor_depth(frame: int, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """How far along the camera's axis its ray through each pixel meets the plane z = 0."""
    height, width = shape
    world = np.array(CAMERA["matrix_world"][frame - 1])
    half = math.tan(CAMERA["fov_x"] / 2)
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * half
    y = (1 - (np.arange(height) + 0.5) / height * 2) * half * height / width
    rays = np.stack([*np.meshgrid(x, y), np.full((height, width), -1.0)], axis=-1)
    down = (rays @ world[:3, :3].T)[..., 2]
    with np.errstate(divide="ignore"):
        found: np.ndarray[Any, Any] = -world[2, 3] / down
    return found
