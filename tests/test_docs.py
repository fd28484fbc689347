"""What the documents say can be typed, can be typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.registry import OURS
from cosmos_pipelines.hosts.manifest import read_manifest
from cosmos_pipelines.operations import OPERATIONS, ModelType

ROOT = Path(__file__).resolve().parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path) -> list[str]:
    """The `sh` blocks of a document."""
    return re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)


RENDERED = "cosmos demo --render-only renders/square\n"
SHORTER = "find renders/square -name '*.png' | grep -v '000[1-3]' | xargs rm\n"
"""Three frames are enough for all that is typed; `make demo` makes everything of all frames."""


@pytest.mark.timeout(600)
def test_the_guide_can_be_typed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    typed = "\n".join(blocks(ROOT / "docs" / "guide.md"))
    assert RENDERED in typed
    script = typed.replace(RENDERED, f"{RENDERED}{SHORTER}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("COSMOS_", "DAGSTER_"))}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**outside, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("refused with exit code 2") == 2
    home = tmp_path / "my_project"
    assert len(list(home.glob("outputs/run_*/video.mp4"))) == 5
    assert "snow_square" in done.stdout
    assert (home / "runs.csv").read_text(encoding="utf-8").count("rs_") >= 6


@pytest.mark.parametrize("document", DOCS, ids=lambda p: p.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_make_target_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in (*DOCS, ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"):
        text = document.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|entry: |^)make ([a-z]+)", text, re.M))
        assert named <= targets, document.name


def test_settings_of_the_example_scene_request_are_accepted(tmp_path: Path) -> None:
    from cosmos_pipelines.runs.scene_requests import read_request

    (tmp_path / "scene.toml").write_bytes((ROOT / "docs" / "scene.toml").read_bytes())
    request = read_request(tmp_path)
    assert request is not None
    assert len(request.prompt) == 2


SETTINGS: dict[ModelType, str] = {
    "transfer": "## Settings\n",
    "upscale": "### Settings of an upscale\n",
    "enhance": "### Settings of an enhancement\n",
}
"""Where docs/engines.md says what becomes of the settings of each operation."""
WORDS = {"used": "uses", "refused": "refuses", "idle": "ignores"}
"""The first word of a cell, and the table of the engine that it speaks of."""


def settings_table(heading: str) -> dict[str, dict[str, str]]:
    """What docs/engines.md says of each setting: its row by engine."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in re.split(r"\n##+ ", text.split(heading)[1])[0].splitlines()
        if line.startswith("|")
    ]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("name", [entry.name for entry in OURS])
def test_the_tables_of_engines_say_what_becomes_of_every_setting(
    name: str, kind: ModelType
) -> None:
    engine, rows = ENGINES[name], settings_table(SETTINGS[kind])
    assert set(rows) == set(OPERATIONS[kind].model_fields) - OPERATIONS[kind].ours
    if kind not in engine.operations:
        assert not any(name in row for row in rows.values())
        return
    for word, table in WORDS.items():
        said = {field for field, row in rows.items() if re.match(r"\w+", row[name])[0] == word}
        assert said == set(getattr(engine, table).get(kind, ())), table


Loaded = tuple[str, str, str, str]
"""Engine, repository, revision and path of weights."""


def weights_table() -> set[Loaded]:
    """What docs/engines.md says that our lists bring."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    rows = [
        [re.findall("`([^`]+)`", cell) for cell in line.strip("|").split("|")]
        for line in text.split("## Weights\n")[1].split("\n## ")[0].splitlines()
        if line.startswith("| `")
    ]
    return {
        (engine[0], repo[0], at[0], path)
        for engine, repo, at, paths, _, found in rows
        for path in paths
        if at and all(re.fullmatch(r"[\w./-]*:\d+", place) for place in found[:1])
    }


def test_the_table_of_weights_is_what_our_lists_bring() -> None:
    listed = {
        (entry.name, file.repo, (file.revision or "main")[:12], file.path)
        for entry in OURS
        if (setup := ENGINES[entry.name].setup) is not None
        for file in read_manifest(SCRIPTS / setup.manifest).files
        if file.needed_for
    }
    assert weights_table() == listed
