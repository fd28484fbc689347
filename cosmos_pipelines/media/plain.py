"""Videos that are used as they are must be plain: shown as their pixels lie."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.probe import Probe, probe


class ShownOtherwise(MediaError):
    """A video that players turn, stretch or otherwise change: it has to be prepared."""


def check_plain(found: Probe, *, hint: str) -> None:
    """Refuse a video whose pixels would have to be changed first; `hint` says how that is done.

    Raises:
        ShownOtherwise: `cosmos prepare` makes a plain one of it.
        MediaError: that cannot either; what can is told.
    """
    shown = found.shown
    if shown.refused:
        raise MediaError(f"{found.path} cannot be used: {shown.refused}.", hint=shown.remedy)
    if shown.changes:
        said = " and ".join(shown.changes)
        raise ShownOtherwise(
            f"{found.path} is shown otherwise than its pixels lie: players show it {said}.",
            hint=hint,
        )


def plain_video(path: Path) -> Probe:
    """Measure thoroughly a video that a model is to read as it is.

    Raises:
        MediaError: as `probe`, or it is not plain.
    """
    found = probe(path, deep=True)
    check_plain(
        found,
        hint=f"Put it into a directory of its own as color{path.suffix}, `cosmos prepare` that, "
        "and use the color.mp4 that is made.",
    )
    return found
