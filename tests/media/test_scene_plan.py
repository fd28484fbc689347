"""What the plan of a scene tells before anything is written is what preparing it would say."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.readers import oiio
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.scene_plan import first_picture, plan_of
from cosmos_pipelines.media.sequence import survey
from tests.media import exr_parts as exr
from tests.media.exr_parts import Part
from tests.media.renders import Array
from tests.media.test_shared_files import FRAMES, H, W, colour, depth, render


def planned(directory: Path, **asked: Any) -> dict[str, Any]:
    return plan_of(survey(directory).scene(), Asked(**asked))


def depths(directory: Path, frames: Sequence[Array]) -> Path:
    """Colour, and depth in a file of its own."""
    for i, values in enumerate(frames):
        beauty = dict(zip("RGB", (colour(i), colour(i), colour(i)), strict=True))
        exr.write(directory / f"color.{i:04}.exr", Part(beauty))
        exr.write(directory / f"depth.{i:04}.exr", Part({"Z": values}, {"Z": "float"}))
    return directory


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "manifest": ({"manifest": '{"car": 7}'}, {}),
    "one depth": ({"Z": np.full((H, W), 5)}, {}),
    "no depth": ({"Z": np.full((H, W), 1e10)}, {}),
    "no such segments": ({}, {"segments": "materials"}),
    "no such colour space": ({}, {"colorspace": "acesgc"}),
    "no such view": ({}, {"view": "Filmik"}),
    "angle of planar depth": ({}, {"fov": 60}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plan_says_what_preparing_would_refuse(tmp_path: Path, fault: str) -> None:
    given, asked = FAULTS[fault]
    source = render(tmp_path / "renders", **given)
    with pytest.raises(MediaError) as e:
        prepare_scene(source, tmp_path / "scene", Asked(**asked))
    told = planned(source, **asked)
    assert (told["wrong"], told["hint"]) == (e.value.message, e.value.hint)


def test_a_plan_looks_at_one_picture_of_depth_where_that_says_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, read, real = render(tmp_path / "renders"), list[str](), oiio.oiio_layers

    def counting(path: Path, layers: Sequence[Layer]) -> list[Array]:
        read.append(path.name)
        return real(path, layers)

    monkeypatch.setattr(oiio, "oiio_layers", counting)
    assert planned(source)["wrong"] is None
    assert read == ["shot.0001.exr"]


def test_a_plan_refuses_no_depth_that_any_frame_has(tmp_path: Path) -> None:
    flat = np.full((H, W), 5, np.float32)
    source = depths(tmp_path / "renders", [flat, depth(1), flat, flat, flat])
    assert planned(source)["wrong"] is None
    assert prepare_scene(source, tmp_path / "scene")["frames"] == 5


def test_the_picture_of_planned_depth_is_of_a_frame_that_has_several(tmp_path: Path) -> None:
    flat = np.full((H, W), 5, np.float32)
    source = depths(tmp_path / "some", [flat, depth(1), flat])
    picture = first_picture(survey(source).scene(), "depth", Asked())
    assert picture is not None
    with Image.open(BytesIO(picture)) as image:
        low, high = image.convert("L").getextrema()
    assert high - low > 200
    source = depths(tmp_path / "none", [flat, flat])
    with pytest.raises(MediaError, match="depth"):
        first_picture(survey(source).scene(), "depth", Asked())


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    source = render(tmp_path / "renders")
    planned(source)
    assert len(list(source.iterdir())) == FRAMES
    assert list(tmp_path.iterdir()) == [source]
