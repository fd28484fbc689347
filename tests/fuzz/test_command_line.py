"""Any words after `cosmos`: a documented exit code, one line of error, nothing half-made."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.cli import main
from cosmos_pipelines.cli.exit_codes import (
    BAD_INPUT,
    FAILED,
    GPU_SIDE,
    INTERRUPTED,
    OK,
    WRONG_STATE,
)
from tests.cli.conftest import Said
from tests.fuzz.inputs import ODD_TEXTS, TEXT, some
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered

CODES = {OK, FAILED, BAD_INPUT, WRONG_STATE, GPU_SIDE, INTERRUPTED}

COMMANDS: dict[str, list[str]] = {
    "prepare": ["--name", "--fps", "--description", "--depth", "--json"],
    "create prompt": ["--negative", "--name", "--parameter", "--json"],
    "create run": ["--recipe", "--engine", "--backend", "--queue", "--json"],
    "create recipe": ["--engine", "--json"],
    "inference": ["--prompts-file", "--recipe", "--batch-name", "--upscale", "--engine",
                  "--backend", "--json"],
    "upscale": ["--video", "--weight", "--engine", "--backend", "--json"],
    "prompt-enhance": ["--resolution", "--no-create-new", "--engine", "--json"],
    "list prompts": ["--scene", "--limit", "--offset", "--ids", "--json"],
    "list runs": ["--status", "--prompt", "--type", "--limit", "--offset", "--ids", "--json"],
    "list scenes": ["--ids", "--json"],
    "list recipes": ["--ids", "--json"],
    "search": ["--limit", "--json"],
    "show": ["--json"],
    "status": ["--json"],
    "logs": [],
    "kill": ["--run", "--all", "--batch", "--force", "--json"],
    "why": ["--json"],
    "rate": ["--json"],
    "tag": ["--remove", "--json"],
    "delete prompt": ["--force", "--dry-run", "--json"],
    "delete run": ["--force", "--dry-run", "--json"],
    "verify": ["--fix", "--deep", "--json"],
    "export": ["--json"],
    "backup": ["--json"],
    "init": [],
    "create": [], "list": [], "delete": [], "": ["--version", "--help", "--debug", "--home"],
    "nonsense": [],
}  # fmt: skip
"""Commands that end by themselves within a second, and options of theirs."""
DRY = {"inference", "upscale", "prompt-enhance"}
"""Those that would execute something; here they only say what."""
SETTINGS = ["--weights", "--num-steps", "--guidance", "--guidance-scale", "--seed", "--fps",
            "--blur-strength", "--canny-threshold", "--negative-prompt", "--sigma-max",
            "--mask-prompt", "--keypoint-weight", "--regional-prompts", "--use-distilled",
            "--resolution", "--max-frames", "--num-gpus", "--nonsense", "-h"]  # fmt: skip
GOOD = ["street", "city", "soft", "latest", "latest-transfer", "ps_", "rs_", "completed", "failed",
        "transfer", "preview", "cosmos3", "cosmos_transfer1", "local", "ssh_docker", "distance",
        "24", "23.976", "0.5", "0", "1", "5", "3", "low", "720", "A wet street", "a=b", "runs",
        "prompts", "x.csv", "x.json", "x.db", "inputs/videos/city", "color.mp4", ".",
        '[{"prompt": "a", "mask_prompt": "b"}]', "rated", "good"]  # fmt: skip
FILES = {"binary": b"\x89PNG\0\0", "utf16.txt": "é".encode("utf-16"), "latin.txt": b"caf\xe9",
         "bom.txt": b"\xef\xbb\xbfstreet\n", "empty.txt": b"", "a.mp4": b"no video"}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A project, and a directory to stand in."""

    project: Project
    here: Path

    def cosmos(self, *words: str) -> Said:
        """Run a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["--home", str(self.project.settings.home), *words])
        return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A project with a scene, a prompt, a recipe and some runs; odd files where we stand."""
    root = tmp_path_factory.mktemp("fuzz")
    here = root / "here"
    here.mkdir()
    for name, content in FILES.items():
        (here / name).write_bytes(content)
    os.mkfifo(here / "pipe")
    (here / "loop").symlink_to("loop")
    project = make_project(root / "home")
    project.scene("city")
    made = Place(project, here)
    with pytest.MonkeyPatch.context() as patch, registered():
        patch.chdir(here)
        patch.setenv("HOME", str(root / "user"))
        patch.setenv("TMPDIR", str(root))
        made.cosmos("create", "prompt", "A wet street", "city", "--name", "street")
        made.cosmos("create", "recipe", "soft", "--weights", "0.5", "0", "0", "0.5")
        for _ in range(3):
            made.cosmos("create", "run", "street")
        yield made


WORD = (
    st.sampled_from(GOOD)
    | st.sampled_from([*FILES, "pipe", "loop"])
    | st.sampled_from(ODD_TEXTS)
    | TEXT
)


def _typed(word: str) -> str:
    """As it can be typed; no path of chance leads out of where we stand."""
    word = word.replace("\0", "")
    return word if word in ODD_TEXTS else word.lstrip("/")


@st.composite
def words(draw: st.DrawFn) -> list[str]:
    """A command with arguments and options, right and wrong ones."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    made = command.split()
    options = [*COMMANDS[command], *(SETTINGS if command in (*DRY, "create run") else [])]
    for _ in range(draw(st.integers(0, 4))):
        if options and draw(st.integers(0, 2)):
            made.append(draw(st.sampled_from(options)))
            if made[-1] == "--weights":
                made += draw(st.lists(st.sampled_from(["0", "0.5", "1", "2", "x"]), max_size=4))
            elif draw(st.integers(0, 3)):
                made.append(draw(WORD))
        else:
            made.append(draw(WORD))
    made = [_typed(word) for word in made]
    return [*made, "--dry-run"] if command in DRY else made


@some(250)
@given(words())
def test_any_words_end_in_a_documented_code_with_one_line(place: Place, typed: list[str]) -> None:
    said = place.cosmos(*typed)
    assert said.code in CODES
    assert "Traceback" not in said.err
    assert "error: unexpected" not in said.err
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (said.code != OK), said.err
    assert all(len(line) < 4000 for line in errors)
    if said.code == OK and "--json" in typed and "-h" not in typed and "--help" not in typed:
        json.loads(said.out)
    assert not list(place.project.settings.home.rglob("*.part"))
    assert not list(place.here.rglob("*.part"))
