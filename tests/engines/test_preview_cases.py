"""Exact requests: fields and inputs in, the order out, as JSON cases in `tests/cases/preview`.

A case has `jobs` (settings, text and inputs by pass) and either `order` with `notes`, or `refused`:
the sentence that the user gets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import Job, Order, Video, operation_from

CASES = sorted((Path(__file__).parent.parent / "cases" / "preview").glob("*.json"))


def video_of(name: str, facts: dict[str, Any]) -> Video:
    """A video with the facts of a case; what a case leaves out is made up from its name."""
    plain = {"path": f"/scene/{name}.mp4", "sha256": f"{name:0<64}", "size": 1}
    return Video.model_validate(plain | facts)


def job_of(model_type: Any, case: dict[str, Any]) -> Job:
    """The job that a case describes."""
    return Job(
        run_id=case["run_id"],
        operation=operation_from(model_type, case["settings"]),
        text=case.get("text", ""),
        negative_prompt=case.get("negative_prompt"),
        inputs={name: video_of(name, facts) for name, facts in case["inputs"].items()},
    )


def shown(order: Order) -> dict[str, Any]:
    """What of an order a case holds."""
    return {
        "argv": list(order.argv),
        "inputs": {name: video.path for name, video in order.inputs.items()},
        "request": json.loads(order.documents["request.json"]),
        "expected": [e.model_dump(exclude_none=True) for e in order.expected],
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_order_is_exactly_that_of_the_case(path: Path) -> None:
    case, engine = json.loads(path.read_text(encoding="utf-8")), Preview()
    jobs = [job_of(case["model_type"], job) for job in case["jobs"]]
    if "refused" in case:
        with pytest.raises(InputError) as refusal:
            [engine.check(job) for job in jobs]
        assert str(refusal.value) == case["refused"]
        return
    assert [note for job in jobs for note in engine.check(job)] == case["notes"]
    order = engine.compile(jobs, "order_1")
    assert shown(order) == case["order"]
    assert order.gpus == 0
    assert order.run_ids == tuple(job.run_id for job in jobs)


def test_there_are_cases() -> None:
    assert CASES
