"""Sequences of several layers as scenes: what is taken, and what is refused before encoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.sequence import survey
from tests.media import exr_parts as exr
from tests.media.exr_parts import Part
from tests.media.renders import Array

W, H = 64, 36


def ramp(i: int = 0) -> Array:
    return np.add.outer(np.arange(H), np.arange(W)) / 100 + 1 + i / 10


def part(*names: str, i: int = 0) -> Part:
    channels = {n: np.rint(ramp(i)) if n == "id" else ramp(i) for n in names}
    return Part(channels, dict.fromkeys(names, "float"))


def sequence(directory: Path, words: str, *names: str, frames: int = 3) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for i in range(frames):
        path = directory / f"{words}.{i + 1:04}.exr"
        path.write_bytes(exr.by_hand(part(*names, i=i)))
    return directory


def taken(directory: Path, name: str | None = None, **wanted: str) -> dict[str, str]:
    """For each pass the file's words and its layers."""
    passes = survey(directory, wanted=wanted).scene(name).passes
    return {
        n: f"{p.files[0].name.partition('.')[0]}:{' '.join(p.layers)}" for n, p in passes.items()
    }


BEAUTY = ("R", "G", "B", "A")
IDS = tuple(f"crypto_object0{i}.{c}" for i in range(3) for c in "RGBA")


def test_one_sequence_of_many_layers_is_a_whole_scene(tmp_path: Path) -> None:
    source = sequence(tmp_path / "renders", "shot", *BEAUTY, "Z", "id", "N.X", "N.Y", "N.Z")
    assert taken(source) == {"color": "shot:", "depth": "shot:Z", "segmentation": "shot:id"}
    record = prepare_scene(source, tmp_path / "scene")
    assert {n: e["frames"] for n, e in record["passes"].items()} == {
        "color": 3, "depth": 3, "segmentation": 3,
    }  # fmt: skip
    assert record["passes"]["depth"]["source"]["layers"] == ["Z"]
    assert record["ignored"] == ["shot.####.exr (N)"]
    assert prepare_scene(source, tmp_path / "scene")["unchanged"]


def test_the_ranks_of_a_cryptomatte_are_one_pass(tmp_path: Path) -> None:
    source = sequence(tmp_path, "shot", *BEAUTY, *IDS, "IndexOB.X")
    found = survey(source).scene().passes["segmentation"]
    assert found.layers == ("crypto_object00", "crypto_object01", "crypto_object02")
    assert (found.meaning, found.label) == ("cryptomatte", "shot.####.exr (crypto_object)")
    assert survey(source).scene().ignored == (
        "shot.####.exr (IndexOB) (crypto_object is there)",
    )  # fmt: skip


def test_another_layer_is_taken_where_it_is_asked_for(tmp_path: Path) -> None:
    source = sequence(tmp_path, "shot", *BEAUTY, *IDS, "IndexOB.X", "Mist.Z", "Depth.Z")
    assert taken(source, segmentation="IndexOB")["segmentation"] == "shot:IndexOB"
    found = survey(source, wanted={"depth": "Mist"}).scene().passes["depth"]
    assert (found.layers, found.meaning) == (("Mist",), "normalised")


def test_a_file_of_its_own_is_preferred_to_a_layer_beside_colours(tmp_path: Path) -> None:
    sequence(tmp_path, "beauty", *BEAUTY, "Z")
    sequence(tmp_path, "depth", *BEAUTY, "Z")
    assert taken(tmp_path) == {"color": "beauty:", "depth": "depth:Z"}


def test_a_layer_without_a_name_is_what_its_file_is_called(tmp_path: Path) -> None:
    for words in ("beauty", "depth", "normal", "segmentation"):
        sequence(tmp_path, words, "R", "G", "B")
    assert taken(tmp_path) == {
        "color": "beauty:", "depth": "depth:", "segmentation": "segmentation:",
    }  # fmt: skip


def test_a_layer_of_another_name_is_what_its_file_is_called(tmp_path: Path) -> None:
    sequence(tmp_path, "beauty", *BEAUTY)
    sequence(tmp_path, "depth", "plane.V")
    assert taken(tmp_path) == {"color": "beauty:", "depth": "depth:plane"}


