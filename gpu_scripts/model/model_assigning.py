"""Which sample a finished video belongs to. Pure.

Runs on the GPU side: Python 3.10 or newer and its standard library only.

A load of the model makes a row of parts, numbered from 0, in sub-batches of `batch_size`. Where
a guardrail drops members of a sub-batch, the survivors' files are written one after the other, from
its first number on: only the text beside a video says whose it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from model_judging import Failure
from model_log import one_line

SHOWN = 60
"""Characters of a text that are shown."""


class Assigned(NamedTuple):
    """Whose the files of a sub-batch are."""

    videos: dict[int, int]
    """Number of the files -> number of the part that they belong to."""
    failed: dict[int, Failure]
    """Parts that cannot be given a video."""


def assigned(
    prompts: Sequence[str | None],
    texts: Mapping[int, str],
    complete: bool,
    *,
    settled: Collection[int] = (),
    died: bool = False,
    refused: bool = False,
) -> Assigned:
    """Whose the files of one sub-batch are.

    `prompts` are its parts' in order (None: not to be compared), `texts` what was found, by number;
    one line break at the end of a text is forgiven.
    Before it is `complete` (nothing more will be written) only what is certain is told. A text that
    may be the beginning of a longer one counts once it is `settled`.
    `died`: the model did not end well, in the midst of this sub-batch. Unless the guardrail has
    `refused` one, nothing has moved up: what is there is at its own number, and the end of the
    model is why the others are not.
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
    """Videos of the parts that have one prompt, where there are as many; survivors keep order."""
    videos: dict[int, int] = {}
    failed: dict[int, Failure] = {}
    for owners, numbers in alike.items():
        if owners == tuple(numbers) or (complete and len(owners) == len(numbers)):
            videos.update(zip(numbers, owners, strict=True))
        elif complete:
            failed.update(dict.fromkeys(owners, _alike(len(owners), len(numbers))))
    return videos, failed


def _may_grow(prompts: Sequence[str | None], text: str) -> bool:
    """Whether a text, read while it is written, may become another one's prompt."""
    if None in prompts:
        return False
    begun = text.rstrip("\ufffd")  # half a character
    return any(text != prompt and str(prompt).startswith(begun) for prompt in prompts)


def _owners(prompts: Sequence[str | None], text: str) -> tuple[int, ...]:
    """Parts that have this prompt."""
    if None in prompts:
        return tuple(range(len(prompts)))
    exact = tuple(k for k, prompt in enumerate(prompts) if text == prompt)
    return exact or tuple(k for k, prompt in enumerate(prompts) if text == f"{prompt}\n")


def _alike(prompts: int, videos: int) -> Failure:
    said = f"{videos} video(s) of {prompts} samples that have one prompt"
    return Failure("model_failed", f"The output cannot be told apart: {said}.")


def _foreign(text: str, prompt: str | None) -> Failure:
    """Both texts, from a little before the place where they part."""
    prompt = prompt or ""
    same = next((n for n, (a, b) in enumerate(zip(text, prompt)) if a != b), None)  # noqa: B905
    start = max(0, (min(len(text), len(prompt)) if same is None else same) - SHOWN // 3)
    shown = [("…" if start else "") + one_line(t[start:], SHOWN) for t in (text, prompt)]
    return Failure(
        "model_failed",
        f'The video\'s text is not the prompt: it says "{shown[0]}", the prompt "{shown[1]}".',
    )
