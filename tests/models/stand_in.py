"""A stand-in for a model: obeys the contract of gpu_scripts/run.sh and behaves as it is told.

    stand_in.py REQUEST.json

It reads the request file of the preview engine and makes tiny plain videos. What it does with a
sample is said by COSMOS_STAND_IN or else by the first word of the sample's prompt:

    fail            FAILED line for this sample, the others are made, exit code 1
    crash           a traceback at once, exit code 1: the samples after it are not made
    paint           colours, a title, a cleared screen and a bell in the log; then as fail
    oom             PyTorch's out-of-memory error, exit code 1
    blocked: WORD   a guardrail refuses this sample, the others are made, exit code 0
    lie             says that it saved the video and exits with 0; there is no file
    short           a video with half of its frames, exit code 0
    truncate        a file that ends in the middle, exit code 0
    matroska        a file of another kind with the name of an mp4, exit code 0
    die N           kills itself with SIGKILL at frame N (1 is the first)
    full N          finds no room on its disk at frame N, exit code 1
    hang            sleeps for ever after its first line; TERM ends it
    hangs FILE      hangs once: not if FILE is there, which it makes: the next attempt works
    stubborn        the same, but ignores TERM
    slow S          S seconds for each frame
    wait FILE       after its first frame waits while FILE is there
    eat FILE        the same, then takes memory until it is killed
    small           a video of half the width, exit code 0
    chatty N        N numbered lines in the log first
    anything else   works
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av


def behaviour_of(sample: dict[str, Any]) -> tuple[str, str]:
    """First word and the rest of what this sample shall do."""
    said = os.environ.get("COSMOS_STAND_IN") or str(sample.get("prompt") or "")
    word, _, rest = said.strip().partition(" ")
    return word.rstrip(":"), rest.strip()


def shape_of(sample: dict[str, Any]) -> tuple[int, int, int, Fraction]:
    """Width, height, frames and rate of the video to make: as its source, if nothing is asked."""
    source = sample["inputs"].get("color") or sample["inputs"]["video"]
    with av.open(source) as file:
        video = file.streams.video[0]
        width = sample.get("width") or video.width - video.width % 2
        height = sample.get("height") or video.height - video.height % 2
        fps = Fraction(sample.get("fps") or video.average_rate or 24)
        return width, height, video.frames, fps


def make_video(sample: dict[str, Any], word: str, rest: str, label: str) -> None:
    """Write the sample's video, one shade of grey a frame, and tell each frame."""
    width, height, frames, fps = shape_of(sample)
    kept = frames // 2 if word == "short" else frames
    width = width // 4 * 2 if word == "small" else width
    kind, preset = ("matroska", "medium") if word == "matroska" else ("mp4", "ultrafast")
    with av.open(sample["output"], "w", format=kind) as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": preset})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(kept):
            if word == "die" and i + 1 == int(rest):
                os.kill(os.getpid(), signal.SIGKILL)
            if word == "full" and i + 1 == int(rest):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if word == "slow":
                tell_idle()
                time.sleep(float(rest))
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([(64 + 8 * i) % 256]) * plane.buffer_size)
            frame.pts, frame.time_base = i, 1 / fps
            out.mux(stream.encode(frame))
            print(f"{label} transfer: frame {i + 1}/{frames}")
            if word in ("wait", "eat") and i == 0:
                wait_while_there(Path(rest))
            if word == "eat":
                take_memory()
        out.mux(stream.encode())


def tell_idle() -> None:
    """Note in the run folder that a GPU would do nothing from now on."""
    with suppress(OSError):  # the folder may be gone, or its disk full
        Path("idle").touch()


def wait_while_there(file: Path) -> None:
    """Wait until somebody removes a file."""
    tell_idle()
    while file.exists():
        time.sleep(0.02)


def take_memory(limit: int = 4 << 30) -> None:
    """Touch more and more memory, at most `limit` bytes."""
    taken = []
    while len(taken) << 24 < limit:
        taken.append(b"x" * (1 << 24))


def make_text(sample: dict[str, Any]) -> None:
    """Write the sample's enhanced text."""
    text = f"{sample['prompt']}, seen by a stand-in."
    Path(sample["output"]).write_text(text, encoding="utf-8")


def truncate(path: Path) -> None:
    """Cut a file in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def wait_for_ever(stubborn: bool) -> None:
    """Sleep until a signal ends us."""
    tell_idle()
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("stubborn: TERM is ignored")
    while True:
        time.sleep(60)


def first_time(file: Path) -> bool:
    """Whether nobody has made this file before."""
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def do(sample: dict[str, Any], label: str) -> bool:
    """Make one sample as it is told; False if it failed and the next one may go on."""
    run_id = sample["run_id"]
    word, rest = behaviour_of(sample)
    if word == "paint":
        print("\x1b]0;owned\x07\x1b[2J\x1b[H\x1b[31mpainted\x1b[0m\x07 10%\r 20%\x9b6n")
        print(f"FAILED {run_id}: painted \x1b[5mred\x1b]52;c;cm0=\x07")
        return False
    if word == "fail":
        print(f"FAILED {run_id}: told to fail")
        return False
    if word == "crash":
        raise RuntimeError("told to crash")
    if word == "oom":
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")
        sys.exit(1)
    if word == "blocked":
        print(f"BLOCKED {run_id}: the guardrail refuses the word {rest!r}")
        return True
    if word in ("hang", "stubborn") or (word == "hangs" and first_time(Path(rest))):
        wait_for_ever(word == "stubborn")
    for i in range(int(rest) if word == "chatty" else 0):
        print(f"line {i}")
    if word == "lie":
        print(f"saved {sample['output']}")
    elif sample["output"].endswith(".txt"):
        make_text(sample)
    else:
        make_video(sample, word, rest, label)
        if word == "truncate":
            truncate(Path(sample["output"]))
    return True


def main(request: str) -> int:
    """Make all samples of a request."""
    samples = json.loads(Path(request).read_text(encoding="utf-8"))["samples"]
    print(f"stand-in: {len(samples)} sample(s)")
    done = [do(s, f"[{i}/{len(samples)}] {s['run_id']}") for i, s in enumerate(samples, 1)]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
