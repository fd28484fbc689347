"""The model of the soak: model.py REQUEST.json SEED ACCOUNT_DIRECTORY

It makes tiny videos slowly, fails one time in ten and hangs one time in fifty, by the seed and the
prompt. Half of those that hang do so once on each host. What it does is written to `account.jsonl`
on its host, which nothing else of the soak and nothing of the product writes:

    {"event": "start", "token": ..., "order": ..., "host": ..., "gpus": [...], "runs": [...]}
    {"event": "beat" | "made" | "failed" | "hangs" | "end", "token": ..., "at": seconds, ...}

Each line has the time. A program whose power is cut has no end: its last beat counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
import uuid
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import av
from model_files import Finished

BEAT_S = 1.0
LOAD_S = 3.0
"""Seconds for what a real model needs to load its weights."""
SHORTEST_S, LONGEST_S = 10.0, 80.0
"""Seconds that a sample takes."""
FAILS, HANGS = 1 / 10, 1 / 50


class Account:
    """Appends lines to the host's account; each is one write, so that programs do not mix them."""

    def __init__(self, directory: Path, order: str, runs: list[str]) -> None:
        self._file = os.open(
            directory / "account.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666
        )
        self._token = uuid.uuid4().hex
        self.write("start", order=order, runs=runs, host=host_name(), gpus=gpus())
        threading.Thread(target=self._beat, daemon=True).start()

    def write(self, event: str, **facts: Any) -> None:
        """Append what has happened now."""
        line = {"event": event, "token": self._token, "at": time.time(), **facts}
        os.write(self._file, f"{json.dumps(line)}\n".encode())

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT_S)
            self.write("beat")


def host_name() -> str:
    """A Slurm node's name, or the name that the settings give to the host."""
    return os.environ.get("SLURMD_NODENAME") or os.environ["SOAK_HOST"]


def gpus() -> list[str]:
    """The host's own numbers of the GPUs that this program was given."""
    given = os.environ.get("SLURM_JOB_GPUS") or os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    return [word for word in given.split(",") if word]


def chance(seed: str, what: str, text: str) -> float:
    """A number from 0 to 1 that is always the same for the same words."""
    return int(hashlib.sha256(f"{seed} {what} {text}".encode()).hexdigest()[:12], 16) / 16**12


def hangs(seed: str, prompt: str, directory: Path) -> bool:
    """Whether this sample hangs now."""
    if chance(seed, "hangs", prompt) >= HANGS:
        return False
    if chance(seed, "again", prompt) < 1 / 2:
        return True
    marker = directory / hashlib.sha256(prompt.encode()).hexdigest()[:16]
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def work(seconds: float, label: str) -> None:
    """Do nothing for so long, and say so every two seconds."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        print(f"{label} works")
        time.sleep(min(2.0, left))


def make_video(sample: dict[str, Any], label: str, seconds: float) -> None:
    """Write a video of random greys, another one each time, and tell each frame."""
    greys = random.SystemRandom()
    target = Path(sample["output"])
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    rate = Fraction(sample["rate"])
    with av.open(str(part), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width, stream.height = sample["width"], sample["height"]
        stream.pix_fmt = "yuv420p"
        for i in range(sample["frames"]):
            work(seconds / sample["frames"], label)
            frame = av.VideoFrame(sample["width"], sample["height"], "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([greys.randrange(16, 236)]) * plane.buffer_size)
            frame.pts, frame.time_base = i, 1 / rate
            out.mux(stream.encode(frame))
            print(f"{label} transfer: frame {i + 1}/{sample['frames']}")
        out.mux(stream.encode())
    part.replace(target)


def main(request: str, seed: str, directory: str) -> int:
    """Make all samples of a request."""
    samples = json.loads(Path(request).read_text(encoding="utf-8"))["samples"]
    order = json.loads(Path("order.json").read_text(encoding="utf-8"))["id"]
    account = Account(Path(directory), order, [sample["run_id"] for sample in samples])

    def asked_to_end(number: int, frame: FrameType | None) -> None:
        account.write("end", code=128 + number)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, asked_to_end)
    print("loads the weights")
    time.sleep(LOAD_S)
    finished = Finished(Path.cwd(), print)
    failed = 0
    for i, sample in enumerate(samples, 1):
        run_id, prompt = sample["run_id"], sample["prompt"]
        label = f"[{i}/{len(samples)}] {run_id}"
        if chance(seed, "fails", prompt) < FAILS:
            account.write("failed", run=run_id)
            print(f"FAILED {run_id}: the soak lets it fail")
            failed += 1
            continue
        if hangs(seed, prompt, Path(directory)):
            account.write("hangs", run=run_id)
            while True:
                time.sleep(60)
        took = SHORTEST_S + (LONGEST_S - SHORTEST_S) * chance(seed, "takes", prompt) ** 2
        make_video(sample, label, took)
        sha256 = hashlib.sha256(Path(sample["output"]).read_bytes()).hexdigest()
        account.write("made", run=run_id, sha256=sha256)
        finished.add(sample["output"])
        print(f"{label} transfer: done, {sample['output']}")
    code = 1 if failed else 0
    account.write("end", code=code)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
