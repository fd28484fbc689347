from __future__ import annotations

import shlex
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.decode import pictures_of
from cosmos_pipelines.media.encode import EXACT
from cosmos_pipelines.media.pictures import preview_and_thumbnail
from cosmos_pipelines.media.plain import plain_video
from cosmos_pipelines.media.probe import probe
from cosmos_pipelines.media.shown import Shown
from tests.media import renders
from tests.media.foreign import ffmpeg, foreign
from tests.media.otherwise import HLG, PQ, TURNS, fields, interlaced, turned, wide


def shown(path: Path, *, exact: bool = False) -> renders.Array:
    return np.stack(list(pictures_of(path, exact=exact)))


def played(path: Path, *filters: str) -> renders.Array:
    """What the `ffmpeg` command makes of a video: turned as a player would."""
    raw = path.with_suffix(".rgb")
    ffmpeg(
        "-i", path, "-vf", ",".join(filters) or "null", "-pix_fmt", "rgb24", "-f", "rawvideo", raw
    )
    found = probe(path)
    return np.frombuffer(raw.read_bytes(), np.uint8).reshape(-1, found.height, found.width, 3)


@pytest.mark.parametrize("container", ["mp4", "mov"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_video_is_read_as_players_show_it(
    tmp_path: Path, turn: str, container: str
) -> None:
    path = turned(tmp_path / f"color.{container}", TURNS[turn])
    found = probe(path)
    assert found.shown.changes == (turn,)
    assert (found.width, found.height) == ((48, 64) if "90" in turn else (64, 48))
    assert np.array_equal(shown(path), played(path))
    assert [p.width for p in (probe(path, deep=True), found)] == [found.width] * 2


def test_an_upright_video_is_plain(tmp_path: Path) -> None:
    for matrix in ((1, 0, 0, 1), (2, 0, 0, 2), (0, 0, 0, 0)):
        path = turned(tmp_path / "color.mp4", matrix)
        assert probe(path).shown == Shown()


def test_another_angle_is_refused_with_the_command_that_turns_it(tmp_path: Path) -> None:
    path = turned(tmp_path / "color.mp4", (0.966, 0.259, -0.259, 0.966))
    with pytest.raises(MediaError, match="an angle that is no quarter turn") as e:
        shown(path)
    command = shlex.split(str(e.value.hint).split("`")[1])
    subprocess.run(command, check=True, cwd=tmp_path / "..", stdin=subprocess.DEVNULL)
    assert probe(tmp_path / ".." / "color.mp4").shown == Shown()


numbers = st.sampled_from([-1, 0, 1])


@given(st.sampled_from([(1, 0, 0, 1), *TURNS.values()]), st.integers(1, 9), st.integers(1, 9))
def test_every_pixel_is_shown_where_the_matrix_says(
    turn: tuple[int, int, int, int], width: int, height: int
) -> None:
    xx, xy, yx, yy = turn
    pixels = np.arange(width * height).reshape(height, width)
    got = Shown(turn=turn).turned(pixels)
    places = {
        (x * xx + y * yx, x * xy + y * yy): pixels[y, x]
        for y in range(height)
        for x in range(width)
    }
    left, top = min(x for x, _ in places), min(y for _, y in places)
    assert all(got[y - top, x - left] == value for (x, y), value in places.items())
    assert (got.shape[1], got.shape[0]) == Shown(turn=turn).size(width, height)


@pytest.mark.parametrize(
    ("kind", "aspect", "size"),
    [
        ("h264.mp4", "4/3", (96, 48)),  # 72x48 -> HDV
        ("h264.mkv", "8/9", (64, 48)),
        ("prores.mov", "16/11", (104, 48)),
        ("mpeg4.avi", "4/3", (96, 48)),
        ("h264.mp4", "1/1", (72, 48)),
        ("h264.mp4", "200/201", (72, 48)),  # less than a pixel
    ],
)
def test_pixels_that_are_not_square_are_stretched(
    tmp_path: Path, kind: str, aspect: str, size: tuple[int, int]
) -> None:
    path = foreign(tmp_path, kind, frames=3, size="72x48", filters=f"gblur=4,setsar={aspect}")
    found = probe(path)
    assert (found.width, found.height) == size
    got = shown(path)
    assert got.shape[1:] == (size[1], size[0], 3)
    want = played(path, f"scale={size[0]}:{size[1]}:flags=bicubic").astype(int)
    assert np.abs(got - want).mean() < 2


def test_a_stretched_segmentation_has_no_colour_that_was_not_there(tmp_path: Path) -> None:
    flat, path = tmp_path / "flat.mp4", tmp_path / "seg.mp4"
    renders.video(flat, picture=renders.segments, frames=2, coding=EXACT)
    ffmpeg("-i", flat, "-c", "copy", "-bsf:v", "h264_metadata=sample_aspect_ratio=4/3", path)
    assert (probe(path).width, probe(path).height) == (86, 48)
    before = {c for p in pictures_of(flat) for c in map(tuple, p.reshape(-1, 3).tolist())}
    after = {tuple(c) for c in shown(path, exact=True).reshape(-1, 3).tolist()}
    assert after <= before


def test_turned_and_stretched_at_once(tmp_path: Path) -> None:
    flat, path = turned(tmp_path / "a.mp4", (0, -1, 1, 0)), tmp_path / "b.mp4"
    ffmpeg("-i", flat, "-c", "copy", "-bsf:v", "h264_metadata=sample_aspect_ratio=3/2", path)
    found = probe(path)
    assert (found.width, found.height) == (48, 96)
    assert shown(path).shape[1:] == (96, 48, 3)


def combs(picture: renders.Array) -> int:
    """Pixels that differ from the rows above and below, which are equal to each other."""
    grey = picture[..., 0].astype(int)
    above, here, below = grey[:-2], grey[1:-1], grey[2:]
    return int(((np.abs(above - below) < 32) & (np.abs(here - above) > 128)).sum())


@pytest.mark.parametrize("top_first", [True, False])
def test_an_interlaced_video_is_deinterlaced_frame_by_frame(
    tmp_path: Path, top_first: bool
) -> None:
    path = interlaced(tmp_path / "color.mp4", top_first=top_first)
    assert probe(path).shown.changes == ("deinterlaced",)
    got = shown(path)
    assert len(got) == 5
    woven = fields(5, top_first=top_first)
    assert min(map(combs, woven)) > 100
    assert max(map(combs, got)) < 0.1 * min(map(combs, woven))
    for picture, before in zip(got, woven, strict=True):  # of its own frame's first field
        first = before[0 if top_first else 1]
        assert np.abs(picture[10:-10].astype(int).mean(axis=0) - first).mean() < 16


@pytest.mark.parametrize(("order", "fields"), [("tt", "tff"), ("bb", "bff"), ("progressive", None)])
def test_the_field_order_of_a_header_alone_counts(
    tmp_path: Path, order: str, fields: str | None
) -> None:
    path = foreign(tmp_path, "png.mov", frames=4, options=("-field_order", order))
    assert probe(path).shown.fields == fields
    assert len(shown(path)) == 4


def ramp(most: float) -> renders.Array:
    """Linear light: grey from black to `most` above, a red to the left and a blue below."""
    light = np.repeat(np.linspace(0, 1, 64)[None, :, None] ** 2.4, 48, axis=0)
    light = np.repeat(light, 3, axis=2) * most
    light[24:36] = np.array([0.5, 0.05, 0.05])
    light[36:] = np.array([0.05, 0.05, 0.5])
    return light


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_tone_mapped(tmp_path: Path, transfer: int) -> None:
    path = wide(tmp_path / "color.mp4", ramp(4), transfer)  # up to 812 candela
    [said] = probe(path).shown.changes
    assert said == f"tone-mapped from HDR ({'PQ' if transfer == PQ else 'HLG'}) to BT.709"
    got = shown(path)
    assert len(got) == 2
    grey = got[0, 12].astype(int)
    assert np.ptp(grey, axis=1).max() <= 2  # grey stays grey
    steps = np.diff(grey[:, 1])
    assert (steps >= 0).all()
    assert grey[0].max() <= 2
    assert 190 <= grey[-1, 1] <= 255  # a highlight is bright
    assert steps[-12:].max() <= 8  # and is not cut off at the white of paper
    paper = int(np.argmin(np.abs(ramp(4)[12, :, 1] - 1)))
    assert 120 <= grey[paper, 1] <= 200
    red, blue = got[0, 30, 30].astype(int), got[0, 42, 30].astype(int)
    assert red[0] > 2 * red[1:].max()
    assert blue[2] > 2 * blue[:2].max()
    if (known := tone_mapped_by_ffmpeg(path)) is not None:
        naive = _frames(path)[0].to_ndarray(format="rgb24")
        off, naive_off = (np.abs(x.astype(int) - known).mean() for x in (got[0], naive))
        assert off < 20
        assert off < 0.8 * naive_off


def tone_mapped_by_ffmpeg(path: Path) -> renders.Array | None:
    """What its filters make of the first frame, with the curve of the game Uncharted 2."""
    try:
        return played(
            path,
            "zscale=transfer=linear:npl=203",
            "format=gbrpf32le",
            "zscale=primaries=bt709",
            "tonemap=hable:desat=0",
            "zscale=transfer=bt709:matrix=bt709:range=pc",
            "format=rgb24",
        )[0]
    except subprocess.CalledProcessError:  # this ffmpeg has no zscale
        return None


def _frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_colours_of_bt2020_become_those_of_bt709(tmp_path: Path) -> None:
    light = ramp(1)
    path = wide(tmp_path / "color.mp4", light, 1)
    assert probe(path).shown.changes == (
        "converted from the colours of BT.2020 to those of BT.709",
    )
    want = 255 * np.clip(np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099), 0, 1)
    off = np.abs(shown(path)[0] - want)
    assert (off.mean() < 3) and (off.max() < 12)
    wrong = _frames(path)[0].to_ndarray(format="rgb24")
    assert np.abs(wrong - want).max() > 25


def partly(alpha: str) -> str:
    """A source of ffmpeg's: orange with an expression of X and Y as its alpha."""
    colours = ":".join(rf"{c}={c}(X\,Y)" for c in "rgb")
    return f"color=orange:s=64x48:r=24,format=rgba,geq={colours}:a={alpha}"


@pytest.mark.parametrize(
    ("codec", "container", "pix_fmt"),
    [
        ("qtrle", "mov", "argb"),
        ("png", "mov", "rgba"),
        ("prores_ks", "mov", "yuva444p10le"),
        ("ffv1", "mkv", "yuva420p"),
        ("ffv1", "mkv", "bgra"),
        ("utvideo", "avi", "gbrap"),
    ],
)
def test_transparent_video_is_laid_over_black(
    tmp_path: Path, codec: str, container: str, pix_fmt: str
) -> None:
    path = tmp_path / f"color.{container}"
    half = partly(r"if(lt(X\,32)\,128\,if(lt(Y\,24)\,0\,255))")
    ffmpeg("-f", "lavfi", "-i", half, "-frames:v", 2, "-c:v", codec, "-pix_fmt", pix_fmt, path)
    assert probe(path).shown.changes == ("laid over black where it is transparent",)
    got = shown(path).astype(int)
    orange = np.array([255, 165, 0])
    for area, alpha in (
        (got[:, :, 4:28], 128 / 255),
        (got[:, 4:20, 36:], 0),
        (got[:, 28:, 36:], 1),
    ):
        assert np.abs(area - orange * alpha).max() <= 6


def test_transparency_that_ffmpeg_reads_only_when_asked_is_refused_with_its_command(
    tmp_path: Path,
) -> None:
    path = tmp_path / "color.webm"
    half = partly(r"if(lt(X\,32)\,0\,255)")
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        half,
        "-frames:v",
        2,
        "-c:v",
        "libvpx-vp9",
        "-pix_fmt",
        "yuva420p",
        path,
    )
    with pytest.raises(MediaError, match="its transparency is a second video inside it") as e:
        shown(path)
    command = shlex.split(str(e.value.hint).split("`")[1])
    subprocess.run(command, check=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    got = shown(tmp_path / "color.mp4").astype(int)
    assert got[:, :, 4:28].max() < 20
    assert np.abs(got[:, :, 36:] - [255, 165, 0]).max() < 20


def test_linear_light_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path, "h264.mp4", frames=2, options=("-color_trc", "linear"))
    with pytest.raises(MediaError, match="it is coded in linear light"):
        shown(path)


