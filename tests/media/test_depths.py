"""Depth in floats, metres, codes: whatever the files hold becomes one grey video."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.depths.reader import DepthReader
from cosmos_pipelines.media.depths.told import depth_notes
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.readers.picture import read_facts
from cosmos_pipelines.media.scene_file import read_scene_file
from cosmos_pipelines.media.sequence import Pass
from cosmos_pipelines.media.sources import look_at
from tests.media import renders
from tests.media.renders import Array

WIDTH, HEIGHT = 64, 36


def slope(near: float = 2.0, far: float = 20.0) -> Array:
    """Distances that rise from left to right, (HEIGHT, WIDTH) float32."""
    return np.tile(np.linspace(near, far, WIDTH, dtype=np.float32), (HEIGHT, 1))


def exr(path: Path, values: Array, kind: str = "float", channel: str = "Z") -> None:
    spec = oiio.ImageSpec(values.shape[1], values.shape[0], 1, kind)
    spec.channelnames = (channel,)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec)
    assert out.write_image(values[..., None].astype(np.float32))
    out.close()


def half_exr(path: Path, values: Array) -> None:
    exr(path, values, "half")


def npy(path: Path, values: Array) -> None:
    np.save(path, values)


def png(path: Path, values: Array) -> None:
    renders.save(path, values)


Write = Callable[[Path, Array], None]


def source_of(
    directory: Path, frames: Sequence[Array], write: Write = npy, meaning: str = ""
) -> Any:
    suffix = "exr" if write in (exr, half_exr) else write.__name__
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for i, values in enumerate(frames):
        files.append(directory / f"depth.{i:04d}.{suffix}")
        write(files[-1], values)
    kind = "png" if write is png else "pictures"
    layers = () if write is png else (read_facts(files[0]).layers[0].name,)
    one = Pass(
        "depth", kind, f"depth.####.{suffix}", tuple(files), tuple(range(len(files))),  # type: ignore[arg-type]
        layers=layers, meaning=meaning,
    )  # fmt: skip
    return look_at([one])[0]


def read(
    directory: Path, frames: Sequence[Array], write: Write = npy, meaning: str = "", **asked: Any
) -> tuple[list[Array], dict[str, Any], list[str]]:
    """The greys, the facts and the notes of frames."""
    source = source_of(directory, frames, write, meaning)
    reader = DepthReader.of(source, Asked(**asked), lambda: None)
    greys = [reader.read(path) for path in source.found.files]
    facts = reader.facts()["depth"]
    json.dumps(facts, allow_nan=False)
    return greys, facts, depth_notes(facts)


def refused(directory: Path, frames: Sequence[Array], **how: Any) -> str:
    with pytest.raises(MediaError) as e:
        read(directory, frames, **how)
    assert "\n" not in str(e.value)
    return str(e.value)


@pytest.mark.parametrize("write", [exr, half_exr, npy])
def test_near_is_white_and_far_is_black_over_the_whole_clip(tmp_path: Path, write: Write) -> None:
    (first, second), facts, notes = read(tmp_path, [slope(2, 10), slope(4, 20)], write)
    assert (first[0, 0], second[0, -1]) == (255, 0)
    assert (facts["value_of_white"], facts["value_of_black"]) == (2, 20)
    assert first[0, -1] == round(255 * (20 - 10) / 18)
    assert notes == ["larger values are farther; 2 became white (near), 20 black"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1e10, "1e10"),
        (np.inf, "infinite"),
        (-np.inf, "infinite"),
        (np.nan, "no numbers (NaN)"),
        (3.4e38, "more than 1e9"),
        (-1, "-1"),
        (1000, "the far clip at 1000"),
    ],
)
@pytest.mark.parametrize("write", [exr, npy])
def test_what_means_nothing_hit_is_black_told_and_takes_no_range(
    tmp_path: Path, write: Write, value: float, said: str
) -> None:
    frame = slope()
    frame[:9] = value
    (grey,), facts, notes = read(tmp_path, [frame], write)
    assert (grey[:9] == 0).all()
    assert (facts["value_of_white"], facts["value_of_black"]) == (2, 20)
    assert facts["nothing_hit"] == {said: 0.25}
    assert facts["background_share"] == 0.25
    assert f"25.0 % of its pixels are {said}, which stands for nothing hit: black" in notes
    clean, _, _ = read(tmp_path / "clean", [slope()], write)
    assert (grey[9:] == clean[0][9:]).all()


def test_zeros_of_floats_are_holes(tmp_path: Path) -> None:
    frame = slope()
    frame[:9] = 0
    (grey,), facts, _ = read(tmp_path, [frame])
    assert (grey[:9] == 0).all()
    assert (facts["holes_share"], facts["value_of_white"]) == (0.25, 2)
    (grey,), _, _ = read(tmp_path / "near", [frame], depth_holes="near")
    assert (grey[:9] == 255).all()


def test_a_wall_behind_the_scene_is_no_far_clip(tmp_path: Path) -> None:
    frame = slope(1, 20)
    frame[:9] = 30
    _, facts, _ = read(tmp_path, [frame])
    assert (facts["value_of_black"], facts["nothing_hit"]) == (30, {})


def test_the_value_that_the_user_names_means_nothing_hit(tmp_path: Path) -> None:
    frame = slope()
    frame[:9] = 21
    (grey,), facts, _ = read(tmp_path, [frame], background=21)
    assert (facts["value_of_black"], facts["nothing_hit"]) == (20, {"21": 0.25})
    assert (grey[:9] == 0).all()


def test_a_named_background_that_is_not_there_is_told(tmp_path: Path) -> None:
    source = source_of(tmp_path, [slope()])
    reader = DepthReader.of(source, Asked(background=99), lambda: None)
    assert reader.notes() == ["depth.####.npy: no pixel is 99, which `--background` names"]


def test_an_angle_of_view_for_planar_depth_is_refused(tmp_path: Path) -> None:
    assert "is of use for radial depth only" in refused(tmp_path, [slope()], fov=60)


def test_an_option_that_says_nothing_of_a_video_is_told(tmp_path: Path) -> None:
    renders.video(tmp_path / "r" / "color.mp4")
    renders.video(tmp_path / "r" / "depth.mp4")
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(near=1, depth_values="radial"))
    said = "depth.mp4: --near and --depth say nothing of a video and were not used"
    assert said in made["notes"]


def test_radial_depth_is_made_anew_when_its_camera_is_another(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    params = {"cameraAperture": [20.0, 15.0], "cameraFocalLength": 10.0}
    camera = tmp_path / "r" / "camera_params_0001.json"
    camera.write_text(json.dumps(params), encoding="utf-8")
    renders.sequence(
        tmp_path / "r", "rgb_%04d.png", renders.colour, [1], width=WIDTH, height=HEIGHT
    )
    npy(tmp_path / "r" / "distance_to_camera_0001.npy", slope())
    first = prepare_scene(tmp_path / "r", tmp_path / "city")
    assert prepare_scene(tmp_path / "r", tmp_path / "city")["unchanged"]
    camera.write_text(json.dumps({**params, "cameraFocalLength": 20.0}), encoding="utf-8")
    again = prepare_scene(tmp_path / "r", tmp_path / "city")
    angles = [made["passes"]["depth"]["depth"]["fov_degrees"] for made in (first, again)]
    assert angles == [pytest.approx(90), pytest.approx(53.13, abs=0.01)]


def test_a_few_outliers_do_not_take_the_range_and_are_told(tmp_path: Path) -> None:
    frame = slope()
    frame[3, 3] = 5000
    (grey,), facts, notes = read(tmp_path, [frame])
    assert (facts["value_of_black"], facts["highest_value"]) == (20, 5000)
    assert grey[3, 3] == 0
    assert any("0.043 % of its pixels are outliers (values from 2 to 5000)" in n for n in notes)


def test_a_range_that_leaves_most_of_the_clip_one_grey_is_told(tmp_path: Path) -> None:
    frame = slope()
    frame[:2] = np.geomspace(1e3, 1e6, 2 * WIDTH).reshape(2, WIDTH)  # an edge mixed with 1e10
    _, _, notes = read(tmp_path, [frame])
    assert any("of its depths became nearly one grey; `--near` and `--far`" in n for n in notes)
    _, _, notes = read(tmp_path / "given", [frame], far=20)
    assert not any("one grey" in n for n in notes)


def test_a_range_that_is_given_is_kept_and_what_lies_outside_is_told(tmp_path: Path) -> None:
    (grey,), facts, notes = read(tmp_path, [slope(0.5, 30)], near=2, far=20)
    assert (facts["value_of_white"], facts["value_of_black"]) == (2, 20)
    assert (grey[slope(0.5, 30) <= 2] == 255).all()
    assert (grey[slope(0.5, 30) >= 20] == 0).all()
    assert "2 became white (near), 20 black, as asked; the clip goes from 0.5 to 30" in notes[0]
    assert "of its pixels lie outside of that range" in notes[1]


def test_one_given_end_leaves_the_other_as_measured(tmp_path: Path) -> None:
    _, facts, _ = read(tmp_path, [slope()], far=100)
    assert (facts["value_of_white"], facts["value_of_black"]) == (2, 100)


def test_two_clips_with_one_given_range_are_comparable(tmp_path: Path) -> None:
    (one,), _, _ = read(tmp_path / "1", [slope(1, 9)], near=1, far=50)
    (two,), _, _ = read(tmp_path / "2", [slope(5, 40)], near=1, far=50)
    both = np.concatenate([slope(1, 9)[0], slope(5, 40)[0]])
    greys = np.concatenate([one[0], two[0]]).astype(int)
    assert (np.diff(greys[np.argsort(both)]) <= 0).all()


def test_a_range_in_which_nothing_lies_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, [slope()], near=100, far=200)
    assert "nothing lies within --near 100 and --far 200: its depths go from 2 to 20" in said


def test_inverse_depth_is_bright_where_it_is_large_and_takes_a_range_in_metres(
    tmp_path: Path,
) -> None:
    (grey,), facts, _ = read(tmp_path, [1 / slope()], depth_values="inverse")
    assert (grey[0, 0], grey[0, -1], facts["unit"]) == (255, 0, "1/m")
    _, facts, _ = read(tmp_path / "0", [1 / slope()], meaning="inverse", near=0, far=10)
    assert facts["value_of_white"] == 0.5
    (grey,), facts, _ = read(tmp_path / "m", [1 / slope()], meaning="inverse", near=4, far=10)
    assert (facts["value_of_white"], facts["value_of_black"]) == (0.25, 0.1)
    assert grey[0, 0] == 255


def test_no_disparity_is_far(tmp_path: Path) -> None:
    frame = 1 / slope()
    frame[:9] = 0
    frame[9:12] = np.inf
    (grey,), _, _ = read(tmp_path, [frame], depth_values="nearness")
    assert (grey[:12] == 0).all()
    assert grey[-1, 0] == 255


def test_normalised_mist_keeps_its_far_end(tmp_path: Path) -> None:
    frame = slope(0.1, 1)
    frame[:9] = 1
    (grey,), facts, _ = read(tmp_path, [frame], meaning="normalised")
    assert (grey[:9] == 0).all()
    assert facts["value_of_black"] == 1


@pytest.mark.parametrize("write", [exr, png])
def test_of_normalised_depth_of_v_ray_it_must_be_said_which_end_is_near(
    tmp_path: Path, write: Write
) -> None:
    top = 1 if write is exr else 200
    frames = [slope(0, top)] if write is exr else [slope(0, top).astype(np.uint8)]
    said = refused(tmp_path, frames, write=write, meaning="vray")
    assert "near may be white (3ds Max, Rhino, SketchUp) or black" in said
    near = read(tmp_path / "a", frames, write, "vray", depth_values="nearness")[0][0]
    far = read(tmp_path / "b", frames, write, "vray", depth_values="planar", depth_holes="none")[0][
        0
    ]
    assert (near[0, 0], near[0, -1], far[0, 0], far[0, -1]) == (0, 255, 255, 0)
    metres = read(tmp_path / "c", [slope(2, 30)], exr, "vray")[0][0]
    assert (metres[0, 0], metres[0, -1]) == (255, 0)


@pytest.mark.parametrize("write", [npy, png])
def test_millimetres_give_the_grey_of_metres(tmp_path: Path, write: Write) -> None:
    millimetres = np.rint(slope() * 1000).astype(np.uint16)
    millimetres[0, :5] = 65535
    millimetres[1, :5] = 0
    metres = millimetres.astype(np.float32) / 1000
    metres[0, :5] = np.inf
    (of_mm,), facts, notes = read(tmp_path, [millimetres], write, depth_values="millimetres")
    (of_m,), _, _ = read(tmp_path / "m", [metres], depth_values="planar")
    assert np.abs(of_mm.astype(int) - of_m).max() <= 1
    assert (facts["value_of_white"], facts["unit"]) == (2, "m")
    assert facts["nothing_hit"] == {"65535": pytest.approx(5 / 36 / 64, abs=1e-6)}
    assert "read as millimetres" in notes
    assert "larger values are farther; 2 m became white (near), 20 m black" in notes


def carla(metres: Array) -> Array:
    """CARLA's code of distances up to 1000 m, (height, width, 3) uint8."""
    codes = np.rint(metres.astype(np.float64) / 1000 * (256**3 - 1)).astype(np.uint32)
    return np.stack([codes & 255, codes >> 8 & 255, codes >> 16], -1).astype(np.uint8)


