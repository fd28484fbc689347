"""The types operation, job, order and outcome. Pure data: no files, clocks or processes.

A run's *operation* (the user's settings) and its inputs make a *job*. An engine compiles one or
several jobs into an *order*. A backend executes the order and returns an *outcome*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Final, Literal, Self, cast

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from cosmos_pipelines.errors import ErrorKind, InputError
from cosmos_pipelines.frozen import Frozen

ModelType = Literal["transfer", "enhance", "upscale"]
OrderKind = Literal["transfer", "enhance", "upscale", "checkpoints", "smoke"]
"""The kinds of orders: the operations, and the steps of a host's set-up."""
Preset = Literal["very_low", "low", "medium", "high", "very_high"]
CONTROLS = ("vis", "edge", "depth", "seg")
"""Control branches, in the order in which weights are written everywhere."""

CONTROL_PASS = {"vis": "vis", "edge": "edge", "depth": "depth", "seg": "segmentation"}
"""The scene's pass that feeds a control; `vis` and `edge` can be computed from `color`."""


class Operation(Frozen):
    """Settings of one GPU operation. CLI options, forms and JSON columns derive from the fields."""

    model_type: ClassVar[ModelType]
    ours: ClassVar[frozenset[str]] = frozenset()
    """Fields on the use of the result, which no engine reads."""

    @classmethod
    def aliases(cls) -> dict[str, str]:
        """Return the other names of fields: the names of their options on the command line."""
        return {
            option.removeprefix("--").replace("-", "_"): name
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict)
            for option in cast("list[str]", field.json_schema_extra.get("cli", []))
        }

    @classmethod
    def named(cls, fields: Mapping[str, Any], what: str | None = None) -> dict[str, Any]:
        """Return `fields` by their own names.

        Raises:
            InputError: a field is given by two of its names.
        """
        aliases = cls.aliases()
        found: dict[str, Any] = {}
        for given, value in fields.items():
            name = aliases.get(given, given)
            if name in found:
                problem = f"{name} is given twice, by two of its names."
                raise InputError(f"{what}: {problem}" if what else problem, hint="Leave one out.")
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
        """Build as `Frozen.parse` does; fields may have the names of their options."""
        named = cls.named(fields, what) if isinstance(fields, Mapping) else fields
        return super().parse(named, what=what, kind=kind)

    def config(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, as stored in `execution_config`."""
        return self.model_dump(mode="json")

    def chosen(self) -> set[str]:
        """Return the fields whose value is not the default."""
        fields = type(self).model_fields.items()
        return {
            name
            for name, info in fields
            if getattr(self, name) != info.get_default(call_default_factory=True)
        }


class Video(Frozen):
    """A video file with its measured facts, which an engine may rely on."""

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
    """A run that an engine can compile: its settings, its text and its measured inputs."""

    run_id: str
    operation: Operation
    text: str = Field("", description="the prompt's text; empty for an upscale without a prompt")
    negative_prompt: str | None = None
    inputs: Mapping[str, Video] = Field(
        description="by pass name: color, depth, segmentation, edge, vis; `video` for an upscale"
    )


class Expected(Frozen):
    """A file that the order must make, with its predicted facts."""

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
        """Return a run's video: width and height, length, rate, and the inputs of the video."""
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
        """Return a run's text file, made from these inputs."""
        made_from = {name: video.sha256 for name, video in used.items()}
        return cls(run_id=run_id, name=f"{run_id}.txt", kind="text", made_from=made_from)


class Directory(Frozen):
    """A directory of the host that is kept after runs (code, weights), as an order sees it."""

    name: str = Field(pattern=r"^[a-z_]+$", description="the place holder: `code` for `{code}`")
    source: str = Field(description="path on the host; a relative path is below `remote_dir`")
    target: str = Field(description="path in a container")


OWN_CHECKPOINT: Final = "checkpoint"
"""Name of the directory with a checkpoint that settings name instead of the engine's weights."""


class Order(Frozen):
    """The work of one container (or subprocess), as plain data.

    Place holders in `argv` and the values of `env`: `{run}` (the run folder), `{scripts}` (the
    directory of `gpu_scripts`), `{python}` (the interpreter of the place) and `{name}` of each of
    the `directories`. In `documents` only `{run}` is a place holder.
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
    programs: tuple[str, ...] = Field(
        (), description="documents that are code: written without changes"
    )
    expected: tuple[Expected, ...]
    gpus: int = 1
    timeout_s: int = 3600
    labels: Mapping[str, str] = Field(
        default={}, description="more labels of the container, such as `prompt_id`"
    )
    costs: Mapping[str, Mapping[str, int | str]] = Field(
        default={}, description="chunks, steps, GPUs and kind of each run, if the engine gives them"
    )
    directories: tuple[Directory, ...] = ()
    image: str | None = Field(None, description="the container's image, unless settings name one")
    weights: str = Field("", description="weights that settings chose instead of the engine's own")
    added: Mapping[str, tuple[str, ...]] = Field(
        default={}, description="by run of a mixed load: controls of others, executed with weight 0"
    )

    @model_serializer(mode="wrap")
    def _without_nothing(self, usual: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A strict order is written as ever."""
        data: dict[str, Any] = usual(self)
        if not self.added:
            data.pop("added", None)
        return data

    def command(self, **places: str) -> list[str]:
        """Return `argv` with its place holders filled: run, scripts, python, each directory."""
        return [_filled(word, places) for word in self.argv]

    def environment(self, **places: str) -> dict[str, str]:
        """Return `env` with its place holders filled, as in `command`."""
        return {name: _filled(value, places) for name, value in self.env.items()}

    def texts(self, run: str) -> dict[str, str]:
        """Return `documents` with the run folder's path for `{run}`; all are JSON, except code."""
        path = json.dumps(run, ensure_ascii=False)[1:-1]
        return {
            name: text if name in self.programs else text.replace("{run}", path)
            for name, text in self.documents.items()
        }


def _filled(text: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\{([a-z_]+)\}", lambda found: places.get(found[1], found[0]), text)


RUN_FOLDER: Final = "\0run\0"
"""Stands for the run folder in the data of a document; no text of a user holds a zero byte."""


def as_document(data: object, *, indent: int | None = 2) -> str:
    """Return `data` as the JSON of an order's document, with `RUN_FOLDER` as `{run}`.

    A `{run}` in a user's text is escaped, so that it is not replaced.
    """
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    text = text.replace("{run}", "\\u007brun}")
    return text.replace(json.dumps(RUN_FOLDER)[1:-1], "{run}") + "\n"


class Verdict(Frozen):
    """The reason why one run of an order failed."""

    kind: ErrorKind
    message: str


class Outcome(Frozen):
    """How an order ended, as recorded in the run folder."""

    exit_code: int | None = Field(description="None: the order ended without an exit code")
    outputs: Mapping[str, str] = Field(default={}, description="file name below outputs -> sha256")
    sizes: Mapping[str, int] = Field(
        default={}, description="file name below outputs -> bytes, where they were recorded"
    )
    stopped: Literal["cancelled", "timeout", "stalled"] | None = Field(
        None, description="set if `cancel` ended the order"
    )
    finished: frozenset[str] = Field(
        frozenset(), description="outputs that the program itself has recorded as finished"
    )
    failed: Mapping[str, Verdict] = Field(
        default={}, description="by run: why it has no result, if the program recorded a reason"
    )
    ended_by: Verdict | None = Field(
        None, description="why the order ended, if it was not its program that ended it"
    )
    samples: Mapping[str, Mapping[str, Any]] = Field(
        default={}, description="by run: what the program recorded of a finished run: seconds"
    )