def test_view_layers_of_a_file_are_scenes(tmp_path: Path) -> None:
    names = (*(f"Front.Combined.{c}" for c in "RGB"), *(f"Back.Combined.{c}" for c in "RGB"))
    source = sequence(tmp_path, "shot", *names, "Front.Depth.Z", "Back.Depth.Z")
    assert [one.name for one in survey(source).scenes] == ["shot/Back", "shot/Front"]
    assert taken(source, "shot/Back") == {"color": "shot:Back.Combined", "depth": "shot:Back.Depth"}


def test_eyes_of_a_file_are_scenes(tmp_path: Path) -> None:
    names = ("R", "G", "B", "right.R", "right.G", "right.B", "Z", "right.Z")
    for i in range(2):
        stereo = Part({n: ramp() for n in names}, attributes={"multiView": ("left", "right")})
        (tmp_path / f"shot.{i:04}.exr").write_bytes(exr.by_hand(stereo))
    assert taken(tmp_path, "shot/left") == {"color": "shot:", "depth": "shot:Z"}
    assert taken(tmp_path, "shot/right") == {"color": "shot:right", "depth": "shot:right.Z"}


def test_layers_that_are_as_good_are_offered(tmp_path: Path) -> None:
    source = sequence(tmp_path, "shot", *BEAUTY, "a.Depth.Z", "b.Depth.Z")
    with pytest.raises(MediaError, match="2 candidates for the pass depth") as e:
        survey(source).scene()
    assert "--pass depth=" in str(e.value)


def test_a_layer_of_z_alone_is_depth_whatever_it_is_called_and_of_two_none_is_taken(
    tmp_path: Path,
) -> None:
    one = sequence(tmp_path / "one", "shot", *BEAUTY, "street.Z", "zback.Z")
    assert taken(one) == {"color": "shot:", "depth": "shot:street"}
    two = sequence(tmp_path / "two", "shot", *BEAUTY, "street.Z", "house.Z")
    with pytest.raises(MediaError, match="2 candidates for the pass depth") as e:
        survey(two).scene()
    assert "--pass depth=house" in str(e.value)
    assert survey(two, wanted={"depth": "house"}).scene().passes["depth"].layers == ("house",)


def test_two_colours_that_are_as_good_are_offered(tmp_path: Path) -> None:
    source = sequence(
        tmp_path, "shot", *(f"{n}.{c}" for n in ("beautyA", "beautyB") for c in "RGB")
    )
    with pytest.raises(MediaError, match="2 candidates for the pass color") as e:
        survey(source).scene()
    assert "--pass color=beautya" in str(e.value)


def _odd_frame(path: Path, what: str) -> None:
    match what:
        case "layer":
            path.write_bytes(exr.by_hand(part(*BEAUTY)))
        case "more":
            path.write_bytes(exr.by_hand(part(*BEAUTY, "Z", "depth.Z", "a.X")))
        case "type":
            path.write_bytes(exr.by_hand(Part({n: ramp() for n in (*BEAUTY, "Z")})))
        case "size":
            path.write_bytes(exr.by_hand(Part({n: ramp()[:20] for n in (*BEAUTY, "Z")})))
        case _:
            path.write_bytes(path.read_bytes()[:-1])


ODD = {
    "layer": "shot.0002.exr has no layer Z; it has one without a name.",
    "more": "shot.0002.exr has other layers than shot.0001.exr",
    "type": "shot.0002.exr: its layer without a name has R.G.B.A of half, in shot.0001.exr it has",
    "size": "shot.0002.exr is 64x20, but shot.0001.exr is 64x36",
    "cut": "shot.0002.exr is truncated",
}


@pytest.mark.parametrize("what", ODD)
def test_a_frame_that_differs_is_refused_before_anything_is_written(
    tmp_path: Path, what: str
) -> None:
    names = ("depth.Z",) if what == "more" else ()
    source = sequence(tmp_path / "renders", "shot", *BEAUTY, "Z", *names)
    _odd_frame(source / "shot.0002.exr", what)
    with pytest.raises(MediaError) as e:
        prepare_scene(source, tmp_path / "scene")
    assert ODD[what] in str(e.value)
    assert "\n" not in str(e.value)
    assert list((tmp_path / "scene").glob("*")) == []