@pytest.mark.parametrize("how", [{"meaning": "carla"}, {"depth_values": "carla"}], ids=str)
def test_depth_of_carla_is_decoded_to_metres(tmp_path: Path, how: dict[str, str]) -> None:
    frame = slope()
    frame[:9] = 1000
    (grey,), facts, notes = read(tmp_path, [carla(frame)], png, **how)  # type: ignore[arg-type]
    (of_metres,), _, _ = read(tmp_path / "m", [frame])
    assert np.abs(grey.astype(int) - of_metres).max() <= 1
    assert facts["value_of_black"] == pytest.approx(20, abs=1e-4)
    assert (facts["nothing_hit"], facts["unit"]) == ({"1000 m": 0.25}, "m")
    assert "read as CARLA's depth, metres in the three colours" in notes


def test_grey_is_no_depth_of_carla(tmp_path: Path) -> None:
    frame = np.rint(slope()).astype(np.uint16)
    said = refused(tmp_path, [frame], write=png, depth_values="carla")
    assert "is no depth of CARLA, which is 8-bit RGB" in said


def radial_of(planar: Array, fov: float) -> Array:
    """The distances to the camera's point, pixel by pixel."""
    focal = planar.shape[1] / 2 / np.tan(np.radians(fov) / 2)
    made = np.empty_like(planar)
    for y in range(planar.shape[0]):
        for x in range(planar.shape[1]):
            dx, dy = x + 0.5 - planar.shape[1] / 2, y + 0.5 - planar.shape[0] / 2
            made[y, x] = planar[y, x] * np.sqrt(focal**2 + dx**2 + dy**2) / focal
    return made


