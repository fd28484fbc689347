"""After `make demo` (run it twice): are its results there, once, and what they claim to be?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
COSMOS = HOME / ".venv" / "bin" / "cosmos"


def cosmos(*words: str) -> object:
    """What a `cosmos` command prints as JSON."""
    done = subprocess.run(
        [COSMOS, *words, "--json"], cwd=HOME, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def ffprobe(video: Path) -> dict[str, str]:
    """What an independent reader says of a video: it decodes every frame to count them."""
    words = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0"]
    words += ["-show_entries", "stream=width,height,r_frame_rate,nb_read_frames,color_space"]
    done = subprocess.run(
        [*words, "-of", "json", video], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)["streams"][0]


def main() -> int:
    """Print what was found; 0 only if all of it is right."""
    runs = cosmos("list", "runs")
    kinds = Counter(run["model_type"] for run in runs if run["status"] == "completed")
    wanted = {"transfer": 3, "enhance": 1, "upscale": 1}
    wrong = [] if kinds == wanted else [f"completed are {dict(kinds)}, not {wanted}"]
    sizes = {}
    for run in runs:
        if run["model_type"] == "enhance":
            continue
        outputs = run["outputs"]
        found = ffprobe(HOME / outputs["video"])
        claimed = (outputs["width"], outputs["height"], outputs["frames"], outputs["fps"])
        seen = (
            found["width"],
            found["height"],
            int(found["nb_read_frames"]),
            found["r_frame_rate"].removesuffix("/1"),
        )
        print(f"{run['id']} {run['model_type']}: {seen}, {found.get('color_space')}")
        sizes[run["model_type"]] = seen
        if seen != claimed:
            wrong.append(f"{run['id']} is {seen}, not {claimed}")
    if sizes.get("upscale", (0,))[0] != 3840:
        wrong.append(f"the 4K video is {sizes.get('upscale')}")
    problems = cosmos("verify", "--deep")["problems"]
    wrong += [f"cosmos verify: {p}" for p in problems]
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
