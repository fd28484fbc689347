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
    from cosmos_pipelines.runs.scene_requests import read_request

    (tmp_path / "scene.toml").write_bytes((ROOT / "docs" / "scene.toml").read_bytes())
    request = read_request(tmp_path)
    assert request is not None
    assert len(request.prompt) == 2


CHOSEN: dict[str, object] = {
    "weights": {"edge": 1.0}, "num_steps": 20, "guidance": 4, "seed": 7, "fps": 24,
    "blur_strength": "low", "canny_threshold": "low", "negative_prompt": "fog",
    "sigma_max": 60.0, "control_prompt": "road", "mask_prompt": "car", "keypoint_weight": 0.5,
    "regional_prompts": [{"prompt": "a car", "mask_prompt": "car"}], "use_distilled": True,
    "resolution": "720", "max_frames": 93, "num_conditional_frames": 0, "num_gpus": 2,
}  # fmt: skip
"""A value of each setting that an engine which has it would take, for a scene of 121 frames."""


def settings_table() -> dict[str, dict[str, str]]:
    """What docs/engines.md says of each setting: its row by engine."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.split("## Settings\n")[1].split("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


def test_the_table_of_engines_has_every_setting() -> None:
    from cosmos_pipelines.operations import Transfer

    assert set(settings_table()) == set(Transfer.model_fields) == set(CHOSEN)


@pytest.mark.parametrize("name", ["preview", "cosmos_transfer1", "cosmos_transfer2_5", "cosmos3"])
def test_the_table_of_engines_says_what_each_refuses(name: str) -> None:
    from cosmos_pipelines.engines import engine_named
    from cosmos_pipelines.errors import InputError
    from cosmos_pipelines.operations import Job, Transfer, Video

    video = Video(path="/s.mp4", sha256="0" * 64, size=1, width=1280, height=704, frames=121,
                  fps="24")  # fmt: skip
    passes = dict.fromkeys(("color", "edge", "vis", "depth", "segmentation"), video)
    refused = set()
    for field, value in CHOSEN.items():
        weights = {"seg": 1.0} if field in ("mask_prompt", "control_prompt") else {"edge": 1.0}
        more = (
            {"max_frames": 93} if field == "use_distilled" and name == "cosmos_transfer2_5" else {}
        )
        operation = Transfer.parse({"weights": weights, field: value, **more})
        job = Job(run_id="rs_1", operation=operation, text="A street", inputs=passes)
        try:
            engine_named(name).check(job)
        except InputError:
            refused.add(field)
    said = {field for field, row in settings_table().items() if row[name].startswith("refused")}
    assert refused == said
