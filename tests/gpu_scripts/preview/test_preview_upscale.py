"""The CPU program for upscale."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cosmos_pipelines.operations import Job, Upscale, Video
from tests.support.preview_orders import Done, made
from tests.support.videos import Pixels, measured, pixels, write_scene, write_video

RATE = Fraction(30000, 1001)


def job(name: str, video: Video, weight: float = 0.5, seed: int = 1) -> Job:
    operation = Upscale(control_weight=weight, seed=seed)
    return Job(run_id=f"rs_{name}", operation=operation, inputs={"video": video})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Video:
    scene = write_scene(tmp_path_factory.mktemp("scene"), frames=2, width=160, height=44, fps=RATE)
    return measured(scene / "color.mp4")


@pytest.fixture(scope="module")
def done(source: Video, tmp_path_factory: pytest.TempPathFactory) -> Done:
    jobs = [job("strict", source, 1.0), job("free", source, 0.0), job("seed", source, 1.0, seed=2)]
    done = made(jobs, tmp_path_factory.mktemp("upscale") / "run")
    assert done.exit_code == 0, done.log
    return done


def test_the_longest_side_becomes_3840_and_frames_and_rate_stay(done: Done) -> None:
    for expected in done.order.expected:
        with av.open(str(done.folder / "outputs" / expected.name)) as container:
            stream = container.streams.video[0]
            coder = stream.codec_context
            assert (coder.width, coder.height) == (expected.width, expected.height) == (3840, 1056)
            assert stream.frames == expected.frames == 2
            assert str(stream.average_rate) == expected.fps == "30000/1001"
            assert (coder.colorspace, coder.color_primaries, coder.color_trc) == (1, 1, 1)


def test_it_is_the_same_picture_but_for_the_label(done: Done, source: Video) -> None:
    """Made small again by averages of 24 x 24 pixels, it is the source."""
    large = pixels(done.output("rs_strict")).astype(np.float32)
    small = large.reshape(2, 44, 24, 160, 24, 3).mean(axis=(2, 4))
    assert np.abs(small - pixels(Path(source.path)))[:, :-6].mean() < 3


def test_a_lower_control_weight_sharpens(done: Done) -> None:
    strict, free = (
        np.abs(np.diff(pixels(done.output(f"rs_{n}"))[0, :900].astype(int), axis=1)).mean()
        for n in ("strict", "free")
    )
    assert free > 1.05 * strict


def test_settings_that_it_ignores_change_no_byte(done: Done) -> None:
    assert done.output("rs_seed").read_bytes() == done.output("rs_strict").read_bytes()


def test_the_result_does_not_depend_on_its_mates_or_workers(
    done: Done, source: Video, tmp_path: Path
) -> None:
    alone = made([job("free", source, 0.0)], tmp_path / "run", "--workers", "3")
    assert alone.output("rs_free").read_bytes() == done.output("rs_free").read_bytes()


def test_every_frame_says_preview_in_its_corner(tmp_path: Path) -> None:
    dark: Pixels = np.full((44, 160, 3), 20, np.uint8)
    video = measured(write_video(tmp_path / "dark.mp4", [dark, dark]))
    for frame in pixels(made([job("a", video)], tmp_path / "run").output("rs_a")):
        white = frame.min(axis=-1) > 200
        assert white[-80:, -320:].sum() > 500
        assert white.sum() == white[-80:, -320:].sum()


def test_a_video_without_colour_tags_is_made(tmp_path: Path) -> None:
    """Any video file can be upscaled, also one of another program, codec and container."""
    path = tmp_path / "other.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 80, "yuv420p"
        for i in range(2):
            shade = np.full((80, 48, 3), 60 + 50 * i, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        out.mux(stream.encode(None))
    video = measured(path)
    done = made([job("a", video)], tmp_path / "run")
    assert done.exit_code == 0, done.log
    assert measured(done.output("rs_a")).frames == video.frames
    assert pixels(done.output("rs_a")).shape[1:] == (3840, 2304, 3)
