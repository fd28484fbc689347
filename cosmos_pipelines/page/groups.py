"""In which group of a form each field of an operation stands, and the seeds of an order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from cosmos_pipelines.errors import InputError

GROUPS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    ("Controls", ("weights", "keypoint_weight", "blur_strength", "canny_threshold",
                  "control_prompt", "mask_prompt")),
    ("Sampling", ("num_steps", "guidance", "seed", "sigma_max", "use_distilled")),
    ("Words", ("negative_prompt", "regional_prompts")),
    ("Size and length", ("resolution", "fps", "max_frames", "num_conditional_frames")),
)  # fmt: skip
MORE: Final = "More"
MOST_SEEDS: Final = 2000


def grouped(
    fields: Sequence[dict[str, Any]], *, without: Collection[str] = ()
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the fields of a form by group; one that no group names is in the last, `MORE`."""
    by_name = {field["name"]: field for field in fields if field["name"] not in without}
    found = []
    for title, names in GROUPS:
        found.append((title, [by_name.pop(name) for name in names if name in by_name]))
    return [(title, some) for title, some in [*found, (MORE, [*by_name.values()])] if some]


def seeds_of(text: str) -> list[int]:
    """Return the seeds of `1-4, 9`, each once.

    Raises:
        InputError: it is no such list, or has more than `MOST_SEEDS`.
    """
    found: dict[int, None] = {}
    for part in filter(None, (piece.strip() for piece in text.replace(";", ",").split(","))):
        first, dash, last = (word.strip() for word in part.partition("-"))
        numbers = [first, last] if dash else [first]
        if not all(word.isascii() and word.isdecimal() and len(word) < 11 for word in numbers):
            raise InputError(f"{part[:40]!r} is no seed: write numbers, as 1-4, 9.")
        begin, end = int(first), int(last if dash else first)
        if max(begin, end) > 2**31 - 1:
            raise InputError(f"{part[:40]!r} is no seed: the largest is 2147483647.")
        if end < begin:
            raise InputError(f"{part[:40]!r} ends before it begins.")
        if end - begin + len(found) >= MOST_SEEDS:
            raise InputError(f"These are more than {MOST_SEEDS} seeds.")
        found.update(dict.fromkeys(range(begin, end + 1)))
    return list(found)
