"""Sources that are made in pieces: cut, made one by one, joined; every frame once, in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.gpu_scripts.model.model_orders import (
    Done,
    Order,
    argv_of,
    carry_out,
    lives,
    run_id,
    said,
    start,
)
from tests.support.videos import Pixels, pixels, write_video
from tests.support.waiting import LONG_S, until

BITS, BAR, HEIGHT = 9, 8, 32
OF_RUN_SH = ("sh", "cat", "date", "dd", "dirname", "find", "grep", "ln", "mv", "paste", "rm")
OF_RUN_SH += ("sha256sum", "sort", "sync", "wc")


def numbered(numbers: Iterable[int]) -> Iterable[Pixels]:
    """Pictures that say their number, in bars of black and white."""
    for n in numbers:
        bits = [255 * (n >> bit & 1) for bit in range(BITS)]
        row = np.repeat(np.array(bits, np.uint8), BAR)
        yield np.repeat(np.tile(row, (HEIGHT, 1))[..., None], 3, axis=-1)


def numbers_of(video: Path) -> list[int]:
    """The numbers of a video's pictures."""
    found = []
    for picture in pixels(video):
        bars = picture[:, BAR // 2 :: BAR, 0].mean(axis=0) > 127
        found.append(int(sum(int(bar) << bit for bit, bar in enumerate(bars))))
    return found


def pieces_of(frames: int, most: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Pieces of `most` frames, the last one moved back; how many of each are kept."""
    starts = [*range(0, frames - most, most), frames - most]
    pieces = [(first, first + most) for first in starts]
    ends = [0, *(end for _, end in pieces)]
    return pieces, [end - before for before, end in pairwise(ends)]


def order(
    folder: Path, frames: int, most: int, does: list[list[str]] | None = None, **more: Any
) -> Order:
    """One upscale of a numbered source, by a model that hands back what it is given."""
    rate = more.pop("rate", Fraction(24))
    source = folder.with_name(f"{folder.name}.mp4")
    write_video(source, numbered(range(more.pop("source_frames", frames))), rate)
    (folder / "inputs").mkdir(parents=True)
    shutil.move(source, folder / "inputs" / "video.mp4")
    pieces, keep = pieces_of(frames, most)
    sample = {
        "chunks": len(pieces),
        "frames": frames,
        "fps": str(rate),
        "source": "inputs/video.mp4",
        "pieces": pieces,
        "keep": keep,
    }
    lines = [
        {
            "prompt": "prompt 0",
            "video": str(folder / f"pieces/{run_id(0)}.{k:03}.mp4"),
            "does": (does or [[] for _ in pieces])[k],
        }
        for k in range(len(pieces))
    ]
    request = {"operation": "upscale", **more.pop("request", {})}
    return Order(folder, [[]], samples=[sample], lines=lines, request=request, **more)


def facts(video: Path) -> tuple[Any, ...]:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        coder = stream.codec_context
        assert stream.start_time == 0
        times = [f.pts * stream.time_base for f in container.decode(stream) if f.pts is not None]
        rate = stream.average_rate
        assert rate is not None
        assert times == [n / rate for n in range(len(times))]
        colours = (coder.colorspace, coder.color_primaries, coder.color_trc)
        return (str(rate), stream.frames, coder.name, coder.pix_fmt, colours)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001)])
def test_every_frame_of_a_long_source_is_there_once_in_order(
    tmp_path: Path, rate: Fraction
) -> None:
    done = carry_out(order(tmp_path / "run", 400, 121, rate=rate))
    assert done.code == 0, done.log
    output = tmp_path / "run" / "outputs" / f"{run_id(0)}.mp4"
    assert numbers_of(output) == list(range(400))
    tags = (1, 2, 2)  # of the pieces
    assert facts(output) == (str(rate), 400, "h264", "yuv420p", tags)
    record = done.record["samples"][run_id(0)]
    assert "model_sha256" not in record
    assert record["seconds"] >= 0
    assert numbers_of(tmp_path / "run" / "pieces" / f"{run_id(0)}.003.mp4") == list(range(279, 400))
    content = output.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert sorted(done.result()["outputs"]) == ["record.json", f"{run_id(0)}.mp4"]


def test_pieces_are_cut_without_loss(tmp_path: Path) -> None:
    carry_out(order(tmp_path / "run", 20, 12))
    source = pixels(tmp_path / "run" / "inputs" / "video.mp4")
    cut = pixels(tmp_path / "run" / "pieces" / f"{run_id(0)}.001.mp4")
    assert np.array_equal(cut, source[8:])


def test_a_source_of_one_piece_is_the_models_own_file(tmp_path: Path) -> None:
    done = carry_out(order(tmp_path / "run", 9, 9))
    output = tmp_path / "run" / "outputs" / f"{run_id(0)}.mp4"
    piece = tmp_path / "run" / "pieces" / f"{run_id(0)}.000.mp4"
    assert done.code == 0
    assert output.read_bytes() == piece.read_bytes()
    assert done.record["samples"][run_id(0)]["model_sha256"]


def test_progress_is_that_of_all_pieces(tmp_path: Path) -> None:
    done = carry_out(order(tmp_path / "run", 20, 12, [["sleep 1.5"], ["sleep 1.5"]]))
    told = [line for line in done.log.splitlines() if line.startswith("[")]
    head = f"[1/1] {run_id(0)} upscale:"
    assert told[0] == f"{head} loading (load 1)"
    assert f"{head} chunk 1/2" in told
    assert f"{head} chunk 2/2" in told
    assert told[-1].startswith(f"{head} done in ")


def test_a_failed_piece_fails_its_sample_and_no_other_piece_is_made(tmp_path: Path) -> None:
    does = [[], ["video_blocked"], []]
    done = carry_out(order(tmp_path / "run", 30, 12, does))
    assert done.code == 1
    assert done.failed == {0: ("blocked", "Piece 2 of 3: The guardrail refused a frame.")}
    assert done.loads == 1
    assert not list((tmp_path / "run" / "outputs").glob("*.mp4"))


def test_a_piece_with_too_few_frames_is_no_result(tmp_path: Path) -> None:
    wanted = order(tmp_path / "run", 20, 12)
    short = write_video(tmp_path / "short.mp4", numbered(range(5)))
    assert wanted.lines is not None
    wanted.lines = [wanted.lines[0], {**wanted.lines[1], "video": str(short)}]
    done = carry_out(wanted)
    said = "The model made 5 frames of piece 2 of 2, not 12."
    assert done.failed == {0: ("model_failed", said)}
    assert list((tmp_path / "run" / "outputs").iterdir()) == [
        tmp_path / "run" / "outputs" / "record.json"
    ]


def test_a_source_that_is_not_as_long_as_said_is_refused_before_the_model_is_started(
    tmp_path: Path,
) -> None:
    done = carry_out(order(tmp_path / "run", 20, 12, source_frames=19))
    assert done.code == 1
    said = "its frames 8 to 19 are 11, not 12."
    assert done.failed[0] == (
        "validation",
        f"inputs/video.mp4 is not as long as the request says: {said}",
    )
    assert not (tmp_path / "run" / "made").exists()


def test_a_source_that_cannot_be_cut_loses_none_of_the_others(tmp_path: Path) -> None:
    wanted = order(tmp_path / "run", 20, 12)
    (tmp_path / "run" / "inputs" / "broken.mp4").write_bytes(b"no video")
    whole = {"run_id": run_id(0), "prompt": "prompt 0", "output": f"outputs/{run_id(0)}.mp4"}
    broken = {**wanted.samples[0], **whole, "source": "inputs/broken.mp4"}
    good = {**wanted.samples[0], "prompt": "prompt 0"}
    good |= {"run_id": run_id(1), "output": f"outputs/{run_id(1)}.mp4"}
    assert wanted.lines is not None
    lines = [
        {**line, "video": str(line["video"]).replace(run_id(0), run_id(n))}
        for n in (0, 1)
        for line in wanted.lines
    ]
    wanted.does, wanted.lines, wanted.samples = [[], []], lines, [broken, good]
    done = carry_out(wanted)
    assert done.kinds == {0: "validation"}
    assert numbers_of(tmp_path / "run" / "outputs" / f"{run_id(1)}.mp4") == list(range(20))
    assert len((tmp_path / "run" / "batch.1.jsonl").read_text().splitlines()) == 2


def test_frames_can_be_counted_without_ffprobe(tmp_path: Path) -> None:
    """As where ffmpeg is the one that imageio_ffmpeg brings."""
    (tmp_path / "bin").mkdir()
    for name in ("ffmpeg", *OF_RUN_SH):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    done = carry_out(order(tmp_path / "run", 20, 12, env={"PATH": str(tmp_path / "bin")}))
    assert done.code == 0, done.log
    assert numbers_of(tmp_path / "run" / "outputs" / f"{run_id(0)}.mp4") == list(range(20))


def slow_ffmpeg(tmp_path: Path, word: str) -> dict[str, str]:
    """An ffmpeg that does not end where this word is among its arguments."""
    real = shutil.which("ffmpeg")
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ffmpeg"
    sleep = 'echo $$ >"$COSMOS_RUN_DIR/ffmpeg.pid"; exec sleep 300'
    script.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) {sleep};; esac\nexec {real} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("word", ["split=", "concat="])
def test_a_signal_while_ffmpeg_works_ends_it_and_keeps_what_is_finished(
    tmp_path: Path, word: str
) -> None:
    folder = tmp_path / "run"
    wanted = order(folder, 20, 12, env=slow_ffmpeg(tmp_path, word))
    script = start(folder, argv_of(folder, wanted.place()), wanted.env)
    until(
        lambda: (folder / "ffmpeg.pid").exists() and (folder / "ffmpeg.pid").read_text(), "ffmpeg"
    )
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    done = Done(folder, 143)
    assert done.failed == {}
    assert done.record["samples"] == {}
    assert not lives(int((folder / "ffmpeg.pid").read_text()))


def test_the_model_goes_on_while_pieces_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wanted = order(folder, 20, 12, env=slow_ffmpeg(tmp_path, "concat="))
    assert wanted.lines is not None
    wanted.does = [[], []]
    second = {"chunks": 1, "operation": "upscale"}
    wanted.samples = [wanted.samples[0], second]
    wanted.lines = [*wanted.lines, {"prompt": "prompt 1", "does": []}]
    script = start(folder, argv_of(folder, wanted.place()), wanted.env)
    until(said(folder, f"{run_id(1)} upscale: done"), "its log")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert (folder / "outputs" / f"{run_id(1)}.mp4").exists()


def test_a_joined_video_that_cannot_be_put_in_its_place_fails_its_sample_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    wanted = order(folder, 20, 12)
    (folder / "outputs" / f"{run_id(0)}.mp4").mkdir(parents=True)
    assert wanted.lines is not None
    wanted.does = [[], ["sleep 2"], []]
    ones = [{"prompt": f"prompt {n}", "does": wanted.does[n]} for n in (1, 2)]
    wanted.samples = [wanted.samples[0], {"chunks": 1}, {"chunks": 1}]
    wanted.lines = [*wanted.lines, *ones]
    done = carry_out(wanted)
    assert done.failed == {0: ("model_failed", "A file cannot be read or written: Is a directory.")}
    assert done.record["samples"].keys() == {run_id(1), run_id(2)}
    assert (done.code, done.loads) == (1, 1)
    assert "Traceback" not in done.log


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_told_as_one(tmp_path: Path, words: str) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ffmpeg"
    script.write_text(f"#!/bin/sh\necho 'av_interleaved_write: {words}' >&2; exit 1")
    script.chmod(0o755)
    env = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = carry_out(order(tmp_path / "run", 20, 12, env=env))
    assert done.kinds == {0: "disk_full"}


def test_without_any_ffmpeg_it_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wanted = order(folder, 20, 12)
    argv = argv_of(folder, wanted.place())
    (tmp_path / "bin").mkdir()
    env = {"PATH": str(tmp_path / "bin")}
    done = subprocess.run([argv[0], "-S", *argv[1:]], env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"REFUSED: launch_failed: ffmpeg is not on PATH" in done.stdout
