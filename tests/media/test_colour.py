"""Scene-linear pictures become what a person would look at; display pictures stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as ocio
import pytest

from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.colour.config import Colours
from cosmos_pipelines.media.colour.look import shown_by, to_eight_bits
from cosmos_pipelines.media.colour.named import BUILT_IN
from cosmos_pipelines.media.colour.reader import ColourReader
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.png import read_rgb
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.readers.picture import read_facts
from cosmos_pipelines.media.sequence import Pass
from cosmos_pipelines.media.sources import Source
from tests.media import renders
from tests.media.exr import write_picture
from tests.media.foreign import ffmpeg

BLENDER = Path(__file__).parent / "blender"
PLAIN = "Un-tone-mapped"
ACESCG = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)


@pytest.fixture(autouse=True)
def _no_config_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def reader(path: Path, **asked: Any) -> ColourReader:
    facts = read_facts(path)
    found = Pass("color", "pictures", path.name, (path,), (1,), layers=(facts.layers[0].name,))
    return ColourReader.of(
        Source(found, facts.width, facts.height, 1, None, first=facts), Asked(**asked)
    )


def shown(path: Path, **asked: Any) -> np.ndarray[Any, Any]:
    return reader(path, **asked).read(path)


def light(*values: float) -> np.ndarray[Any, Any]:
    """One row of pixels."""
    return np.array(values, np.float32).reshape(1, -1, 3)


def srgb(linear: float) -> int:
    """The curve of IEC 61966-2-1."""
    part = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * min(1, part))


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_a_blender_render_looks_as_blender_shows_it(frame: int) -> None:
    png = BLENDER / f"png/color.000{frame}.png"
    got = shown(BLENDER / f"exr/shot.000{frame}.exr", view=PLAIN)
    assert np.abs(got.astype(int) - read_rgb(png.read_bytes(), png)).max() <= 2


def test_what_a_file_says_of_its_colours_is_believed(tmp_path: Path) -> None:
    green = light(0.1, 0.5, 0.2)
    said = write_picture(tmp_path / "a.exr", green, chromaticities=ACESCG)
    named = write_picture(tmp_path / "b.exr", green, colorInteropID="lin_ap1_scene")
    silent = write_picture(tmp_path / "c.exr", green)
    as_told = shown(said, view=PLAIN)
    assert np.array_equal(as_told, shown(silent, view=PLAIN, colorspace="ACEScg"))
    assert np.array_equal(as_told, shown(named, view=PLAIN))
    assert np.abs(shown(silent, view=PLAIN) - [[[srgb(0.1), srgb(0.5), srgb(0.2)]]]).max() <= 1
    assert not np.array_equal(as_told, shown(silent, view=PLAIN))


def test_floats_that_are_what_a_display_shows_already_stay_as_they_are(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.5, 0.2), oiio__ColorSpace="sRGB")
    assert shown(path).tolist() == [[[25, 128, 51]]]
    assert "stays as it is, since its attribute" in "".join(reader(path).notes())


def test_a_space_that_the_config_does_not_have_is_told_where_another_is_assumed(
    tmp_path: Path,
) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.5, 0.2), colorspace="ShowLinear")
    (note,) = reader(path).notes()
    assert "taken for Linear Rec.709 (sRGB), since its attribute colorspace says" in note
    assert "'ShowLinear', which is no space of cg-config" in note
    assert "`--colorspace acescg`" in note


def test_a_dpx_of_ffmpeg_stays_as_it_is_though_it_says_that_it_is_linear(tmp_path: Path) -> None:
    renders.save(tmp_path / "a.png", renders.colour(0))
    ffmpeg("-i", tmp_path / "a.png", "-pix_fmt", "gbrp10be", tmp_path / "a.dpx")
    path = tmp_path / "a.dpx"
    assert read_facts(path).attributes["dpx:Transfer"] == "Linear"
    assert np.abs(shown(path).astype(int) - renders.colour(0)).max() <= 1
    lit = shown(path, colorspace="lin_rec709", view=PLAIN)  # its channels lie blue, green, red
    assert [int(lit[0, 0, i]) for i in range(3)] == [
        srgb(value / 255) for value in renders.colour(0)[0, 0].tolist()
    ]


def test_what_was_asked_for_counts_more_than_what_a_file_says(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.5, 0.2), chromaticities=ACESCG)
    asked = reader(path, view=PLAIN, colorspace="lin_rec709")
    assert np.abs(asked.read(path) - [[[srgb(0.1), srgb(0.5), srgb(0.2)]]]).max() <= 1
    assert asked.facts()["colour"]["because"] == "as asked for"


def test_pictures_of_several_spaces_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 0.3, np.float32)
    for n in (1, 2, 3):
        told = {"chromaticities": ACESCG} if n == 3 else {}
        write_picture(tmp_path / f"r/color.{n:04}.exr", picture, **told)
    with pytest.raises(MediaError, match=r"color\.0003\.exr says another colour space than color"):
        prepare_scene(tmp_path / "r", tmp_path / "city")
    assert not (tmp_path / "city/scene.json").exists()
    prepare_scene(tmp_path / "r", tmp_path / "city", Asked(colorspace="acescg"))


def test_an_assumed_space_and_the_view_are_told_and_kept(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.5, 0.2))
    plain = reader(path)
    plain.read(path)
    assert plain.facts()["colour"] == {
        "space": "Linear Rec.709 (sRGB)",
        "because": "the file does not say it",
        "config": BUILT_IN.removeprefix("ocio://"),
        "display": "sRGB - Display",
        "view": "ACES 2.0 - SDR 100 nits (Rec.709)",
        "exposure": 0.0,
    }
    [note] = plain.notes()
    assert "taken for Linear Rec.709 (sRGB), since the file does not say it" in note
    assert "--colorspace acescg" in note


def test_a_space_of_the_project_counts_for_floats_that_do_not_say_theirs(tmp_path: Path) -> None:
    silent = write_picture(tmp_path / "a.exr", light(0.1, 0.5, 0.2))
    usual = reader(silent, view=PLAIN, colorspace_else="acescg")
    assert np.array_equal(usual.read(silent), shown(silent, view=PLAIN, colorspace="acescg"))
    assert usual.facts()["colour"]["space"] == "ACEScg"
    [note] = usual.notes()
    assert "taken for ACEScg, since the file does not say it, and cosmos.toml does; shown" in note
    saying = write_picture(tmp_path / "b.exr", light(0.1, 0.5, 0.2), colorInteropID="lin_ap0_scene")
    assert reader(saying, colorspace_else="acescg").facts()["colour"]["space"] == "ACES2065-1"
    asked = reader(silent, colorspace="lin_rec709", colorspace_else="acescg")
    assert asked.facts()["colour"]["because"] == "as asked for"
    plain = write_picture(tmp_path / "c.tif", np.full((4, 4, 3), 77, np.uint8))
    assert np.all(shown(plain, colorspace_else="acescg") == 77)
    with pytest.raises(MediaError, match="There is no colour space 'acescgg'"):
        reader(silent, colorspace_else="acescgg")


def test_a_stop_of_exposure_is_twice_the_light(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.2, 0.05))
    brighter = shown(path, view=PLAIN, exposure=1)
    assert np.abs(brighter - [[[srgb(0.2), srgb(0.4), srgb(0.1)]]]).max() <= 1
    assert np.abs(shown(path, view=PLAIN, exposure=-1)[0, 0, 0] - srgb(0.05)) <= 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"colorspace": "acescgg"}, "Did you mean 'ACEScg'"),
        ({"colorspace": "Raw"}, "Name the space of the colour pass"),
        ({"view": "un-tone-maped"}, "Did you mean 'Un-tone-mapped'"),
        ({"ocio": "ocio://nothing"}, "Name another one"),
        ({"ocio": "/nowhere/config.ocio"}, ""),
    ],
)
def test_names_that_a_config_has_not_are_refused_with_the_nearest(
    tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    path = write_picture(tmp_path / "a.exr", light(0.1, 0.2, 0.05))
    with pytest.raises(MediaError) as refused:
        reader(path, **asked)
    assert said in (refused.value.hint or "")
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("asked", [{"exposure": 21}, {"exposure": True}, {"view": ""}])
def test_values_that_cannot_be_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Asked(**asked)


@pytest.mark.parametrize("name", ["a.tif", "a.tga"])
def test_pictures_of_eight_bits_stay_as_they_are(tmp_path: Path, name: str) -> None:
    values = np.random.default_rng(1).integers(0, 256, (9, 16, 3), np.uint8)
    assert np.array_equal(shown(write_picture(tmp_path / name, values)), values)


def test_sixteen_bits_are_rounded_and_alpha_lies_over_black(tmp_path: Path) -> None:
    deep = np.array([[[0, 128, 129], [65535, 32896, 257]]], np.uint16)
    assert shown(write_picture(tmp_path / "a.tif", deep)).tolist() == [[[0, 0, 1], [255, 128, 1]]]
    half = np.array([[[200, 100, 50, 128]]], np.uint8)
    path = write_picture(tmp_path / "b.tif", half, oiio__UnassociatedAlpha=1)
    assert shown(path).tolist() == [[[100, 50, 25]]]


def test_display_pictures_take_no_exposure(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.tif", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(MediaError, match="takes no exposure"):
        reader(path, exposure=1)
    assert not shown(path, view=PLAIN).any()  # a view of the whole project does not concern it


def test_pixels_without_a_value_are_black_and_told(tmp_path: Path) -> None:
    values = light(np.nan, 0.5, 0.5, np.inf, -np.inf, 0.2)
    path = write_picture(tmp_path / "a.exr", values)
    found = reader(path, view=PLAIN)
    pixels = found.read(path)
    assert pixels[0, 0, 0] == 0
    assert pixels[0, 1].tolist()[:2] == [255, 0]
    assert any("1 pixels have no value" in note for note in found.notes())


def test_the_table_is_as_good_as_the_computed_view() -> None:
    colours, space = Colours.load(BUILT_IN), "Linear Rec.709 (sRGB)"
    view = colours.view(None)
    table = shown_by(colours, space, view, 0.0)
    wanted = ocio.DisplayViewTransform(src=space, display=colours.display(), view=view)
    exact = colours.config.getProcessor(wanted).getDefaultCPUProcessor()
    rng = np.random.default_rng(1)
    brightness = 0.18 * np.exp2(rng.uniform(-10, 5, (100, 200, 1)))
    pixels = (brightness * rng.dirichlet([3] * 3, (100, 200)) * 3).astype(np.float32)
    got = to_eight_bits(table, pixels.copy()).astype(int)
    off = np.abs(got - to_eight_bits(exact, pixels.copy()))
    assert np.quantile(off, 0.999) <= 1
    assert off.max() <= 3


def own_config() -> ocio.Config:
    """A config of one space, which shows values as they are."""
    config = ocio.Config.CreateRaw()
    config.addColorSpace(ocio.ColorSpace(name="lin_rec709_scene"))
    config.addDisplayView("sRGB", "As it is", "lin_rec709_scene")
    return config


def test_the_config_of_the_environment_is_taken_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, file = own_config(), tmp_path / "ours.ocio"
    file.write_text(config.serialize())
    path = write_picture(tmp_path / "a.exr", light(0.2, 0.4, 0.6))
    monkeypatch.setenv("OCIO", str(file))
    ours = reader(path, view="as it is")
    assert ours.read(path).tolist() == [[[51, 102, 153]]]
    assert ours.facts()["colour"]["config"] == str(file)
    assert reader(path, ocio=BUILT_IN).facts()["colour"]["view"].startswith("ACES 2.0")


def test_another_config_in_the_environment_or_in_its_file_shows_the_colours_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, file = own_config(), tmp_path / "ours.ocio"
    file.write_text(config.serialize())
    source, dest = tmp_path / "renders", tmp_path / "city"
    picture = np.full((48, 64, 3), 0.3, np.float32)
    write_picture(source / "color.0001.exr", picture)

    def made() -> bool:
        return not prepare_scene(source, dest)["unchanged"]

    assert (made(), made()) == (True, False)
    monkeypatch.setenv("OCIO", str(file))
    assert (made(), made()) == (True, False)
    config.setDescription("the same colours")
    file.write_text(config.serialize())
    assert (made(), made()) == (True, False)


def table(file: Path, factor: float) -> None:
    """Write a LUT (Iridas' cube) that makes values so much larger."""
    file.parent.mkdir(exist_ok=True)
    top = f"{factor} " * 3
    file.write_text(f"LUT_1D_SIZE 2\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 1\n0 0 0\n{top}\n")


@pytest.mark.parametrize("at", ["space", "look", "view", "display"])
def test_another_table_that_the_config_names_shows_the_colours_anew(
    tmp_path: Path, at: str
) -> None:
    config = own_config()
    config.setSearchPath("$TABLES")
    config.addEnvironmentVar("TABLES", "luts")
    step = ocio.FileTransform("ours.cube", interpolation=ocio.INTERP_LINEAR)
    steps = ocio.GroupTransform([step])
    if at == "space":
        config.addColorSpace(ocio.ColorSpace(name="shown", fromReference=steps))
        config.addDisplayView("sRGB", "Graded", "shown")
    elif at == "look":
        config.addLook(ocio.Look("grade", "lin_rec709_scene", transform=steps))
        config.addDisplayView("sRGB", "Graded", "lin_rec709_scene", "grade")
    elif at == "view":
        named = ocio.NamedTransform("shown", forwardTransform=steps)
        config.addNamedTransform(named)
        config.addDisplayView("sRGB", "Graded", "shown")
    else:
        display = ocio.REFERENCE_SPACE_DISPLAY
        config.addColorSpace(ocio.ColorSpace(display, "screen", fromReference=steps))
        way = ocio.MatrixTransform()
        scene = ocio.ViewTransform(ocio.REFERENCE_SPACE_SCENE, "plain", fromReference=way)
        config.addViewTransform(scene)
        by = {"viewTransform": "plain", "displayColorSpaceName": "screen"}
        config.addDisplayView("sRGB", "Graded", **by)
    file, lut = tmp_path / "ours.ocio", tmp_path / "luts" / "ours.cube"
    file.write_text(config.serialize())
    source, asked = tmp_path / "renders", Asked(ocio=str(file), view="Graded")
    write_picture(source / "color.0001.exr", np.full((48, 64, 3), 0.25, np.float32))

    def shown(factor: float) -> tuple[bool, int]:
        table(lut, factor)
        made = prepare_scene(source, tmp_path / "city", asked)
        (picture,) = pictures_of(tmp_path / "city/color.mp4")
        return not made["unchanged"], round(int(picture[0, 0, 0]) / 64)

    assert [shown(1), shown(1), shown(2), shown(3)] == [(True, 1), (False, 1), (True, 2), (True, 3)]


def test_a_prepared_scene_says_how_its_colours_were_shown(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        values = np.full((36, 64, 3), 0.1 * n, np.float32)
        write_picture(tmp_path / f"r/beauty.{n:04}.exr", values, kind="half")
    made = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(view=PLAIN))
    assert made["passes"]["color"]["colour"]["view"] == PLAIN
    assert any("taken for Linear Rec.709" in note for note in made["notes"])
    frames = [int(p[0, 0, 0]) for p in pictures_of(tmp_path / "city/color.mp4")]
    assert np.abs(np.array(frames) - [srgb(0.1), srgb(0.2), srgb(0.3)]).max() <= 2
    assert prepare_scene(tmp_path / "r", tmp_path / "city", Asked(view=PLAIN))["unchanged"]
    brighter = prepare_scene(tmp_path / "r", tmp_path / "city", Asked(view=PLAIN, exposure=1))
    assert not brighter["unchanged"]


@pytest.mark.parametrize("asked", [Asked(exposure=1), Asked(colorspace="acescg")])
def test_options_that_would_do_nothing_for_png_are_refused(tmp_path: Path, asked: Asked) -> None:
    renders.sequence(tmp_path / "r", "color.%04d.png", renders.colour, range(2))
    with pytest.raises(MediaError, match="would do nothing"):
        prepare_scene(tmp_path / "r", tmp_path / "city", asked)
    prepare_scene(tmp_path / "r", tmp_path / "city", Asked(view=PLAIN))  # a project's usual view
