"""The CPU program for transfer: what it makes, and that every setting is seen in it."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.operations import Job, Transfer, Video
from tests.support.preview_orders import SCRIPTS, Done, carry_out, made, place, started_by
from tests.support.videos import measured, pixels, write_scene, write_video

EQUAL = {"vis": 0.25, "edge": 0.25, "depth": 0.25, "seg": 0.25}
PLAIN: dict[str, Any] = {"weights": EQUAL, "text": "A house on a plain in fog", "negative": None}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "vis": {"weights": EQUAL | {"vis": 0.1}},
    "edge": {"weights": EQUAL | {"edge": 0.1}},
    "depth": {"weights": EQUAL | {"depth": 0.1}},
    "seg": {"weights": EQUAL | {"seg": 0.1}},
    "num_steps": {"num_steps": 10},
    "guidance": {"guidance": 7.0},
    "seed": {"seed": 2},
    "blur_strength": {"blur_strength": "very_high"},
    "canny_threshold": {"canny_threshold": "very_low"},
    "prompt": {"text": "A house on a plain at sunset"},
    "one word of the prompt": {"text": "A barn on a plain in fog"},
    "negative prompt": {"negative": "fog"},
    "negative prompt without a known word": {"negative": "watermark, people"},
    "negative prompt in the settings": {"negative_prompt": "haze"},
}
COMPRESSION = 0.6
"""Mean difference of pixels, of 255, that coding the same picture twice stays well below."""


def job(name: str, inputs: Mapping[str, Video], change: Mapping[str, Any]) -> Job:
    settings = PLAIN | dict(change)
    text, negative = settings.pop("text"), settings.pop("negative")
    return Job(
        run_id="rs_" + hashlib.sha256(name.encode()).hexdigest()[:32],
        operation=Transfer.parse(settings),
        text=text,
        negative_prompt=negative,
        inputs=inputs,
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Video]:
    scene = write_scene(tmp_path_factory.mktemp("scene"), fps=Fraction(30000, 1001))
    return {path.stem: measured(path) for path in scene.glob("*.mp4")}


@pytest.fixture(scope="module")
def changed(inputs: dict[str, Video], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """One order with a sample for every change."""
    jobs = [job(name, inputs, change) for name, change in CHANGES.items()]
    done = made(jobs, tmp_path_factory.mktemp("changed") / "run")
    assert done.exit_code == 0, done.log
    yield done


def output(done: Done, name: str) -> Path:
    return done.output(job(name, {}, {}).run_id)


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "nothing"])
def test_each_setting_is_seen_in_the_picture(changed: Done, name: str) -> None:
    plain = pixels(output(changed, "nothing")).astype(int)
    other = pixels(output(changed, name)).astype(int)
    assert np.abs(other - plain).mean() > COMPRESSION


def test_the_video_is_as_predicted(changed: Done) -> None:
    for expected in changed.order.expected:
        with av.open(str(changed.folder / "outputs" / expected.name)) as container:
            stream = container.streams.video[0]
            coder = stream.codec_context
            assert (coder.width, coder.height) == (expected.width, expected.height) == (96, 64)
            assert stream.frames == expected.frames == 6
            assert str(stream.average_rate) == expected.fps == "30000/1001"
            assert (coder.name, coder.pix_fmt) == ("h264", "yuv420p")
            assert (coder.colorspace, coder.color_primaries, coder.color_trc) == (1, 1, 1)
            assert [f.pts * f.time_base for f in container.decode(stream)] == [
                Fraction(n * 1001, 30000) for n in range(6)
            ]


def test_the_index_comes_before_the_frames(changed: Done) -> None:
    content = output(changed, "nothing").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_sample_is_the_same_alone_in_a_batch_and_with_other_workers(
    changed: Done, inputs: dict[str, Video], tmp_path: Path
) -> None:
    batch = {name: output(changed, name).read_bytes() for name in ("nothing", "seed")}
    for workers in ("1", "3"):
        alone = made(
            [job("seed", inputs, CHANGES["seed"])], tmp_path / workers, "--workers", workers
        )
        assert output(alone, "seed").read_bytes() == batch["seed"] != batch["nothing"]


def test_more_steps_leave_less_noise(inputs: dict[str, Video], tmp_path: Path) -> None:
    jobs = [job(f"{n}", inputs, {"num_steps": n}) for n in (1, 10, 35, 100)]
    done = made(jobs, tmp_path / "run")
    rough = [
        np.abs(np.diff(pixels(output(done, f"{n}")).astype(int), axis=0)).mean()
        for n in (1, 10, 35, 100)
    ]
    assert rough == sorted(rough, reverse=True)
    assert rough[0] > 2 * rough[1]


def test_without_guidance_the_prompt_has_no_effect(
    inputs: dict[str, Video], tmp_path: Path
) -> None:
    texts = {"a": "A snowy night", "b": "A golden sunset in the rain"}
    jobs = [job(name, inputs, {"guidance": 0, "text": text}) for name, text in texts.items()]
    done = made(jobs, tmp_path / "run")
    assert output(done, "a").read_bytes() == output(done, "b").read_bytes()


def test_fog_by_depth_hides_what_is_far(inputs: dict[str, Video], tmp_path: Path) -> None:
    weights = {"clear": {"vis": 0.5}, "fog": {"vis": 0.5, "depth": 0.5}}
    jobs = [job(n, inputs, {"weights": w, "guidance": 0}) for n, w in weights.items()]
    done = made(jobs, tmp_path / "run")
    clear, fog = (pixels(output(done, name)).astype(int) for name in weights)
    far, near = np.s_[:, 31:35, 70:], np.s_[:, 58:, 70:]
    assert np.abs(fog - clear)[far].mean() > 4 * np.abs(fog - clear)[near].mean()


def test_every_frame_says_preview_in_its_corner(inputs: dict[str, Video], tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", frames=2, width=320, height=180)
    color = {"color": measured(scene / "color.mp4")}
    words = {"text": "Black midnight", "guidance": 20, "weights": {"vis": 1.0}}
    done = made([job("big", color, words)], tmp_path / "run")
    for frame in pixels(output(done, "big")):
        corner = frame[-20:, :80].astype(int)
        assert (corner.min(axis=-1) > 150).sum() > 60
        assert (frame[-20:, 100:180].min(axis=-1) > 150).sum() == 0


def test_given_edge_and_vis_passes_are_used(inputs: dict[str, Video], tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[30:32] = 255
    given = measured(write_video(tmp_path / "edge.mp4", [picture] * 6))
    change = {"weights": {"vis": 0.5, "edge": 0.5}}
    jobs = [
        job("none", inputs, change),
        job("edge", {**inputs, "edge": given}, change),
        job("vis", {**inputs, "vis": given}, change),
    ]
    done = made(jobs, tmp_path / "run")
    plain, edge, vis = (pixels(output(done, n)).astype(int) for n in ("none", "edge", "vis"))
    assert np.abs(edge - plain)[:, 29:33].mean() > 10
    assert np.abs(edge - plain)[:, :20].mean() < 3
    assert np.abs(vis - plain).mean() > 8


@pytest.mark.parametrize(("width", "height"), [(97, 65), (16, 16), (33, 200)])
def test_any_size_is_cut_to_even_sides(tmp_path: Path, width: int, height: int) -> None:
    scene = write_scene(tmp_path / "scene", frames=1, width=width, height=height)
    videos = {path.stem: measured(path) for path in scene.glob("*.mp4")}
    done = made(
        [job("odd", videos, {"text": "neon rain, snow at sunset", "fps": 12})], tmp_path / "r"
    )
    assert done.exit_code == 0, done.log
    assert pixels(output(done, "odd")).shape == (1, height // 2 * 2, width // 2 * 2, 3)
    assert measured(output(done, "odd")).fps == "12"


def test_progress_can_be_followed(changed: Done) -> None:
    run_id = job("seed", {}, {}).run_id
    told = [p for p in map(Preview().progress, changed.log.splitlines()) if p]
    own = [p for p in told if p.run_id == run_id]
    *steps, made = own
    assert [(p.done, p.total) for p in steps] == [(n, 6) for n in range(1, 7)]
    assert made.made
    assert not any(p.made for p in steps)


def test_a_bad_sample_does_not_lose_its_mates(inputs: dict[str, Video], tmp_path: Path) -> None:
    broken = inputs["color"].model_copy(update={"sha256": "b" * 64})
    short = measured(write_video(tmp_path / "s.mp4", list(pixels(Path(broken.path)))[:4]))
    jobs = [
        job("broken", {**inputs, "color": broken}, {}),
        job("good", inputs, {}),
        job("short", {**inputs, "color": short}, {}),
    ]
    order = place(jobs, tmp_path / "run")
    (tmp_path / "run" / "inputs" / f"color-{'b' * 16}.mp4").write_bytes(b"no video")
    done = carry_out(order, tmp_path / "run")
    assert done.exit_code == 1
    assert done.outputs() == [output(done, "good").name]
    assert f"FAILED {jobs[0].run_id}: cannot read color-bbbbbbbbbbbbbbbb.mp4" in done.log
    assert f"FAILED {jobs[2].run_id}: the inputs are not of the same length: color" in done.log
    assert done.log.splitlines()[-1].startswith("ERROR: 2 of 3 samples failed")


def test_a_source_that_is_not_as_long_as_said_is_no_result(
    inputs: dict[str, Video], tmp_path: Path
) -> None:
    longer = {"color": inputs["color"].model_copy(update={"frames": 9})}
    done = made([job("long", longer, {"weights": {"edge": 1}})], tmp_path / "run")
    assert done.exit_code == 1
    assert "the source has 6 frames, not 9" in done.log
    assert done.outputs() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read request.json"),
        ("{", "cannot read request.json"),
        ('{"operation": "upscale", "samples": [{}]}', "is not a request for transfer"),
        ('{"operation": "transfer", "samples": []}', "has no samples"),
        ('{"operation": "transfer", "samples": [{"seed": 1}]}', "sample 1 of request.json lacks"),
    ],
)
def test_a_bad_request_is_refused_in_one_line(
    inputs: dict[str, Video], tmp_path: Path, content: str | None, said: str
) -> None:
    order = place([job("a", inputs, {})], tmp_path / "run")
    request = tmp_path / "run" / "request.json"
    request.unlink()
    if content is not None:
        request.write_text(content)
    done = carry_out(order, tmp_path / "run")
    assert done.exit_code == 2
    (line,) = done.log.splitlines()
    assert line.startswith("ERROR: ")
    assert said in line


def test_the_programs_need_nothing_of_the_package(inputs: dict[str, Video], tmp_path: Path) -> None:
    """They run where they were copied to, in an interpreter that cannot import the package."""
    copied = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    ours = [str(copied / "preview"), str(copied / "model")]
    place([job("a", inputs, {})], tmp_path / "run")
    code = (
        "import runpy, sys; sys.modules['cosmos_pipelines'] = None\n"
        f"sys.path[:0] = {ours}\n"
        "sys.argv = ['x', 'request.json']\n"
        f"runpy.run_path('{copied}/preview/preview_transfer.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "run", check=False)
    assert done.returncode == 0


def test_being_stopped_leaves_no_half_written_file(
    inputs: dict[str, Video], tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene", frames=40, width=320, height=176)
    videos = {path.stem: measured(path) for path in scene.glob("*.mp4")}
    order = place([job(name, videos, {}) for name in "abcdefgh"], tmp_path / "run")
    words, env = started_by(order, tmp_path / "run")
    short: dict[str, Any] = {"pipesize": 4096, "text": True}  # it waits in it for who reads
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, **short) as program:
        assert program.stdout is not None
        next(line for line in program.stdout if "frame" in line)
        program.send_signal(signal.SIGTERM)
        program.stdout.read()
    assert program.returncode == 143
    assert not list((tmp_path / "run" / "outputs").glob("*.part"))
