"""Texts that NVIDIA's guardrails would refuse, as far as this is known before a run. Pure."""

from __future__ import annotations

from typing import Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import Job

SAID: Final = (
    (
        "blocked",
        r"(?:Exact|Partial) Match Word: (.+?)\s*$",
        "The guardrail's blocklist refused the text for the word: {1}",
    ),
    (
        "blocked",
        r"GUARDRAIL BLOCKED: (BLOCKLIST): Prompt blocked by censorship",
        "The guardrail's list of censored words refused a word of the prompt.",
    ),
    (
        "blocked",
        r"GUARDRAIL BLOCKED: VIDEOCONTENTSAFETYFILTER: (.+)",
        "The guardrail refused the finished video: {1}",
    ),
    ("blocked", r"GUARDRAIL BLOCKED: \w+: (.+)", "The guardrail refused the sample: {1}"),
)
"""Lines of a block, the most exact first; a prompt with line ends gives several lines."""


def check_text(job: Job) -> None:
    """Refuse a prompt that NVIDIA's guardrails would refuse.

    Raises:
        InputError: the prompt is empty, or has an asterisk.
    """
    check_not_empty(job)
    check_asterisks("prompt", job.text)


def check_not_empty(job: Job) -> None:
    """Refuse a prompt without a text. Raises InputError."""
    if not job.text.strip():
        raise InputError(f"The prompt of run {job.run_id} has no text.")


def check_asterisks(name: str, text: str | None) -> None:
    """Refuse a text with an asterisk.

    If the output is not a terminal, NVIDIA's blocklist marks a censored word by a bare `*`, and
    takes every other `*` of the text for such a mark.

    Raises:
        InputError: the text has an asterisk.
    """
    if text and "*" in text:
        raise InputError(
            f"The {name} has an asterisk (*), which NVIDIA's guardrail takes for a censored word.",
            hint="Write the text without it.",
        )
