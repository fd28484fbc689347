"""`prepare` makes plain videos of what players show, and says what it did."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode import EXACT, encode
from cosmos_pipelines.media.prepare import load_scene, prepare_scene
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.shown import Shown
from tests.media import renders
from tests.media.foreign import ffmpeg, foreign
from tests.media.otherwise import HLG, interlaced, turned, wide

LEFT = (0, -1, 1, 0)


def test_a_turned_video_is_prepared_upright_and_it_is_said(tmp_path: Path) -> None:
    turned(tmp_path / "r/color.mov", LEFT, frames=6)
    renders.sequence(tmp_path / "r", "depth.%04d.png", renders.distance, width=48, height=64)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert (made["width"], made["height"]) == (48, 64)
    assert "color.mov: turned left by 90 degrees, as players show it" in made["notes"]
    color = made["passes"]["color"]
    assert color["source"]["changes"] == ["turned left by 90 degrees"]
    assert (color["made"], color["width"], color["height"]) == ("encoded", 48, 64)
    found = probe(tmp_path / "city/color.mp4")
    assert found.shown == Shown()
    pairs = zip(pictures_of(found.path), pictures_of(tmp_path / "r/color.mov"), strict=True)
    assert max(np.abs(a.astype(int) - b).mean() for a, b in pairs) < 4


def test_an_hdr_video_is_written_as_the_bt709_that_its_flags_say(tmp_path: Path) -> None:
    light = np.full((48, 64, 3), 0.18)
    wide(tmp_path / "r/color.mp4", light, HLG)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    said = "color.mp4: tone-mapped from HDR (HLG) to BT.709, as players show it"
    assert said in made["notes"]
    found = probe(tmp_path / "city/color.mp4")
    assert found.color_primaries == found.color_transfer == found.color_space == "bt709"
    assert (found.pix_fmt, found.shown) == ("yuv420p", Shown())


def test_an_interlaced_and_stretched_video_loses_no_frame(tmp_path: Path) -> None:
    path = interlaced(tmp_path / "a.mp4", frames=7)
    aspect = "h264_metadata=sample_aspect_ratio=8/9"
    (tmp_path / "r").mkdir()
    ffmpeg("-i", path, "-c", "copy", "-bsf:v", aspect, tmp_path / "r/color.mp4")
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert (made["frames"], made["width"], made["height"]) == (7, 56, 48)
    assert made["passes"]["color"]["source"]["changes"] == [
        "deinterlaced",
        "stretched to square pixels (they are 8:9)",
    ]


@pytest.mark.parametrize("name", ["depth", "segmentation", "edge"])
def test_values_are_neither_deinterlaced_nor_tone_mapped(tmp_path: Path, name: str) -> None:
    renders.video(tmp_path / "r/color.mp4", frames=2)
    interlaced(tmp_path / f"r/{name}.mp4", frames=2)
    with pytest.raises(MediaError, match=rf"{name}\.mp4 is interlaced: .* change its values"):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    wide(tmp_path / f"r/{name}.mp4", np.full((48, 64, 3), 0.5), HLG)
    with pytest.raises(MediaError, match=rf"{name}\.mp4 is flagged as HDR \(HLG\)"):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    assert not (tmp_path / "city").exists()


def test_what_is_shown_as_it_lies_is_still_copied(tmp_path: Path) -> None:
    renders.video(tmp_path / "r/color.mp4")
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert made["passes"]["color"]["made"] == "copied"
    assert made["passes"]["color"]["source"]["changes"] == []


def test_a_turned_video_that_lies_in_the_scene_gets_an_upright_one_beside_it(
    tmp_path: Path,
) -> None:
    source = turned(tmp_path / "city/color.mp4", LEFT)
    before = source.read_bytes()
    scene = load_scene(tmp_path / "city")
    assert (scene.color.width, scene.color.height) == (48, 64)
    assert scene.color.path.name == "color.prepared.mp4"
    assert source.read_bytes() == before
    inode = scene.color.path.stat().st_ino
    assert load_scene(tmp_path / "city").digest == scene.digest
    assert prepare_scene(tmp_path / "city", tmp_path / "city")["unchanged"]
    assert scene.color.path.stat().st_ino == inode


def test_the_upright_one_follows_its_source_and_what_was_asked(tmp_path: Path) -> None:
    city = tmp_path / "city"
    turned(city / "color.mp4", LEFT)
    prepare_scene(city, city, Asked(fps=Fraction(30)))
    assert load_scene(city).fps == 30
    first = load_scene(city).digest
    turned(city / "color.mp4", (-1, 0, 0, -1), frames=5)
    again = load_scene(city)
    assert (again.color.frames, again.color.width, again.fps) == (5, 64, 30)
    assert again.digest != first
    renders.video(city / "color.mp4", fps=30)
    os.utime(city / "color.mp4", (1, 1))
    plain = load_scene(city)
    assert (plain.color.path.name, plain.color.frames) == ("color.mp4", 6)
    assert sorted(p.name for p in city.iterdir()) == ["color.mp4", "scene.json"]


def test_the_upright_one_is_enough_where_its_source_was_deleted(tmp_path: Path) -> None:
    turned(tmp_path / "city/color.mp4", LEFT)
    digest = load_scene(tmp_path / "city").digest
    (tmp_path / "city/color.mp4").unlink()
    assert load_scene(tmp_path / "city").digest == digest


def test_a_turned_pass_beside_an_upright_one_is_prepared_alone(tmp_path: Path) -> None:
    city = tmp_path / "city"
    renders.video(city / "color.mp4", frames=3)
    turned(city / "depth.mp4", (-1, 0, 0, -1))
    color = (city / "color.mp4").read_bytes()
    scene = load_scene(city)
    names = {name: p.path.name for name, p in scene.passes.items()}
    assert names == {"color": "color.mp4", "depth": "depth.prepared.mp4"}
    assert (city / "color.mp4").read_bytes() == color


@pytest.mark.parametrize("numbers", [range(1001, 1013, 2), range(-9, 9, 3)])
def test_a_step_is_taken_when_asked_and_said(tmp_path: Path, numbers: range) -> None:
    step = numbers.step
    renders.sequence(tmp_path / "r", "color.%05d.png", renders.colour, numbers)
    renders.sequence(tmp_path / "r", "depth.%05d.png", renders.distance, numbers)
    said = (
        rf"color\.####\.png lacks .*; depth.*one frame in {step} was rendered, say `--step {step}`"
    )
    with pytest.raises(MediaError, match=said):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(step=step))
    assert made["frames"] == len(numbers)
    note = f"color.####.png: its numbers go in steps of {step}: the frames play one after the other"
    assert note in made["notes"]
    assert made["passes"]["color"]["source"]["step"] == step
    assert made["asked"]["step"] == step


def test_what_is_missing_from_a_step_is_named(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, [1, 3, 9, 11, 15])
    with pytest.raises(MediaError, match=r"color\.####\.png lacks 5-7 by 2, 13\. Render them"):
        prepare_scene(tmp_path / "r", tmp_path / "city", Asked(step=2))


def test_a_sequence_that_does_not_go_in_the_step_is_refused(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour)
    with pytest.raises(MediaError, match=r"goes from 1 to 2, not in steps of 2\. Leave `--step 2`"):
        prepare_scene(tmp_path / "r", tmp_path / "city", Asked(step=2))


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"depth_values": "far"}, "depth_values 'far' is none of 'distance', 'nearness'"),
        ({"depth_values": "Distance"}, "depth_values 'Distance' is none of 'distance', 'nearness'"),
        ({"depth_values": None}, "depth_values None is none of"),
        ({"depth_values": ["distance"]}, "depth_values ['distance'] is none of"),
        ({"depth_holes": "FAR"}, "depth_holes 'FAR' is none of 'far', 'near', 'none', None"),
        ({"step": 0}, "step 0 is no whole number from 1 on"),
        ({"step": True}, "step True is no whole number"),
        ({"step": 1.5}, "step 1.5 is no whole number"),
        ({"fps": Fraction(0)}, "fps 0 is no rate"),
    ],
)
def test_an_argument_that_does_not_exist_is_named_with_the_choices(
    tmp_path: Path, argument: dict[str, object], said: str
) -> None:
    renders.render(tmp_path / "r")
    with pytest.raises(InputError) as e:
        prepare_scene(tmp_path / "r", tmp_path / "city", Asked(**argument))  # type: ignore[arg-type]
    assert said in str(e.value)
    assert not (tmp_path / "city").exists()


def depth_notes(directory: Path, pixels: renders.Array, **how: object) -> list[str]:
    renders.sequence(directory / "r", "color.%04d.png", renders.colour, [1])
    renders.sequence(directory / "r", "depth.%04d.png", lambda i: pixels, [1])
    made = prepare_scene(directory / "r", directory / "city", Asked(**how))  # type: ignore[arg-type]
    return [n.partition(": ")[2] for n in made["notes"] if n.startswith("depth.")]


def test_holes_outliers_and_transparency_of_depth_are_said(tmp_path: Path) -> None:
    pixels = renders.distance(0)
    pixels[4:] += 500
    pixels[10:13, 10:20] = 0
    pixels[40, 40] = 60000
    alpha = np.full_like(pixels, 65535)
    alpha[20, :32] = 0
    notes = depth_notes(tmp_path, np.stack([pixels, alpha], axis=-1))
    assert (
        "1.0 % of its pixels are 0, which stands for nothing measured: they became the farthest"
        in notes
    )
    assert "1.0 % of its pixels are transparent: they became the farthest" in notes
    assert any("0.033 % of its pixels are outliers (values from" in n for n in notes), notes


def test_holes_can_be_asked_to_be_near(tmp_path: Path) -> None:
    pixels = renders.distance(0)
    pixels[24:36, :] = 0
    notes = depth_notes(tmp_path, pixels, depth_holes="near")
    assert (
        "25.0 % of its pixels are 0, which stands for nothing measured: they became the nearest"
        in notes
    )
    assert next(pictures_of(tmp_path / "city/depth.mp4"))[28:32].min() > 240


def test_constant_depth_is_said(tmp_path: Path) -> None:
    [note] = depth_notes(tmp_path, np.full((48, 64), 700, np.uint16))
    assert note == "every depth is 700: the same grey everywhere, so this control says nothing"


def test_two_ids_of_16_bits_beside_alpha_stay_two(tmp_path: Path) -> None:
    ids = np.full((48, 64), 1000, np.uint16)
    ids[:, 32:] = 1001
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, [1])
    pixels = np.stack([ids, np.full_like(ids, 65535)], axis=-1)
    renders.sequence(tmp_path / "r", "segmentation.%04d.png", lambda i: pixels, [1])
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert set(made["passes"]["segmentation"]["id_colours"]) == {"1000", "1001"}
    picture = next(pictures_of(tmp_path / "city/segmentation.mp4"))
    assert (picture[0, 0] != picture[0, 63]).any()


def with_rate(path: Path, rate: str, frames: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fps = Fraction(rate)
    encode((renders.colour(i) for i in range(frames)), path, fps=fps)
    assert probe(path).written_fps == fps
    return path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("30000/1001", "2997/100"),
        ("24000/1001", "2997/125"),
        ("24000/1001", "2398/100"),
        ("60000/1001", "2997/50"),
    ],
)
def test_one_rate_in_two_spellings_is_one_rate(tmp_path: Path, one: str, other: str) -> None:
    with_rate(tmp_path / "r/color.mp4", one)
    with_rate(tmp_path / "r/depth.mp4", other)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert made["fps"] == one
    assert {p["made"] for p in made["passes"].values()} == {"copied"}
    said = f"depth.mp4: {Fraction(other)} frames a second is another way to write {one}"
    assert said in made["notes"]
    assert load_scene(tmp_path / "city").fps == Fraction(one)
    assert load_scene(tmp_path / "r").fps == Fraction(one)


def test_24_and_23_976_are_two_rates_until_one_is_wanted(tmp_path: Path) -> None:
    with_rate(tmp_path / "r/color.mp4", "24000/1001")
    with_rate(tmp_path / "r/depth.mp4", "24")
    with pytest.raises(MediaError, match=r"differ in rate: .* shall play: `--fps RATE`"):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(fps=Fraction(24)))
    assert {p["fps"] for p in made["passes"].values()} == {"24"}


def test_a_wanted_rate_plays_the_same_frames_of_a_video(tmp_path: Path) -> None:
    with_rate(tmp_path / "r/color.mp4", "30000/1001", frames=30)
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(fps=Fraction(30)))
    assert (made["fps"], made["frames"]) == ("30", 30)
    assert (
        "color.mp4: the same 30 frames play at 30 a second instead of 30000/1001: "
        "1.001 s become 1.000 s" in made["notes"]
    )
    pairs = zip(
        pictures_of(tmp_path / "r/color.mp4"), pictures_of(tmp_path / "city/color.mp4"), strict=True
    )
    assert max(np.abs(a.astype(int) - b).mean() for a, b in pairs) < 4


@pytest.mark.parametrize("kind", ["h264.mp4", "h264.mkv", "vp9.webm"])
def test_a_rate_that_varies_becomes_constant_with_the_same_frames_and_it_is_said(
    tmp_path: Path, kind: str
) -> None:
    jitter = "settb=1/90000,setpts=N*3000+1200*mod(N*N\\,3)"
    path = foreign(
        tmp_path / "r",
        kind,
        frames=30,
        rate="30",
        filters=jitter,
        options=("-fps_mode", "vfr", "-enc_time_base", "1/90000"),
    )
    found = probe(path, deep=True)
    assert (found.steady, found.frames) == (False, 30)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert made["frames"] == 30
    assert made["fps"] in ("30", "30000/1001")
    [note] = [n for n in made["notes"] if "its rate varies" in n]
    assert f"the same 30 frames play at a constant {made['fps']} a second" in note
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(fps=Fraction(25)))
    assert (made["frames"], made["fps"]) == (30, "25")


def test_a_rate_that_only_a_container_of_milliseconds_rounds_is_constant(tmp_path: Path) -> None:
    for kind in ("h264.mkv", "vp9.webm", "mpeg4.avi", "prores.mov"):
        for rate in ("24", "30000/1001", "60000/1001"):
            found = probe(foreign(tmp_path, kind, frames=12, rate=rate), deep=True)
            assert (found.steady, found.fps) == (True, Fraction(rate)), (kind, rate)


def test_a_sequence_beside_a_video_takes_its_rate(tmp_path: Path) -> None:
    with_rate(tmp_path / "r/color.mp4", "2997/100")
    renders.sequence(tmp_path / "r", "depth.%04d.png", renders.distance)
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert {p["fps"] for p in made["passes"].values()} == {"30000/1001"}


def test_pictures_that_are_to_be_shown_otherwise_are_refused_by_name(tmp_path: Path) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour)
    data = renders.png(renders.colour(2), 8, renders.RGB, [(b"cICP", b"\x09\x10\x00\x01")])
    (tmp_path / "r/color.0003.png").write_bytes(data)
    with pytest.raises(MediaError, match=r"color\.0003\.png is coded for HDR \(PQ\)\. Render"):
        prepare_scene(tmp_path / "r", tmp_path / "city")


def test_a_segmentation_video_is_turned_without_a_new_colour(tmp_path: Path) -> None:
    flat = tmp_path / "flat.mp4"
    renders.video(flat, picture=renders.segments, frames=3, coding=EXACT)
    turned(tmp_path / "r/color.mp4", LEFT)
    ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v:0", "rotate=90", tmp_path / "r/seg.mp4")
    made = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert made["passes"]["segmentation"]["max_error"] == 0
    before = next(pictures_of(flat))
    after = next(pictures_of(tmp_path / "city/segmentation.mp4"))
    assert {c.tobytes() for c in before.reshape(-1, 3)} == {
        c.tobytes() for c in after.reshape(-1, 3)
    }