def test_radial_depth_is_converted_with_the_angle_that_is_given(tmp_path: Path) -> None:
    planar = slope()
    planar[:3] = np.inf
    (grey,), facts, notes = read(tmp_path, [radial_of(planar, 90)], depth_values="radial", fov=90)
    (wanted,), _, _ = read(tmp_path / "planar", [planar])
    assert np.abs(grey.astype(int) - wanted).max() <= 1
    assert facts["value_of_black"] == pytest.approx(20, rel=1e-5)
    assert "horizontal angle of view of 90 degrees" in notes[0]


def test_radial_depth_is_converted_with_the_camera_that_replicator_left(tmp_path: Path) -> None:
    params = {
        "cameraAperture": [20.0, 15.2908],
        "cameraFocalLength": 10.0,
        "cameraModel": "pinhole",
        "metersPerSceneUnit": 1.0,
    }
    (tmp_path / "camera_params_0000.json").write_text(json.dumps(params), encoding="utf-8")
    _, facts, _ = read(tmp_path, [radial_of(slope(), 90)], meaning="radial")
    assert facts["fov_degrees"] == pytest.approx(90)
    assert facts["value_of_black"] == pytest.approx(20, rel=1e-5)


def test_radial_depth_without_a_camera_is_kept_and_it_is_said_what_to_give(tmp_path: Path) -> None:
    _, facts, notes = read(tmp_path, [slope()], meaning="radial")
    assert facts["value_of_black"] == 20
    assert "`--fov DEGREES`, its horizontal angle of view, makes it planar" in notes[0]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"cameraAperture": [0, 1], "cameraFocalLength": 1}, "greater than 0"),
        ({"cameraAperture": "wide", "cameraFocalLength": 1}, "cameraAperture"),
        (
            {"cameraAperture": [1, 1], "cameraFocalLength": 1, "cameraModel": "fisheyePolynomial"},
            "only depth of a pinhole can be converted",
        ),
        ([1], "no named fields"),
    ],
)  # fmt: skip
def test_a_camera_that_cannot_be_used_is_refused(tmp_path: Path, params: Any, said: str) -> None:
    (tmp_path / "camera_params_0000.json").write_text(json.dumps(params), encoding="utf-8")
    assert said in refused(tmp_path, [slope()], meaning="radial")


