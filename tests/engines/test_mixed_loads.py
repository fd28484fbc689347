"""Runs with different controls in one load, which only who asks for it gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cosmos_pipelines import batching
from cosmos_pipelines.operations import Job, Order
from cosmos_pipelines.runs.results import mixed_of
from tests.engines.test_cosmos import C3, T1, T25, job, upscale

BOTH = ("depth", "segmentation")
DEPTH = job("rs_1", passes=BOTH)
SEG = job("rs_2", "A harbour", BOTH, weights={"seg": 1})
TWO = job("rs_3", "A forest", BOTH, weights={"depth": 0.5, "seg": 0.5})


def order_of(*jobs: Job) -> Order:
    """Their order, as it is executed."""
    order = T1.compile(jobs, "order_1")
    return order.model_copy(update={"added": batching.added_controls(T1, jobs)})


def test_runs_with_different_controls_share_a_load_only_on_request() -> None:
    jobs = [DEPTH, SEG, TWO]
    assert batching.plan(T1, jobs) == [[DEPTH], [SEG], [TWO]]
    assert batching.plan(T1, jobs, "mixed") == [jobs]
    assert batching.plan(T25, jobs, "mixed") == batching.plan(T25, jobs)
    assert batching.plan(C3, jobs, "mixed") == batching.plan(C3, jobs)


def test_in_a_mixed_load_the_controls_of_others_get_weight_0_and_no_pass_of_their_own() -> None:
    order = order_of(DEPTH, SEG)
    lines = [json.loads(line) for line in order.documents["batch.jsonl"].splitlines()]
    first, second = (line["control_overrides"] for line in lines)
    assert (first["depth"]["control_weight"], first["seg"]["control_weight"]) == (1, 0)
    assert (second["depth"]["control_weight"], second["seg"]["control_weight"]) == (0, 1)
    assert first["seg"]["input_control"] == lines[0]["visual_input"]
    assert order.added == {"rs_1": ("seg",), "rs_2": ("depth",)}


@pytest.mark.parametrize(
    "alone",
    [
        job("rs_2", passes=(), weights={"edge": 1}),
        job("rs_2", passes=("edge",), weights={"edge": 1}, use_distilled=True),
        job("rs_2", num_gpus=2),
        upscale("rs_2"),
    ],
    ids=["drawn at random", "distilled", "one control on two GPUs", "4K"],
)
def test_a_run_that_would_surely_get_other_pixels_is_in_no_mixed_load(alone: Job) -> None:
    assert T1.mixed(alone) is None
    assert len(batching.plan(T1, [TWO, alone], "mixed")) == 2


@pytest.mark.parametrize("other", [{"seed": 2}, {"num_steps": 9}, {"negative_prompt": "fog"}])
def test_settings_of_the_whole_process_part_mixed_loads_too(other: dict[str, Any]) -> None:
    jobs = [DEPTH, job("rs_2", weights={"seg": 1}, passes=BOTH, **other)]
    assert len(batching.plan(T1, jobs, "mixed")) == 2


def test_two_gpus_share_a_mixed_load_of_runs_with_several_controls() -> None:
    more = job("rs_2", passes=BOTH, weights={"depth": 1, "seg": 0.2, "vis": 0}, num_gpus=2)
    vis = job("rs_3", passes=(*BOTH, "vis"), weights={"vis": 1, "seg": 0.2}, num_gpus=2)
    assert len(batching.plan(T1, [more, vis], "mixed")) == 1


def test_a_strict_order_is_written_as_ever() -> None:
    order = order_of(DEPTH, job("rs_2", "A harbour", BOTH))
    assert order.added == {}
    assert "added" not in json.loads(order.model_dump_json())
    assert mixed_of(order, "rs_1") == {}


def test_a_mixed_order_keeps_what_was_added_and_each_run_is_told() -> None:
    order = Order.model_validate_json(order_of(DEPTH, TWO).model_dump_json())
    assert order.added == {"rs_1": ("seg",), "rs_3": ()}
    assert mixed_of(order, "rs_1") == {
        "mixed": {
            "added_controls": ["seg"],
            "note": "Mixed load: the model also executes seg, with weight 0, for other runs of "
            "this load. Any pixel of this video may differ from the video of a strict load.",
        }
    }
    assert mixed_of(order, "rs_3") == {"mixed": {"added_controls": []}}
