"""Decide which sample a finished video belongs to. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.

A load of the model makes a row of parts, numbered from 0, in sub-batches of `batch_size`. If a
guardrail drops parts of a sub-batch, the files of the other parts are numbered from the sub-batch's
first number on without gaps: only the text beside a video says which part it belongs to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from model_judging import Failure
from model_log import one_line

SHOWN = 60
"""Characters of a text in a message."""


class Assigned(NamedTuple):
    """The owners of a sub-batch's files."""

    videos: dict[int, int]
    """Number of the files -> number of the part that they belong to."""
    failed: dict[int, Failure]
    """Parts for which no video can be found."""


def assigned(
    prompts: Sequence[str | None],
    texts: Mapping[int, str],
    complete: bool,
    *,
    settled: Collection[int] = (),
    died: bool = False,
    refused: bool = False,
) -> Assigned:
    """Find the owners of one sub-batch's files.

    `prompts`: the prompts of its parts in order (None: not compared). `texts`: the found texts by
    number; one line break at the end of a text is ignored.
    Until the sub-batch is `complete` (no more files will be written), only certain owners are
    returned. A text that may be the beginning of a longer text counts once it is `settled`.
    `died`: the model failed during this sub-batch. Unless the guardrail has `refused` a part, no
    file has moved to a lower number: each file has the number of its part, and the other parts are
    missing because the model ended.
    """
    owners = {number: _owners(prompts, text) for number, text in sorted(texts.items())}
    at_home = died and not refused
    if not complete or died:
        owners = {
            number: whose
            for number, whose in owners.items()
            if number in settled
            or (at_home and number in whose)
            or not _may_grow(prompts, texts[number])
        }
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, whose in owners.items():
        alike[whose].append(number)
    foreign = alike.pop((), [])
    videos, failed = _shared_out(alike, complete)
    if at_home and all(number in whose for whose, numbers in alike.items() for number in numbers):
        videos = {number: number for numbers in alike.values() for number in numbers}
        failed = {}
    if complete:
        for number in set(foreign) - {*videos.values(), *failed}:
            failed[number] = _foreign(texts[number], prompts[number])
    return Assigned(videos, failed)


def _shared_out(
    alike: Mapping[tuple[int, ...], Sequence[int]], complete: bool
) -> tuple[dict[int, int], dict[int, Failure]]:
    """Assign videos to parts with equal prompts, if the numbers agree; the order is kept."""
    videos: dict[int, int] = {}
    failed: dict[int, Failure] = {}
    for owners, numbers in alike.items():
        if owners == tuple(numbers) or (complete and len(owners) == len(numbers)):
            videos.update(zip(numbers, owners, strict=True))
        elif complete:
            failed.update(dict.fromkeys(owners, _alike(len(owners), len(numbers))))
    return videos, failed


def _may_grow(prompts: Sequence[str | None], text: str) -> bool:
    """Whether a text, read while it is written, may become the prompt of another part."""
    if None in prompts:
        return False
    begun = text.rstrip("\ufffd")  # without a half-written character
    return any(text != prompt and str(prompt).startswith(begun) for prompt in prompts)


def _owners(prompts: Sequence[str | None], text: str) -> tuple[int, ...]:
    """Return the parts that have this prompt."""
    if None in prompts:
        return tuple(range(len(prompts)))
    exact = tuple(k for k, prompt in enumerate(prompts) if text == prompt)
    return exact or tuple(k for k, prompt in enumerate(prompts) if text == f"{prompt}\n")


def _alike(prompts: int, videos: int) -> Failure:
    found = f"{videos} video(s) of {prompts} samples that have one prompt"
    return Failure("model_failed", f"The videos cannot be assigned: {found}.")


def _foreign(text: str, prompt: str | None) -> Failure:
    """Return a failure that shows both texts from a little before their first difference."""
    prompt = prompt or ""
    same = next((n for n, (a, b) in enumerate(zip(text, prompt)) if a != b), None)  # noqa: B905
    start = max(0, (min(len(text), len(prompt)) if same is None else same) - SHOWN // 3)
    shown = [("…" if start else "") + one_line(t[start:], SHOWN) for t in (text, prompt)]
    return Failure(
        "model_failed",
        f'The video\'s text is not the prompt: the text is "{shown[0]}", the prompt "{shown[1]}".',
    )