def test_negative_distances_are_turned(tmp_path: Path) -> None:
    frame = -slope()
    frame[:9] = -1e10
    (grey,), facts, notes = read(tmp_path, [frame])
    assert (grey[9, 0], grey[9, -1], grey[0, 0]) == (255, 0, 0)
    assert (facts["value_of_white"], facts["value_of_black"]) == (2, 20)
    assert "the camera looks down -Z" in notes[0]


def test_distances_on_both_sides_are_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, [slope(-5, 20)])
    assert "of its distances are less than 0 (from -5 to" in said
    assert "--depth nearness" in said
    (grey,), _, _ = read(tmp_path / "near", [slope(-5, 20)], depth_values="nearness")
    assert (grey[0, 0], grey[0, -1]) == (0, 255)


def test_halves_that_ran_over_are_told(tmp_path: Path) -> None:
    frame = slope(1000, 60000)
    frame[:9] = 70000
    _, facts, notes = read(tmp_path, [frame], half_exr)
    assert facts["nothing_hit"] == {"infinite": 0.25}
    assert any("16-bit floats end at 65504" in note for note in notes)


@pytest.mark.parametrize("frames", [1, 3])
def test_depth_that_is_the_same_everywhere_is_refused(tmp_path: Path, frames: int) -> None:
    flat = [np.full((HEIGHT, WIDTH), 5.5, np.float32)] * frames
    assert "every frame has one depth only (5.5)" in refused(tmp_path, flat)
    rising = [np.full((HEIGHT, WIDTH), 5.5 + i, np.float32) for i in range(frames)]
    assert "every frame has one depth only" in refused(tmp_path / "rising", rising)