def test_a_cut_without_encoding_has_the_frames_that_players_show(tmp_path: Path) -> None:
    whole = foreign(tmp_path / "whole", "h264.mp4", frames=48)
    path = tmp_path / "color.mp4"
    ffmpeg("-ss", "0.5", "-i", whole, "-c", "copy", path)
    for deep in (False, True):
        found = probe(path, deep=deep)
        assert found.frames == 36
        assert found.shown.changes == ("cut to what its edit list shows (without 12 frames)",)
    assert np.array_equal(shown(path), shown(whole)[12:])


def test_previews_of_a_turned_video_are_upright(tmp_path: Path) -> None:
    from PIL import Image

    path = turned(tmp_path / "color.mp4", (0, -1, 1, 0))
    both = (tmp_path / "a.webp", tmp_path / "a.jpg")
    preview_and_thumbnail(probe(path), *both)
    for made in both:
        with Image.open(made) as picture:
            assert picture.size == (48, 64)
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert np.abs(pixels - shown(path)[0]).mean() < 16


def test_a_video_that_a_model_would_read_otherwise_than_people_is_refused(tmp_path: Path) -> None:
    path = turned(tmp_path / "clip.mov", (0, -1, 1, 0))
    with pytest.raises(MediaError) as e:
        plain_video(path)
    assert "players show it turned left by 90 degrees" in str(e.value)
    assert "as color.mov, `cosmos prepare` that" in str(e.value)
    renders.video(tmp_path / "plain.mp4")
    assert plain_video(tmp_path / "plain.mp4").frames == 6


def test_a_tag_that_is_no_utf8_does_not_make_a_video_unusable(tmp_path: Path) -> None:
    for kind in ("h264.mp4", "h264.mkv", "mjpeg.avi", "prores.mov"):
        path = foreign(tmp_path, kind, frames=3, options=("-metadata", "title=QQQQ"))
        data = path.read_bytes()
        assert data.count(b"QQQQ") == 1
        path.write_bytes(data.replace(b"QQQQ", b"\xe9t\xe9!"))
        assert probe(path, deep=True).frames == 3
        assert len(shown(path)) == 3
        assert Fraction(24) == probe(path).fps
