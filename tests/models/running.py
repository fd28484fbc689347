"""Runs simulators as processes, and makes and reads their little videos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av

from tests.models import trees
from tests.models.simulated import videos
from tests.support.waiting import LONG_S

TRANSFER1: Final = "cosmos_transfer1/diffusion/inference/transfer.py"


@dataclass(frozen=True)
class Host:
    """A family's checkout, its checkpoints and its Hugging Face cache."""

    code: Path
    checkpoints: Path
    huggingface: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a run, without those of a launcher that may have started us."""
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
        return {
            **kept,
            "PATH": trees.path_with_torchrun(),
            "PYTHONPATH": str(self.code),
            "HF_HOME": str(self.huggingface),
            "PYTHONDONTWRITEBYTECODE": "1",
            **more,
        }

    def start(self, *words: str | Path, **more: str) -> subprocess.Popen[str]:
        """A process in the checkout, both of its streams in one."""
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=self.code,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str | Path, **more: str) -> Ended:
        """A process until its end."""
        with self.start(*words, **more) as process:
            said = process.communicate(timeout=LONG_S)[0]
            return Ended(process.returncode, said)

    def python(self, *words: str | Path, **more: str) -> Ended:
        """This very Python until its end."""
        return self.run(sys.executable, *words, **more)


@dataclass(frozen=True)
class Ended:
    """What a process said and ended with."""

    code: int
    said: str

    @property
    def last(self) -> str:
        """The last line."""
        return self.said.rstrip().splitlines()[-1]


class Transfer1:
    """A folder of one test of Cosmos-Transfer1: a source video, a spec and lines."""

    def __init__(self, host: Host, place: Path) -> None:
        self.host, self.place = host, place
        self.made = place / "made"
        self.source = clip(place / "source.mp4", 5)
        self.spec: dict[str, Any] = {"input_video_path": str(self.source), "prompt": "a street"}
        self.spec["vis"] = {"control_weight": 0.5, "input_control": str(self.source)}

    def line(self, prompt: str | None, **more: Any) -> dict[str, Any]:
        """One line of a batch."""
        return {"visual_input": str(self.source), "prompt": prompt, **more}

    def write(self, lines: list[dict[str, Any]] | str | None) -> list[str]:
        """The words of a command for the spec as it is now."""
        (self.place / "spec.json").write_text(json.dumps(self.spec))
        words = ["--checkpoint_dir", str(self.host.checkpoints), "--video_save_folder",
                 str(self.made), "--controlnet_specs", str(self.place / "spec.json")]  # fmt: skip
        if lines is not None:
            text = lines if isinstance(lines, str) else "\n".join(map(json.dumps, lines))
            (self.place / "batch.jsonl").write_text(text)
            words += ["--batch_input_path", str(self.place / "batch.jsonl")]
        return [TRANSFER1, *words]

    def run(self, *words: str, lines: Any = None, **env: str) -> Ended:
        """The simulator without a launcher until its end."""
        return self.host.python(*self.write(lines), *words, **env)

    def prompt_of(self, index: int) -> str:
        """The text beside a video of a batch."""
        return (self.made / f"video_{index}" / "prompt.txt").read_text()


def host_of(name: str, place: Path) -> Host:
    """A complete stand-in host below `place`."""
    host = Host(place / "code", place / "checkpoints", place / "huggingface")
    trees.checkout(name, host.code)
    trees.fake_hub(host.huggingface)
    trees.fake_checkpoints(name, host.checkpoints if name == "transfer1" else host.huggingface)
    return host


def shades(frames: int, first: int = 20) -> tuple[int, ...]:
    """Lumas that tell each frame from its neighbours."""
    return tuple(first + 7 * i % 200 for i in range(frames))


def clip(
    path: Path, frames: int, size: tuple[int, int] = (64, 36), rate: str = "24", first: int = 20
) -> Path:
    """A video to be read by a simulator."""
    lumas = shades(frames, first)
    videos.write(path, videos.Clip(*size, Fraction(rate), lumas), "source")
    return path


def title(path: Path) -> str:
    """What a video's container calls it."""
    with av.open(str(path)) as file:
        return file.metadata["title"]
