"""Carry out orders of `model_run.py` through `run.sh`, with the small model or a simulator."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import LONG_S

SCRIPTS = Path(__file__).resolve().parents[3] / "gpu_scripts"
SMALL_MODEL = Path(__file__).with_name("small_model.py")
SAYS: dict[str, Any] = {
    "loaded": ["model is loaded"],
    "chunk": ["a chunk is done"],
    "step": [r"step (?P<step>\d+) of (?P<steps>\d+)"],
    "failures": [
        ["blocked", "GUARDRAIL BLOCKED: (.+)", "The guardrail refused {1}."],
        ["out_of_memory", "OutOfMemoryError", "The GPU's memory ran out."],
        ["launch_failed", "is not downloaded", "A checkpoint is missing."],
    ],
}


def run_id(n: int) -> str:
    return f"rs_{n:032x}"


@dataclass
class Order:
    """A run folder to be, for parts whose behaviour is told."""

    folder: Path
    does: Sequence[Sequence[str]]
    """What each sample's part does."""
    prompts: Sequence[str] = ()
    options: Sequence[str] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    """What is different in the request."""
    env: Mapping[str, str] = field(default_factory=dict)
    specs: bool = False
    samples: Sequence[Mapping[str, Any]] = ()
    """What is different in each sample."""
    lines: Sequence[Mapping[str, Any]] | None = None

    def place(self) -> list[str]:
        """Write the run folder; the command."""
        (self.folder / "specs").mkdir(parents=True)
        prompts = self.prompts or [f"prompt {n}" for n in range(len(self.does))]
        parts = [
            {"prompt": prompt, "name": run_id(n), "does": does}
            for n, (prompt, does) in enumerate(zip(prompts, self.does, strict=True))
        ]
        samples = [
            {
                "run_id": run_id(n),
                "prompt": prompt,
                "chunks": 1,
                "output": f"outputs/{run_id(n)}.mp4",
            }
            for n, prompt in enumerate(prompts)
        ]
        words = [str(self.folder / "made"), *self.options]
        if self.specs:
            words.append("--specs")
            for sample, part in zip(samples, parts, strict=True):
                sample["spec"] = f"specs/{sample['run_id']}.json"
                (self.folder / str(sample["spec"])).write_text(json.dumps(part))
                words.append(str(self.folder / str(sample["spec"])))
        else:
            texts = [json.dumps(line) for line in self.lines or parts]
            (self.folder / "batch.jsonl").write_text("".join(f"{text}\n" for text in texts))
            words += ["--lines", str(self.folder / "batch.jsonl")]
        for sample, change in zip(samples, self.samples, strict=False):
            sample.update(change)
        request = {
            "engine": "cosmos_transfer1",
            "operation": "transfer",
            "version": "1",
            "folder": "made",
            "lines": None if self.specs else "batch.jsonl",
            "produces": {"video": "video_{index}/output.mp4", "text": "video_{index}/prompt.txt"},
            "samples": samples,
            "batch_size": 1,
            "needs": {},
            "says": SAYS,
            "of another version": [1, 2],
        }
        (self.folder / "request.json").write_text(json.dumps(request | dict(self.request)))
        return [sys.executable, str(SMALL_MODEL), *words]


@dataclass(frozen=True)
class Done:
    """A run folder after its order has ended."""

    folder: Path
    code: int

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_bytes().decode("utf-8", "replace")

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "outputs" / "record.json").read_bytes())
        return found

    @property
    def failed(self) -> dict[int, tuple[str, str]]:
        """Number of the sample -> kind and sentence."""
        found = re.findall(r"^FAILED rs_(\w+): (\w+): (.+)$", self.log, re.MULTILINE)
        return {int(run, 16): (kind, sentence) for run, kind, sentence in found}

    @property
    def kinds(self) -> dict[int, str]:
        return {n: kind for n, (kind, _) in self.failed.items()}

    @property
    def made(self) -> dict[int, str]:
        """Number of the sample -> what is in its video."""
        paths = sorted((self.folder / "outputs").glob("rs_*.mp4"))
        return {int(p.stem[3:], 16): p.read_text("utf-8", "replace") for p in paths}

    @property
    def loads(self) -> int:
        return int(self.record["loads"])

    @property
    def finished(self) -> dict[str, Any]:
        """What would be known if the host had died then."""
        found: dict[str, Any] = json.loads((self.folder / "finished.json").read_bytes())
        return found

    @property
    def kept(self) -> dict[int, tuple[str, str]]:
        """The failures in it."""
        failed = self.finished["failed"]
        return {int(run[3:], 16): (kind, sentence) for run, (kind, sentence) in failed.items()}

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "result.json").read_bytes())
        return found


def argv_of(folder: Path, command: Sequence[str], program: str = "model_run.py") -> list[str]:
    words = [sys.executable, str(SCRIPTS / "model" / program), str(folder / "request.json")]
    return [*words, *(["--", *command] if command else [])]


def start(
    folder: Path, argv: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", str(SCRIPTS / "run.sh"), str(folder), "--", *argv],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def carry_out(order: Order) -> Done:
    argv = argv_of(order.folder, order.place())
    return Done(order.folder, start(order.folder, argv, order.env).wait(LONG_S))


def carried_out(folder: Path, *does: Sequence[str], **more: Any) -> Done:
    """Both, for parts that do this."""
    return carry_out(Order(folder, does, **more))


def said(folder: Path, pattern: str) -> Callable[[], re.Match[str] | None]:
    """Whether the log says something."""

    def look() -> re.Match[str] | None:
        log = folder / "run.log"
        text = log.read_bytes().decode("utf-8", "replace") if log.exists() else ""
        return re.search(pattern, text)

    return look


def lives(pid: int) -> bool:
    """Whether a process is there, and be it a zombie."""
    return Path(f"/proc/{pid}").exists()
