"""`make lowest`: the package with the lowest versions that pyproject.toml allows starts and works.

Built as it would be published, installed into an environment of its own, and used in a new project:
the whole demo, since a missing part of a library shows only where it is called. For the other
versions of Python it is resolved only, from wheels alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
UV = HOME / ".venv" / "bin" / "uv"
PYTHONS = ("3.11", "3.12", "3.13")
WANTED = {"transfer": 3, "enhance": 1, "upscale": 1}


def run(*words: str | Path, cwd: Path) -> str:
    """What a command prints; if it fails, its errors are shown and this program ends."""
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("COSMOS_", "DAGSTER_"))}
    done = subprocess.run(words, cwd=cwd, env=outside, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr)
        sys.exit(f"WRONG: {' '.join(map(str, words))} ended with exit code {done.returncode}")
    return done.stdout


def resolved(version: str, folder: Path) -> Path:
    """A file of exact versions: the lowest of what we require, for this version of Python."""
    file = folder / f"lowest-{version}.txt"
    words = ["--resolution", "lowest-direct", "--only-binary", ":all:", "--python-version", version]
    run(UV, "pip", "compile", "--quiet", *words, "-o", file, HOME / "pyproject.toml", cwd=folder)
    return file


def installed(folder: Path, versions: Path) -> Path:
    """The `cosmos` of a new environment with our wheel and these versions.

    The wheel is made of the source distribution, so that no leftovers in build/ get into it.
    """
    run(UV, "build", "--quiet", "--out-dir", folder / "dist", HOME, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv = folder / "venv"
    run(UV, "venv", "--quiet", "--python", sys.executable, venv, cwd=folder)
    words = ["--python", venv / "bin" / "python", "-r", versions, wheel]
    run(UV, "pip", "install", "--quiet", *words, cwd=folder)
    return venv / "bin" / "cosmos"


def main() -> None:
    """Resolve, install, start, make; print what was tried."""
    with tempfile.TemporaryDirectory(prefix="cosmos-lowest-") as directory:
        folder = Path(directory)
        project = folder / "project"
        files = {version: resolved(version, folder) for version in PYTHONS}
        print(f"the lowest versions resolve from wheels for Python {', '.join(PYTHONS)}")
        cosmos = installed(folder, files[f"3.{sys.version_info.minor}"])
        print(run(cosmos, "--version", cwd=folder).strip(), "starts with them")
        run(cosmos, "--help", cwd=folder)
        run(cosmos, "init", project, cwd=folder)
        run(cosmos, "demo", cwd=project)
        runs = json.loads(run(cosmos, "list", "runs", "--json", cwd=project))
    kinds = Counter(r["model_type"] for r in runs if r["status"] == "completed")
    if kinds != WANTED:
        sys.exit(f"WRONG: completed are {dict(kinds)}, not {WANTED}")
    print(f"cosmos demo makes everything with them: {dict(kinds)}")


if __name__ == "__main__":
    main()
