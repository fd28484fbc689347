"""What an operation, a job, an order and an outcome are. Pure data: no files, clocks or processes.

A run's *operation* (fields that the user chose) and its inputs make a *job*; an engine compiles one
or several jobs into an *order*, which a backend carries out and answers with an *outcome*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Final, Literal, Self, cast

from pydantic import Field

from cosmos_pipelines.errors import ErrorKind, InputError
from cosmos_pipelines.frozen import Frozen

ModelType = Literal["transfer", "enhance", "upscale"]
OrderKind = Literal["transfer", "enhance", "upscale", "checkpoints", "smoke"]
"""What an order does: an operation, or a part of a host's set-up."""
Preset = Literal["very_low", "low", "medium", "high", "very_high"]
CONTROLS = ("vis", "edge", "depth", "seg")
"""Control branches, in the order in which weights are written everywhere."""

CONTROL_PASS = {"vis": "vis", "edge": "edge", "depth": "depth", "seg": "segmentation"}
"""The scene's pass that feeds a control; `vis` and `edge` can be computed from `color`."""


class Operation(Frozen):
    """Settings of one GPU operation. CLI options, forms and JSON columns derive from the fields."""

    model_type: ClassVar[ModelType]

    @classmethod
    def aliases(cls) -> dict[str, str]:
        """Other names of fields: what their options are called on the command line."""
        return {
            option.removeprefix("--").replace("-", "_"): name
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict)
            for option in cast("list[str]", field.json_schema_extra.get("cli", []))
        }

    @classmethod
    def named(cls, fields: Mapping[str, Any], what: str | None = None) -> dict[str, Any]:
        """`fields` by their own names.

        Raises:
            InputError: a field is given by two of its names.
        """
        aliases = cls.aliases()
        found: dict[str, Any] = {}
        for given, value in fields.items():
            name = aliases.get(given, given)
            if name in found:
                said = f"{name} is given twice, by two of its names."
                raise InputError(f"{what}: {said}" if what else said, hint="Leave one out.")
            found[name] = value
        return found

    @classmethod
    def parse(
        cls,
        fields: Mapping[str, Any],
        *,
        what: str | None = None,
        kind: type[InputError] = InputError,
    ) -> Self:
        """As `Frozen.parse`; fields may have the names of their options."""
        named = cls.named(fields, what) if isinstance(fields, Mapping) else fields
        return super().parse(named, what=what, kind=kind)

    def config(self) -> dict[str, Any]:
        """The fields as plain JSON values: what is stored as `execution_config`."""
        return self.model_dump(mode="json")


class Video(Frozen):
    """A video file as it was measured: the facts that an engine may rely on."""

    path: str = Field(description="absolute path on this machine")
    sha256: str
    size: int = Field(description="bytes")
    width: int
    height: int
    frames: int
    fps: str = Field(description="exact rate, '24' or '30000/1001'")

    @property
    def rate(self) -> Fraction:
        """Frames a second, exact."""
        return Fraction(self.fps)


class Job(Frozen):
    """One run, ready to be compiled: its settings, its text and its measured inputs."""

    run_id: str
    operation: Operation
    text: str = Field("", description="the prompt's text; empty for an upscale without a prompt")
    negative_prompt: str | None = None
    inputs: Mapping[str, Video] = Field(
        description="by pass name: color, depth, segmentation, edge, vis; `video` for an upscale"
    )


class Expected(Frozen):
    """A file that must exist afterwards, with what can be predicted of it."""

    run_id: str
    name: str = Field(description="path below the run folder's `outputs/`")
    kind: Literal["video", "text"]
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: str | None = None
    made_from: Mapping[str, str] = Field(
        default={}, description="SHA-256 of each input that this file is made from, by pass name"
    )

    @classmethod
    def video(
        cls,
        run_id: str,
        size: tuple[int, int],
        frames: int,
        fps: str,
        used: Mapping[str, Video],
    ) -> Self:
        """A run's video: width and height, length, rate, and what it is made from."""
        return cls(
            run_id=run_id,
            name=f"{run_id}.mp4",
            kind="video",
            width=size[0],
            height=size[1],
            frames=frames,
            fps=fps,
            made_from={name: video.sha256 for name, video in used.items()},
        )

    @classmethod
    def answer(cls, run_id: str, used: Mapping[str, Video]) -> Self:
        """A run's text."""
        made_from = {name: video.sha256 for name, video in used.items()}
        return cls(run_id=run_id, name=f"{run_id}.txt", kind="text", made_from=made_from)


