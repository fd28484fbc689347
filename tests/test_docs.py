"""What the documents say can be typed, can be typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path) -> list[str]:
    """The `sh` blocks of a document."""
    return re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.timeout(600)
def test_the_guide_can_be_typed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    script = "\n".join(blocks(ROOT / "docs" / "guide.md"))
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
    for document in DOCS:
        named = set(re.findall(r"\bmake ([a-z]+)`", document.read_text(encoding="utf-8")))
        assert named <= targets, document.name


def test_settings_of_the_example_scene_request_are_accepted(tmp_path: Path) -> None:
    from cosmos_pipelines.assets.requests import read_request

    (tmp_path / "scene.toml").write_bytes((ROOT / "docs" / "scene.toml").read_bytes())
    request = read_request(tmp_path)
    assert request is not None
    assert len(request.prompt) == 2
