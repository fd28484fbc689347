"""The request to `transfer1_upsample.py`: prompts to answer, each with its source video.

Runs on the GPU side: Python 3.10 or newer and its standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_needs import Needs, Refused
from model_request import Fields, read_fields, read_needs


@dataclass(frozen=True)
class Prompt:
    """One prompt to answer."""

    place: str
    """The beginning of a log line about this prompt."""
    run_id: str
    text: str
    output: str
    source: str
    resolution: int

    @property
    def clip(self) -> str:
        """Path of the clip with the source's first frames, below the run folder."""
        return f"clips/{self.run_id}.mp4"


@dataclass(frozen=True)
class Prompts:
    """A request."""

    run: Path
    engine: str
    needs: Needs
    prompts: tuple[Prompt, ...]


def read_prompts(path: Path) -> Prompts:
    """Read and check a request file.

    Raises:
        Refused: the file is not a valid request.
    """
    fields = read_fields(path)
    if (operation := fields.text("operation")) != "enhance":
        raise Refused("validation", f"{path.name} is a request for {operation}, not for enhance")
    items = fields.items("samples")
    if not items:
        raise Refused("validation", "the request has no samples")
    prompts = tuple(
        _prompt(Fields(item, f"sample {n}"), f"{n}/{len(items)}") for n, item in enumerate(items, 1)
    )
    return Prompts(path.parent, fields.text("engine"), read_needs(fields), prompts)


def _prompt(fields: Fields, place: str) -> Prompt:
    run_id = fields.text("run_id")
    return Prompt(
        place=f"[{place}] {run_id} enhance:",
        run_id=run_id,
        text=fields.text("prompt"),
        output=fields.path("output"),
        source=fields.path("source"),
        resolution=max(16, fields.count("resolution", 480)),
    )
