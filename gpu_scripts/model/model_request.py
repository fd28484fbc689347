"""The request to `model_run.py`: what to make, and how to detect finished files.

Runs on the GPU side: Python 3.10 or newer and its standard library only. Paths in a request are
relative to its directory, the run folder. Unknown keys are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

from model_needs import Needs, Refused

Pattern = re.Pattern[str]


class Fields:
    """The keys of a JSON object, checked when they are read; `where`: its name in an error."""

    def __init__(self, data: object, where: str) -> None:
        if not isinstance(data, dict):
            raise Refused("validation", f"{where} is not an object")
        self._data: dict[str, Any] = data
        self._where = where

    def text(self, key: str) -> str:
        """Read a text that is not empty."""
        value = self._data.get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text")
        return value

    def text_or_none(self, key: str) -> str | None:
        """Read a text, or None if the key is null or missing."""
        return None if self._data.get(key) is None else self.text(key)

    def path(self, key: str) -> str:
        """Read a path that stays inside the run folder."""
        value = self.text(key)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise self._wrong(key, "a path inside the run folder")
        return value

    def path_or_none(self, key: str) -> str | None:
        """Read a path that stays inside the run folder, or None."""
        return None if self._data.get(key) is None else self.path(key)

    def count(self, key: str, default: int | None = None) -> int:
        """Read a whole number, 0 or more."""
        value = self._data.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(key, "a whole number")
        return value

    def rate(self, key: str) -> Fraction:
        """Read frames a second: 24, 23.976 or "24000/1001"."""
        try:
            value = Fraction(str(self._data.get(key))).limit_denominator(1001)
        except (ValueError, ZeroDivisionError):
            raise self._wrong(key, "frames a second") from None
        if value <= 0:
            raise self._wrong(key, "frames a second")
        return value

    def items(self, key: str) -> list[Any]:
        """Read a list; empty if the key is missing."""
        value = self._data.get(key) or []
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "a list of texts")
        return tuple(values)

    def inner(self, key: str) -> Fields:
        """Read an object; empty if the key is missing."""
        return Fields(self._data.get(key) or {}, f"{key} of {self._where}")

    def _wrong(self, key: str, wanted: str) -> Refused:
        given = self._data.get(key)
        return Refused("validation", f"{key} of {self._where} is {given!r}, not {wanted}")


@dataclass(frozen=True)
class Sample:
    """One video to make; `place`: its number in the request, from 1 on."""

    place: int
    run_id: str
    prompt: str | None
    output: str
    chunks: int
    spec: str | None
    source: str = ""
    fps: Fraction = Fraction(24)
    pieces: tuple[tuple[int, int], ...] = ()
    """First frame and end (after the last frame) of each piece, if the source is made in pieces."""
    keep: tuple[int, ...] = ()
    """Number of frames at the end of each piece that go into the video."""

    def piece_path(self, piece: int) -> str:
        """Return the path of a piece of the source, below the run folder."""
        return f"pieces/{self.run_id}.{piece:03d}.mp4"


@dataclass(frozen=True)
class Part:
    """What the model makes at once: a sample, or one piece of a sample."""

    sample: Sample
    line: int
    """Its number among all parts of the request, from 0 on."""
    piece: int | None = None


@dataclass(frozen=True)
class Says:
    """The meaning of the model's lines."""

    loaded: tuple[Pattern, ...]
    begins: tuple[Pattern, ...]
    """The model starts a part: of group `name`, of group `index`, else the next part."""
    chunk: tuple[Pattern, ...]
    step: tuple[Pattern, ...]
    failures: tuple[tuple[str, Pattern, str], ...]
    """Kind, pattern, and the sentence with `{1}` for the first group."""
    ignores: tuple[Pattern, ...] = ()
    """Lines that are no failure, whatever words they have."""


@dataclass(frozen=True)
class Request:
    """A request."""

    run: Path
    engine: str
    operation: str
    folder: str
    lines: str | None
    video: str
    text: str | None
    marker: str | None
    """Without a text: a file that the model writes last; if it exists, the video is whole."""
    samples: tuple[Sample, ...]
    batch_size: int
    needs: Needs
    says: Says

    def parts(self) -> list[Part]:
        """Return all parts, in the order of the lines."""
        pieces = [(s, k) for s in self.samples for k in (range(len(s.pieces)) or [None])]
        return [Part(sample, line, piece) for line, (sample, piece) in enumerate(pieces)]


