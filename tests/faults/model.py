"""The stand-in, which records each of its starts: model.py REQUEST.json

/starts/log         one line for each start: the order's id
/models/behaviour   the behaviour, instead of the prompt's
/models/padding     number of bytes to add to each video, in a box that no player reads
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

try:
    import stand_in  # beside this file on the host
except ImportError:
    from tests.models import stand_in

MODELS, STARTS = Path("/models"), Path("/starts")


def mark() -> None:
    """Record this start outside of the run folder, where no fault can remove it."""
    order = json.loads(Path("order.json").read_text(encoding="utf-8"))
    with (STARTS / "log").open("a", encoding="utf-8") as log:
        log.write(f"{order['id']}\n")


def pad(video: Path, size: int) -> None:
    """Make a video file larger without a change of its content."""
    with video.open("ab") as file:
        file.write((size + 8).to_bytes(4, "big") + b"free" + os.urandom(size))


def main(request: str) -> int:
    """Make all samples of a request."""
    mark()
    if (behaviour := MODELS / "behaviour").exists():
        os.environ["COSMOS_STAND_IN"] = behaviour.read_text(encoding="utf-8")
    code = stand_in.main(request)
    if (padding := MODELS / "padding").exists():
        for video in Path("outputs").glob("*.mp4"):
            pad(video, int(padding.read_text(encoding="utf-8")))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
