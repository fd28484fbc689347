"""What Cosmos 3 is told of rates and of what to avoid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cosmos_pipelines.engines.cosmos3 import Cosmos3
from cosmos_pipelines.operations import Job, Transfer
from tests.engines.test_cosmos_cases import video_of


def told(rate: str = "24", negative: str | None = None, **settings: Any) -> dict[str, Any]:
    """The document of a run; its scene has depth, and plays at this rate."""
    size = f"1280x720 121@{rate}"
    job = Job(
        run_id="rs_1",
        operation=Transfer.parse({"weights": {"depth": 1}} | settings),
        text="A street",
        negative_prompt=negative,
        inputs={name: video_of(name, size) for name in ("color", "depth")},
    )
    engine = Cosmos3()
    engine.check(job)
    spec: dict[str, Any] = json.loads(engine.compile([job], "order_1").documents["specs/rs_1.json"])
    return spec


def test_nvidias_negative_prompt_is_used_unless_another_one_is_given() -> None:
    assert "negative_prompt" not in told()
    assert told(negative="rain")["negative_prompt"] == "rain"
    assert told(negative="rain", negative_prompt="fog")["negative_prompt"] == "fog"
    assert told(negative="rain", negative_prompt="")["negative_prompt"] == ""


@pytest.mark.parametrize(
    ("rate", "fps"), [("24000/1001", 24), ("30000/1001", 30), ("60000/1001", 60), ("25/2", 12)]
)
def test_a_broken_rate_comes_from_the_colour_pass(rate: str, fps: int) -> None:
    spec = told(rate)
    assert (spec["fps"], spec["vision_path"]) == (fps, "../inputs/color-color00000000000.mp4")


@pytest.mark.parametrize(
    ("rate", "settings", "fps"), [("24", {}, 24), ("30000/1001", {"fps": 30}, 30), ("1/2", {}, 1)]
)
def test_a_whole_rate_is_written_into_the_document(
    rate: str, settings: dict[str, Any], fps: int
) -> None:
    spec = told(rate, **settings)
    assert (spec["fps"], spec.get("vision_path")) == (fps, None)