class Directory(Frozen):
    """A directory of the host that outlasts runs (code, weights), as an order sees it."""

    name: str = Field(pattern=r"^[a-z_]+$", description="of its place holder: `code` for `{code}`")
    source: str = Field(
        description="on the host; if relative, below the directory that is ours there"
    )
    target: str = Field(description="in a container")


class Order(Frozen):
    """What one container (or subprocess) must do, as plain data.

    Place holders in `argv` and the values of `env`: `{run}` (the run folder), `{scripts}` (the
    directory of `gpu_scripts`), `{python}` (the interpreter there) and `{name}` of each of the
    `directories`. In `documents` there is `{run}` alone. Nothing else is substituted.
    """

    id: str
    run_ids: tuple[str, ...]
    engine: str
    model_type: OrderKind
    argv: tuple[str, ...]
    env: Mapping[str, str] = {}
    inputs: Mapping[str, Video] = Field(description="by path below the run folder's `inputs/`")
    documents: Mapping[str, str] = Field(
        default={}, description="text files to write, by path below the run folder"
    )
    expected: tuple[Expected, ...]
    gpus: int = 1
    timeout_s: int = 3600
    labels: Mapping[str, str] = Field(
        default={}, description="what its container is marked with besides, as `prompt_id`"
    )
    costs: Mapping[str, Mapping[str, int | str]] = Field(
        default={}, description="chunks, steps, GPUs and kind of each run, where its engine tells"
    )
    directories: tuple[Directory, ...] = ()
    image: str | None = Field(None, description="its container's, unless settings say another")

    def command(self, **places: str) -> list[str]:
        """`argv` with its place holders filled: run, scripts, python, and each directory."""
        return [_filled(word, places) for word in self.argv]

    def environment(self, **places: str) -> dict[str, str]:
        """`env` with its place holders filled, as those of `command`."""
        return {name: _filled(value, places) for name, value in self.env.items()}

    def texts(self, run: str) -> dict[str, str]:
        """`documents` with the run folder's path where they say `{run}`; all of them are JSON."""
        path = json.dumps(run, ensure_ascii=False)[1:-1]
        return {name: text.replace("{run}", path) for name, text in self.documents.items()}


def _filled(text: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda found: places.get(found[1], found[0]), text)


RUN_FOLDER: Final = "\0run\0"
"""The run folder in the data of a document; no text of a user holds a zero byte."""


def as_document(data: object, *, indent: int | None = 2) -> str:
    """`data` as the JSON of an order's document, with `RUN_FOLDER` as `{run}`.

    A text that happens to say `{run}` itself is escaped, so that it stays as it is.
    """
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    text = text.replace("{run}", "\\u007brun}")
    return text.replace(json.dumps(RUN_FOLDER)[1:-1], "{run}") + "\n"


class Verdict(Frozen):
    """Why one run of an order failed."""

    kind: ErrorKind
    message: str


class Outcome(Frozen):
    """How an order ended, as the side that executed it says."""

    exit_code: int | None = Field(description="None: it vanished without leaving one")
    outputs: Mapping[str, str] = Field(default={}, description="file name below outputs -> sha256")
    stopped: Literal["cancelled", "timeout"] | None = Field(
        None, description="set if we ended it ourselves"
    )
    finished: frozenset[str] = Field(
        frozenset(), description="those of the outputs that their program itself called finished"
    )
    failed: Mapping[str, Verdict] = Field(
        default={}, description="why runs have no result, as far as their program has told"
    )
    samples: Mapping[str, Mapping[str, Any]] = Field(
        default={}, description="what their program noted of runs that it has finished: seconds"
    )