@pytest.mark.parametrize(
    ("value", "said"),
    [(1e10, "every value is 1e10"), (0, "every value is 0"), (np.nan, "every value is no numbers")],
)
def test_a_clip_in_which_nothing_was_hit_is_refused(
    tmp_path: Path, value: float, said: str
) -> None:
    frame = np.full((HEIGHT, WIDTH), value, np.float32)
    other = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    other[0] = value
    assert said in refused(tmp_path, [frame, other], depth_holes="far")


def test_two_depths_are_white_and_black(tmp_path: Path) -> None:
    frame = np.full((HEIGHT, WIDTH), 9, np.float32)
    frame[:9] = 3
    (grey,), _, _ = read(tmp_path, [frame])
    assert (grey[0, 0], grey[-1, 0]) == (255, 0)


def test_one_depth_before_nothing_is_a_silhouette(tmp_path: Path) -> None:
    frame = np.full((HEIGHT, WIDTH), 9, np.float32)
    frame[:9] = np.inf
    (grey,), _, notes = read(tmp_path, [frame])
    assert (grey[0, 0], grey[-1, 0]) == (0, 255)
    assert "every depth is 9: white, on black where nothing was hit" in notes


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int32, np.float16, np.float64])
def test_any_kind_of_number_is_read(tmp_path: Path, kind: Any) -> None:
    (grey,), facts, _ = read(tmp_path, [np.rint(slope(2, 100)).astype(kind)])
    assert (grey[0, 0], grey[0, -1]) == (255, 0)
    assert facts["value_of_black"] == 100


def test_what_is_transparent_was_not_measured(tmp_path: Path) -> None:
    frame = np.stack([slope()] * 3 + [np.ones_like(slope())], -1)
    frame[:9, :, 3] = 0
    frame[:9, :, :3] = 0.01
    (grey,), facts, _ = read(tmp_path, [frame])
    assert (facts["transparent_share"], facts["value_of_white"]) == (0.25, 2)
    assert (grey[:9] == 0).all()


