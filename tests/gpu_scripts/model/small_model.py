"""A model's entry point, as small as can be: writes files, says lines, and does what it is told.

    small_model.py FOLDER (--lines FILE | --specs FILE...) [--batch-size N] [--skip]

One line or spec a part: {"prompt": ..., "name": ..., "does": [...]}. It knows no video: its videos
are the words "video of <prompt>", or a copy of the line's `video`. What a part does, in order:

    say TEXT        a line (`say` alone: nothing)      bytes HEX   raw bytes
    blocked WORD    refused before the work            sleep S     for S seconds
    video_blocked   refused after it                   exit N      ends with N
    oom             PyTorch's error                    signal N    kills itself
    raise TEXT      ValueError: TEXT                   hang | stubborn | orphan (a child that stays)
    no_text | lie   writes a part of it, or nothing    text TEXT   writes this beside the video
    gone N          ends with N instead of writing     half TEXT   ends while it writes the text

A refused sub-batch ends it with a TypeError, as Cosmos-Transfer1 does; with `--skip` it is left
out, as Cosmos-Transfer2.5 does. Survivors of a sub-batch are written one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Part = dict[str, Any]


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("folder", type=Path)
    words.add_argument("--lines", type=Path)
    words.add_argument("--specs", type=Path, nargs="*", default=[])
    words.add_argument("--batch-size", type=int, default=1)
    words.add_argument("--skip", action="store_true")
    words.add_argument("--named", action="store_true")
    words.add_argument("--quiet", action="store_true")
    args = words.parse_args()
    texts = args.lines.read_text().splitlines() if args.lines else None
    parts = [json.loads(t) for t in texts or [s.read_text() for s in args.specs]]
    args.folder.mkdir()
    say("model is loaded")
    for start in range(0, len(parts), args.batch_size):
        make(args, parts[start : start + args.batch_size], start)


def make(args: argparse.Namespace, parts: list[Part], start: int) -> None:
    """One sub-batch."""
    folders = [
        args.folder / (part["name"] if args.named else f"video_{start + n}")
        for n, part in enumerate(parts)
    ]
    for folder, part in zip(folders, parts, strict=True):
        folder.mkdir()
        say(f"begins with {part.get('name')}")
    safe = [part for part in parts if not told(part, "blocked")]
    for n, part in enumerate(parts):
        if word := told(part, "blocked"):
            say(f"GUARDRAIL BLOCKED: the word {word} of prompt {n}")
    for part in safe:
        work(part)
    shown = [part for part in safe if not told(part, "video_blocked")]
    for _ in range(len(safe) - len(shown)):
        say("GUARDRAIL BLOCKED: a frame")
    if not shown and not args.skip:
        raise TypeError("cannot unpack non-iterable NoneType object")
    for folder, part in zip(folders, shown):  # noqa: B905  survivors move up
        write(folder, part)
        say("Saved" if args.quiet else f"Saved {folder}/output.mp4")


def told(part: Part, what: str) -> str | None:
    """What comes after a word of its behaviour."""
    for words in part.get("does", []):
        word, _, rest = words.partition(" ")
        if word == what:
            return rest or " "
    return None


def work(part: Part) -> None:
    """Be in work, as told."""
    for step in (1, 2):
        say(f"step {step} of 2")
    say("a chunk is done")
    for words in part.get("does", []):
        word, _, rest = words.partition(" ")
        if word == "say" and rest:
            say(rest)
        elif word == "bytes":
            os.write(1, bytes.fromhex(rest))
        elif word == "oom":
            say("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")
            sys.exit(1)
        elif word == "exit":
            sys.exit(int(rest))
        elif word == "signal":
            os.kill(os.getpid(), int(rest))
        elif word == "raise":
            raise ValueError(rest)
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "orphan":
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            say(f"orphan {child.pid}")
        elif word in ("hang", "stubborn"):
            wait_for_ever(word == "stubborn")


def wait_for_ever(stubborn: bool) -> None:
    """As torchrun's workers do, in a session that no signal to ours reaches, if stubborn."""
    if stubborn:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 300"], start_new_session=True)
        say(f"stubborn {os.getpid()} {child.pid}")
    else:
        say(f"hangs {os.getpid()}")
    time.sleep(300)


def write(folder: Path, part: Part) -> None:
    """The video first, its text last."""
    if told(part, "lie"):
        return
    if code := told(part, "gone"):
        sys.exit(int(code))
    if part.get("video"):
        shutil.copy(part["video"], folder / "output.mp4")
    else:
        (folder / "output.mp4").write_text(f"video of {part['prompt']}")
    if half := told(part, "half"):
        (folder / "prompt.txt").write_text(half)
        sys.exit(1)
    if not told(part, "no_text"):
        (folder / "prompt.txt").write_text(told(part, "text") or part["prompt"])


if __name__ == "__main__":
    main()
