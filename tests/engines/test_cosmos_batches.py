"""Which runs share a model load, and which can never be one order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cosmos_pipelines.batching import plan
from cosmos_pipelines.engines.cosmos_transfer1 import Transfer1, Transfer1Options
from cosmos_pipelines.operations import Job
from tests.engines.test_cosmos import C3, T1, T25, job, says, upscale


def batches(engine: Any, jobs: Sequence[Job]) -> list[list[str]]:
    return [[j.run_id for j in batch] for batch in plan(engine, jobs)]


def test_transfer1_shares_a_load_only_between_runs_of_one_spec() -> None:
    jobs = [
        job("rs_1"),
        job("rs_2", "A harbour", weights={"depth": 0.5}),
        job("rs_3", seed=2),
        job("rs_4", num_gpus=2),
        job("rs_5", weights={"seg": 1}),
        job("rs_6", negative_prompt="fog"),
        upscale(),
    ]
    apart = [["rs_3"], ["rs_4"], ["rs_5"], ["rs_6"], ["rs_u"]]
    assert batches(T1, jobs) == [["rs_1", "rs_2"], *apart]


def test_a_control_that_is_drawn_at_random_shares_with_nobody() -> None:
    drawn = [job(f"rs_{n}", weights={"edge": 1}) for n in range(2)]
    given = [job(f"rs_{n}", passes=("edge",), weights={"edge": 1}) for n in range(2)]
    assert batches(T1, drawn) == [["rs_0"], ["rs_1"]]
    assert batches(T1, given) == [["rs_0", "rs_1"]]
    assert batches(T25, drawn) == [["rs_0", "rs_1"]]


def test_what_seg_looks_for_in_one_run_is_not_looked_for_in_another() -> None:
    asked = job("rs_1", passes=(), weights={"seg": 1}, control_prompt="road . car")
    other = job("rs_2", "A forest with deer", passes=(), weights={"seg": 1})
    assert batches(T1, [asked, other]) == [["rs_1"], ["rs_2"]]


def test_regions_that_are_found_in_the_picture_go_one_run_a_pass() -> None:
    engine = Transfer1(Transfer1Options(batch_size=2))
    region = [{"prompt": "a red car", "mask_prompt": "car"}]
    jobs = [job(f"rs_{n}", f"Street {n}", regional_prompts=region) for n in range(2)]
    argv = engine.compile(jobs, "order_1").argv
    assert argv[argv.index("--batch_size") + 1] == "1"


def test_a_pass_that_would_not_fit_an_index_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="less than or equal to 6"):
        Transfer1Options(batch_size=7)


def test_transfer2_5_shares_a_load_between_runs_of_one_model() -> None:
    jobs = [
        job("rs_1"),
        job("rs_2", seed=2, guidance=7, num_steps=3, negative_prompt="fog"),
        job("rs_3", weights={"seg": 1}),
        job("rs_4", weights={"depth": 0.2, "seg": 0.8}),
        job("rs_5", num_gpus=2),
        job("rs_6", weights={"edge": 0.5, "vis": 0.5}),
    ]
    assert batches(T25, jobs) == [["rs_1", "rs_2"], ["rs_3"], ["rs_4", "rs_6"], ["rs_5"]]


def test_transfer2_5_tells_the_model_the_same_of_a_run_whichever_controls_its_mates_have() -> None:
    seg = job("rs_1", passes=("depth", "segmentation"), weights={"depth": 0.2, "seg": 0.8})
    vis = job("rs_2", "A harbour", weights={"edge": 0.5, "vis": 0.5})
    alone, together = T25.compile([seg], "order_1"), T25.compile([seg, vis], "order_1")
    assert together.documents["specs/rs_1.json"] == alone.documents["specs/rs_1.json"]
    needs = [json.loads(order.documents["request.json"])["needs"] for order in (alone, together)]
    weights = [[f for f in need["hub"] if "control" in f] for need in needs]
    assert weights[0] == weights[1]


def test_cosmos3_shares_a_load_between_runs_of_one_shape() -> None:
    jobs = [
        job("rs_1"),
        job("rs_2", seed=2, guidance=7),
        job("rs_3", resolution="480"),
        job("rs_4", passes=("segmentation",), weights={"seg": 1}),
        job("rs_5", num_gpus=2),
    ]
    assert batches(C3, jobs) == [["rs_1", "rs_2"], ["rs_3"], ["rs_4"], ["rs_5"]]


@pytest.mark.parametrize(
    ("engine", "jobs"),
    [
        (T1, [job("rs_1"), job("rs_2", seed=2)]),
        (T1, [upscale("rs_1"), upscale("rs_2", seed=2)]),
        (T25, [job("rs_1"), job("rs_2", num_gpus=2)]),
        (
            T25,
            [
                job("rs_1", weights={"edge": 1}),
                job("rs_2", weights={"edge": 1}, use_distilled=True),
            ],
        ),
        (C3, [job("rs_1"), job("rs_2", num_gpus=2)]),
    ],
)
def test_what_one_process_takes_once_is_never_two_things(engine: Any, jobs: Any) -> None:
    with pytest.raises(ValueError, match="2 batch keys"):
        engine.compile(jobs, "order_1")


def test_a_pass_of_several_runs_does_not_say_which_it_begins() -> None:
    engine = Transfer1(Transfer1Options(batch_size=2))
    order = engine.compile([job("rs_1"), job("rs_2", "A harbour")], "order_1")
    said = json.loads(order.documents["request.json"])["says"]
    assert said == {**says(T1), "begins": []}