def read_fields(path: Path) -> Fields:
    """Read the object in a request file.

    Raises:
        Refused: the file is missing or not JSON.
    """
    try:
        return Fields(json.loads(path.read_text(encoding="utf-8")), path.name)
    except (OSError, ValueError, RecursionError) as e:
        raise Refused("validation", f"cannot read {path.name}: {e}") from None


def read_needs(fields: Fields) -> Needs:
    """Read and check the key `needs`."""
    needs = fields.inner("needs")
    return Needs(
        gpus=needs.count("gpus", 0),
        free_vram_mib=needs.count("free_vram_mib", 0),
        free_vram_percent=needs.count("free_vram_percent", 0),
        free_ram_mib=needs.count("free_ram_mib", 0),
        free_disk_mib=needs.count("free_disk_mib", 0),
        files=needs.texts("files"),
        checkpoint=needs.text_or_none("checkpoint") or "",
        hub=needs.texts("hub"),
    )


def read_request(path: Path) -> Request:
    """Read and check a request file.

    Raises:
        Refused: the file is not a valid request.
    """
    fields = read_fields(path)
    produces = fields.inner("produces")
    operation = fields.text("operation")
    samples = tuple(
        _sample(Fields(item, f"sample {n}"), n) for n, item in enumerate(fields.items("samples"), 1)
    )
    _check_samples(samples)
    pieces = any(sample.pieces for sample in samples)
    return Request(
        run=path.parent,
        engine=fields.text("engine"),
        operation=operation,
        folder=fields.path("folder"),
        lines=fields.path_or_none("lines"),
        video=produces.path("video"),
        text=produces.path_or_none("text"),
        marker=produces.path_or_none("marker"),
        samples=samples,
        # The upscaler of Transfer1 always sets its batch size to 1.
        batch_size=1 if pieces else max(1, fields.count("batch_size", 1)),
        needs=read_needs(fields),
        says=_says(fields.inner("says")),
    )


def _sample(fields: Fields, place: int) -> Sample:
    sample = Sample(
        place=place,
        run_id=fields.text("run_id"),
        prompt=fields.text_or_none("prompt"),
        output=fields.path("output"),
        chunks=max(1, fields.count("chunks", 1)),
        spec=fields.path_or_none("spec"),
    )
    if not fields.items("pieces"):
        return sample
    pieces = tuple((start, end) for start, end in map(_pair, fields.items("pieces")))
    keep = tuple(fields.items("keep"))
    if len(keep) != len(pieces) or any(
        not isinstance(k, int) or not 0 < k <= end - start
        for k, (start, end) in zip(keep, pieces, strict=True)
    ):
        raise Refused("validation", f"keep of sample {place} does not fit its pieces")
    return replace(
        sample, pieces=pieces, keep=keep, source=fields.path("source"), fps=fields.rate("fps")
    )


def _pair(item: object) -> Sequence[int]:
    if isinstance(item, list) and len(item) == 2 and all(isinstance(x, int) for x in item):
        return item
    raise Refused("validation", f"the piece {item!r} is not a first frame and an end")


def _check_samples(samples: Sequence[Sample]) -> None:
    if not samples:
        raise Refused("validation", "the request has no samples")
    for what in ("run_id", "output"):
        values = [getattr(sample, what) for sample in samples]
        if len(set(values)) < len(values):
            raise Refused("validation", f"two samples of the request have one {what}")


def _says(fields: Fields) -> Says:
    failures = []
    for item in fields.items("failures"):
        if not (
            isinstance(item, list) and len(item) == 3 and all(isinstance(x, str) for x in item)
        ):
            raise Refused("validation", f"{item!r} is not kind, pattern and sentence of a failure")
        failures.append((item[0], _pattern(item[1]), item[2]))
    keys = ("loaded", "begins", "chunk", "step", "ignores")
    return Says(**{key: _patterns(fields, key) for key in keys}, failures=tuple(failures))


def _patterns(fields: Fields, key: str) -> tuple[Pattern, ...]:
    return tuple(_pattern(text) for text in fields.texts(key))


def _pattern(text: str) -> Pattern:
    try:
        return re.compile(text)
    except re.error as e:
        raise Refused("validation", f"{text!r} is not a regular expression: {e}") from None