def test_coloured_floats_are_no_depth(tmp_path: Path) -> None:
    frame = np.stack([slope(), slope(1, 2), slope()], -1)
    assert "is coloured, but this pass needs one value a pixel" in refused(tmp_path, [frame])


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ({}, (2, 20)),
        ({"near": 1, "far": 40}, (1, 40)),
        ({"far": 40}, (2, 40)),
        ({"background": 20}, (2, 19)),
    ],
    ids=str,
)
def test_a_range_can_be_given_for_png_too(
    tmp_path: Path, asked: dict[str, float], ends: tuple[int, int]
) -> None:
    frame = np.rint(slope()).astype(np.uint16)
    frame[0] = 65535
    size = {"width": WIDTH, "height": HEIGHT}
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, [1], **size)
    png(tmp_path / "r" / "depth.0001.png", frame)
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(**asked))  # type: ignore[arg-type]
    depth = made["passes"]["depth"]["depth"]
    assert (depth["value_of_white"], depth["value_of_black"]) == ends
    assert depth["nothing_hit"]["65535"] == pytest.approx(1 / HEIGHT, abs=1e-6)
    hits = "2.8 % of its pixels are 65535, which stands for nothing hit: black"
    assert f"depth.####.png: {hits}" in made["notes"]


def test_depth_of_floats_is_prepared_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for i in range(3):
        renders.sequence(
            tmp_path / "r", "color.%04d.png", renders.colour, [i], width=WIDTH, height=HEIGHT
        )
        exr(tmp_path / "r" / f"depth.{i:04d}.exr", slope(2 + i, 20))
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(near=1, far=30))
    depth = made["passes"]["depth"]["depth"]
    assert (depth["value_of_white"], depth["value_of_black"]) == (1, 30)
    assert sum(depth["histogram"]) == 3 * WIDTH * HEIGHT
    assert read_scene_file(tmp_path / "city")["passes"]["depth"]["depth"] == depth
    assert any("as asked; the clip goes from 2 to 20" in note for note in made["notes"])
    again = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(near=1, far=30))
    assert again["unchanged"]
    assert not prepare_scene(tmp_path / "r", tmp_path / "city")["unchanged"]


def test_the_number_of_threads_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [slope(2 + i, 20 + 3 * i) for i in range(6)]
    found = []
    for threads in (1, 4):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        greys, facts, _ = read(tmp_path / str(threads), frames)
        found.append(([grey.tolist() for grey in greys], facts))
    assert found[0] == found[1]


BLENDER = Path(__file__).parent / "blender"


def test_depth_as_blender_renders_it_is_that_of_its_camera() -> None:
    camera = json.loads((BLENDER / "camera.json").read_text(encoding="utf-8"))
    files = tuple(sorted((BLENDER / "exr").glob("*.exr")))
    numbers = tuple(range(1, len(files) + 1))
    one = Pass("depth", "pictures", "exr", files, numbers, layers=("ViewLayer.Depth",))
    reader = DepthReader.of(look_at([one])[0], Asked(near=5, far=20), lambda: None)
    for path, matrix in zip(files, camera["matrix_world"], strict=True):
        grey = reader.read(path)
        height, width = grey.shape
        focal = width / 2 / np.tan(camera["fov_x"] / 2)
        rows = np.arange(height - 3, height)  # there is only the floor, z = 0
        y = (height / 2 - rows - 0.5) / focal
        depth = matrix[2][3] / (matrix[2][2] - matrix[2][1] * y)
        wanted = np.rint(255 * (20 - depth) / 15)
        assert np.abs(grey[rows].astype(int) - wanted[:, None]).max() <= 1
    assert reader.facts()["depth"]["nothing_hit"].keys() == {"1e10"}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"near": 5, "far": 2}, "near 5 must be less than far 2"),
        ({"near": 2, "far": 2}, "near 2 must be less than far 2"),
        ({"near": 2, "far": 5, "depth_values": "nearness"}, "near 2 must be more than far 5"),
        ({"near": -1}, "cannot be less than 0"),
        ({"far": float("inf")}, "far inf is no finite number"),
        ({"background": float("nan")}, "background nan is no finite number"),
        ({"near": True}, "near True is no number"),
        ({"near": "2"}, "near '2' is no number"),
        ({"fov": 180}, "fov 180 is no angle of view"),
        ({"fov": 0}, "fov 0 is no angle of view"),
    ],
)
def test_a_range_that_cannot_be_is_refused(argument: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("'", ".")):
        Asked(**argument)


def test_what_is_not_asked_leaves_no_trace() -> None:
    assert Asked().facts().keys() == {"fps", "depth_values", "depth_holes", "step"}
    asked = Asked(near=1, far=2.5, background=0, fov=60)
    assert Asked.before({"asked": asked.facts()}) == asked
