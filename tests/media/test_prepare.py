from __future__ import annotations

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode import EXACT
from cosmos_pipelines.media.prepare import load_scene, prepare_scene
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.segmentation import id_colours
from tests.media import exr_parts as exr
from tests.media import renders
from tests.media.exr_parts import Part


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def decoded(path: Path) -> renders.Array:
    return np.stack(list(pictures_of(path)))


def test_sequences_become_a_scene_that_can_be_loaded(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    told: list[tuple[str, int, int]] = []
    made = prepare_scene(
        source, tmp_path / "city", description="A city", progress=lambda *x: told.append(x)
    )
    assert names(tmp_path / "city") == [
        "color.mp4", "depth.mp4", "scene.json", "segmentation.mp4",
    ]  # fmt: skip
    assert (made["name"], made["description"], made["unchanged"]) == ("city", "A city", False)
    assert (made["frames"], made["width"], made["height"], made["fps"]) == (6, 64, 48, "24")
    scene = load_scene(tmp_path / "city")
    assert list(scene.passes) == ["color", "depth", "segmentation"]
    assert (scene.name, scene.description) == ("city", "A city")
    for name, found in scene.passes.items():
        assert scene.sha256[name] == made["passes"][name]["sha256"] == sha256_of(found.path)
        assert (found.codec, found.frames, found.fps) == ("h264", 6, Fraction(24))
        assert found.color_space == found.color_primaries == found.color_transfer == "bt709"
        last = [x for x in told if x[0] == name][-1]
        assert last[1] == last[2] > 0


def test_scene_json_says_what_from_where_and_with_which_hash(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    made = prepare_scene(source, tmp_path / "city", Asked(fps=Fraction(30)), name="The city")
    record = json.loads((tmp_path / "city/scene.json").read_text())
    assert record == {k: v for k, v in made.items() if k not in ("path", "unchanged")}
    assert record["name"] == "The city"
    assert record["source"] == str(source)
    assert record["created_by"].startswith("cosmos prepare ")
    color = record["passes"]["color"]
    assert (color["file"], color["codec"], color["fps"]) == ("color.mp4", "h264", "30")
    assert color["source"]["files"] == "color.####.png"
    assert (color["source"]["first"], color["source"]["last"]) == (1, 6)
    assert len(color["sha256"]) == len(color["source"]["sha256"]) == 64


def test_segmentation_colours_come_back_exactly_and_the_error_is_said(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    made = prepare_scene(source, tmp_path / "city")
    entry = made["passes"]["segmentation"]
    assert (entry["max_error"], entry["mean_error"]) == (0, 0)
    assert any("differ from the source by at most 0 of 255" in n for n in made["notes"])
    want = np.stack([renders.segments(i) for i in range(6)])
    assert np.array_equal(decoded(tmp_path / "city/segmentation.mp4"), want)


def test_ids_become_distinguishable_colours_that_are_recorded(tmp_path: Path) -> None:
    renders.render(tmp_path / "r")
    ids = np.array([0, 1, 2, 700, 40000], np.uint16)
    renders.sequence(
        tmp_path / "r", "segmentation.%04d.png", lambda i: ids[renders.segments(i)[..., 0] % 5]
    )
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    colours = made["passes"]["segmentation"]["id_colours"]
    assert colours == {str(i): "#" + bytes(id_colours()[i]).hex() for i in ids.tolist()}
    assert colours["0"] == "#000000"
    legend = made["passes"]["segmentation"]["legend"]
    assert {one["name"]: one["color"] for one in legend} == colours
    assert sum(one["area"] for one in legend) == pytest.approx(1)
    assert {one["frames"] for one in legend} == {6}
    assert made["passes"]["segmentation"]["max_error"] == 0
    want = id_colours()[ids[renders.segments(2)[..., 0] % 5]]
    assert np.array_equal(decoded(tmp_path / "city/segmentation.mp4")[2], want)


def test_depth_is_normalised_over_the_clip_with_near_bright(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    made = prepare_scene(source, tmp_path / "city")
    depth = made["passes"]["depth"]["depth"]
    values = np.stack([renders.distance(i) for i in range(6)])
    low, high = int(values.min()), int(values[values < 65535].max())
    assert (depth["value_of_white"], depth["value_of_black"]) == (low, high)
    assert (depth["background_value"], depth["near"]) == (65535, "bright")
    assert depth["background_share"] == pytest.approx(4 / 48, abs=1e-6)
    want = 255 * (high - np.minimum(values, high).astype(float)) / (high - low)
    got = decoded(tmp_path / "city/depth.mp4").astype(float)
    assert np.abs(got - want[..., None])[:, 8:].mean() < 2  # not at the background's edge
    assert got[0, 10:].mean() > got[5, 10:].mean() + 50  # one scale for all frames
    assert got[:, :3].max() < 12


def test_depth_that_grows_towards_the_camera_can_be_said(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    made = prepare_scene(source, tmp_path / "city", Asked(depth_values="nearness"))
    assert made["passes"]["depth"]["depth"]["value_of_white"] == 65535
    assert decoded(tmp_path / "city/depth.mp4")[:, 0].min() > 240


def test_nothing_is_encoded_twice(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    first = prepare_scene(source, tmp_path / "city")
    inodes = {p.name: p.stat().st_ino for p in (tmp_path / "city").iterdir()}
    told: list[str] = []
    again = prepare_scene(source, tmp_path / "city", progress=lambda name, *_: told.append(name))
    assert again == first | {"unchanged": True}
    assert told == []
    assert inodes == {p.name: p.stat().st_ino for p in (tmp_path / "city").iterdir()}


def test_only_a_changed_pass_is_encoded_again(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    first = prepare_scene(source, tmp_path / "city")
    renders.save(source / "color.0003.png", renders.colour(40))
    told: list[str] = []
    again = prepare_scene(source, tmp_path / "city", progress=lambda name, *_: told.append(name))
    assert set(told) == {"color"}
    assert again["unchanged"] is False
    for name in ("depth", "segmentation"):
        assert again["passes"][name] == first["passes"][name]
    assert again["passes"]["color"]["sha256"] != first["passes"]["color"]["sha256"]
    assert load_scene(tmp_path / "city").sha256["color"] == again["passes"]["color"]["sha256"]


def test_another_rate_name_or_a_damaged_result_is_noticed(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "city")
    assert prepare_scene(source, tmp_path / "city", Asked(fps=Fraction(25)))["fps"] == "25"
    inode = (tmp_path / "city/color.mp4").stat().st_ino
    named = prepare_scene(source, tmp_path / "city", Asked(fps=Fraction(25)), name="Town")
    assert (named["name"], named["unchanged"]) == ("Town", False)
    assert (tmp_path / "city/color.mp4").stat().st_ino == inode
    (tmp_path / "city/color.mp4").write_bytes(b"spoilt")
    with pytest.raises(MediaError, match=r"color\.mp4 is there already .* was changed since"):
        prepare_scene(source, tmp_path / "city", Asked(fps=Fraction(25)))
    (tmp_path / "city/color.mp4").unlink()
    assert not prepare_scene(source, tmp_path / "city", Asked(fps=Fraction(25)))["unchanged"]
    assert probe(tmp_path / "city/color.mp4").frames == 6


def test_a_scene_can_be_prepared_in_its_own_directory(tmp_path: Path) -> None:
    scene = renders.render(tmp_path / "city")
    first = prepare_scene(scene, scene)
    assert first["passes"]["color"]["source"]["kind"] == "png"
    assert prepare_scene(scene, scene)["unchanged"]
    (scene / "scene.json").unlink()
    shutil.rmtree(scene)
    renders.render(scene, frames=4)
    assert prepare_scene(scene, scene)["frames"] == 4


def test_a_pass_whose_renders_are_gone_leaves_the_scene(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    prepare_scene(source, tmp_path / "city")
    for path in source.glob("depth.*"):
        path.unlink()
    made = prepare_scene(source, tmp_path / "city")
    assert names(tmp_path / "city") == ["color.mp4", "scene.json", "segmentation.mp4"]
    assert "no depth pass: that control cannot be used" in made["notes"]


def test_good_videos_are_copied_byte_for_byte(tmp_path: Path) -> None:
    renders.video(tmp_path / "r/beauty_v2.mp4")
    renders.video(tmp_path / "r/seg.mp4", picture=renders.segments, coding=EXACT)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert [p["made"] for p in made["passes"].values()] == ["copied", "copied"]
    for a, b in (("beauty_v2.mp4", "color.mp4"), ("seg.mp4", "segmentation.mp4")):
        assert (tmp_path / "r" / a).read_bytes() == (tmp_path / "city" / b).read_bytes()


def test_videos_that_are_a_scene_already_stay_where_they_are(tmp_path: Path) -> None:
    renders.video(tmp_path / "city/color.mp4")
    renders.video(tmp_path / "city/depth.mp4")
    inode = (tmp_path / "city/color.mp4").stat().st_ino
    made = prepare_scene(tmp_path / "city", tmp_path / "city")
    assert made["passes"]["color"]["made"] == "kept"
    assert (tmp_path / "city/color.mp4").stat().st_ino == inode
    assert prepare_scene(tmp_path / "city", tmp_path / "city")["unchanged"]
    (tmp_path / "city/depth.mp4").unlink()
    assert list(prepare_scene(tmp_path / "city", tmp_path / "city")["passes"]) == ["color"]


def test_other_codecs_are_encoded_anew_at_their_own_rate(tmp_path: Path) -> None:
    import av

    (tmp_path / "r").mkdir()
    with av.open(str(tmp_path / "r/color.mov"), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(6):
            frame = av.VideoFrame.from_ndarray(renders.colour(i), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    renders.sequence(tmp_path / "r", "depth/%04d.png", renders.distance)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert made["fps"] == "30000/1001"
    color = made["passes"]["color"]
    assert (color["made"], color["codec"], color["color_space"]) == ("encoded", "h264", "bt709")
    assert made["passes"]["depth"]["fps"] == "30000/1001"
    assert any("no colour tags" in n for n in made["notes"])
    before = decoded(tmp_path / "r/color.mov").astype(int)
    assert np.abs(decoded(tmp_path / "city/color.mp4") - before).mean() < 4


def test_odd_sizes_are_cropped_alike_and_it_is_said(tmp_path: Path) -> None:
    renders.render(tmp_path / "r", width=65, height=49)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert (made["width"], made["height"]) == (64, 48)
    assert "cropped from 65x49 to 64x48: H.264 needs even sizes" in made["notes"]
    assert len({(p["width"], p["height"]) for p in made["passes"].values()}) == 1
    assert made["passes"]["segmentation"]["max_error"] == 0


def test_alpha_16_bits_and_other_starts_are_noted(tmp_path: Path) -> None:
    def wide(i: int) -> renders.Array:
        alpha = np.full((48, 64, 1), 65535, np.uint16)
        return np.concatenate([renders.colour(i).astype(np.uint16) * 257, alpha], axis=2)

    renders.sequence(tmp_path / "r", "beauty.%04d.png", wide, range(1001, 1007))
    renders.sequence(tmp_path / "r", "depth.%04d.png", renders.distance)
    renders.sequence(tmp_path / "r", "normals.%04d.png", renders.colour)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert "beauty.####.png: its alpha was laid over black" in made["notes"]
    assert "beauty.####.png: 16 bits were rounded to 8" in made["notes"]
    assert "numbering starts at 1 and 1001: frames are paired in order" in made["notes"]
    assert "no rate was given: 24 frames a second" in made["notes"]
    assert made["ignored"] == ["normals.####.png"]


def test_the_same_renders_give_the_same_bytes(tmp_path: Path) -> None:
    source = renders.render(tmp_path / "renders")
    one = prepare_scene(source, tmp_path / "one")
    for path in source.iterdir():
        os.utime(path, (1, 1))
    two = prepare_scene(source, tmp_path / "two")
    for name, entry in one["passes"].items():
        assert entry["sha256"] == two["passes"][name]["sha256"]
        assert entry["source"] == two["passes"][name]["source"]
    assert load_scene(tmp_path / "one").digest == load_scene(tmp_path / "two").digest


def test_an_option_makes_only_those_passes_anew_that_depend_on_it(tmp_path: Path) -> None:
    source, dest = tmp_path / "renders", tmp_path / "city"
    for i in range(3):
        ramp = np.add.outer(np.arange(48), np.arange(64)) / 50 + 1 + i
        values = {**dict.fromkeys(("R", "G", "B"), ramp / 5), "Z": ramp, "id": np.rint(ramp)}
        exr.write(source / f"shot.{i:04}.exr", Part(values, {"Z": "float", "id": "uint"}))
    first = prepare_scene(source, dest)["passes"]
    options: dict[str, tuple[dict[str, Any], set[str]]] = {
        "exposure": ({"exposure": 1.0}, {"color"}),
        "space": ({"exposure": 1.0, "colorspace_else": "acescg"}, {"color"}),
        "near": ({"exposure": 1.0, "near": 0.5}, {"color", "depth"}),
        "rate": ({"exposure": 1.0, "near": 0.5, "fps": Fraction(24)}, set()),
        "segments": ({"exposure": 1.0, "near": 0.5, "segments": "objects"}, {"segmentation"}),
        "back": ({}, {"color", "depth", "segmentation"}),
        "other rate": ({"fps": Fraction(30)}, {"color", "depth", "segmentation"}),
    }
    for name, (given, remade) in options.items():
        inodes = {p.stem: p.stat().st_ino for p in dest.glob("*.mp4")}
        told: set[str] = set()
        made = prepare_scene(source, dest, Asked(**given), progress=lambda n, *_, t=told: t.add(n))
        new = {p.stem for p in dest.glob("*.mp4") if p.stat().st_ino != inodes[p.stem]}
        assert (told, new, made["unchanged"]) == (remade, remade, False), name
        assert prepare_scene(source, dest, Asked(**given))["unchanged"], name
        if name == "back":
            assert [e["sha256"] for e in made["passes"].values()] == [
                e["sha256"] for e in first.values()
            ]


def test_another_layer_of_the_same_files_is_another_pass(tmp_path: Path) -> None:
    source, dest, told = tmp_path / "renders", tmp_path / "city", set[str]()
    ramp = np.add.outer(np.arange(48), np.arange(64)) / 50 + 1
    values = {**dict.fromkeys(("R", "G", "B"), ramp / 5), "a.Z": ramp, "b.Z": ramp[::-1]}
    exr.write(source / "shot.0001.exr", Part(values, {"a.Z": "float", "b.Z": "float"}))
    prepare_scene(source, dest, Asked(passes=("depth=a",)))
    prepare_scene(
        source, dest, Asked(passes=("depth=b",)), progress=lambda name, *_: told.add(name)
    )
    assert told == {"depth"}


def test_copied_files_are_not_encoded_again_with_an_option_of_another_pass(tmp_path: Path) -> None:
    source, told = renders.render(tmp_path / "renders"), set[str]()
    prepare_scene(source, tmp_path / "city")
    for path in source.iterdir():
        os.utime(path, ns=(1, 1))
    given = Asked(depth_values="nearness")
    prepare_scene(source, tmp_path / "city", given, progress=lambda name, *_: told.add(name))
    assert told == {"depth"}
