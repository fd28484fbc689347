"""Pieces, chunks and sizes, whatever the clip; and what a batch may never change."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.engines.cosmos import Cosmos
from cosmos_pipelines.engines.cosmos_transfer1.request import keep_of, pieces_of
from cosmos_pipelines.engines.geometry import aspect_of, chunks_of, cropped, stretched
from cosmos_pipelines.operations import Job, Transfer
from tests.engines.test_cosmos_cases import video_of

SIDES = st.integers(16, 4096)
LENGTHS = st.integers(2, 5000)
ENGINES: list[Any] = [engine_named(name) for name in ("cosmos_transfer1", "cosmos_transfer2_5")]
ENGINES.append(engine_named("cosmos3"))


@given(LENGTHS)
@example(121)
@example(122)
@example(242)
@example(243)
def test_the_pieces_of_an_upscale_give_every_frame_exactly_once(frames: int) -> None:
    used = [
        frame
        for (_, end), keep in zip(pieces_of(frames), keep_of(frames), strict=True)
        for frame in range(end - keep, end)
    ]
    assert used == list(range(frames))


@given(LENGTHS)
def test_no_piece_is_too_long_for_the_upscaler_and_none_is_a_picture(frames: int) -> None:
    pieces = pieces_of(frames)
    assert all(2 <= end - start <= 121 for start, end in pieces)
    assert all(keep <= end - start for (start, end), keep in zip(pieces, keep_of(frames)))  # noqa: B905
    assert len(pieces) == ceil(frames / 121)


@given(LENGTHS)
@example(2)
@example(121)
@example(122)
@example(241)
def test_chunks_are_counted_as_transfer1_does(frames: int) -> None:
    assert chunks_of(frames, 121, 1) == ceil((frames - 1) / 120)


@given(LENGTHS, st.sampled_from([93, 121]), st.integers(0, 2))
@example(93, 93, 0)
@example(94, 93, 1)
def test_chunks_are_counted_as_the_newer_models_do(frames: int, length: int, overlap: int) -> None:
    more = ceil((frames - length) / (length - overlap))
    assert chunks_of(frames, length, overlap) == (1 if frames <= length else 1 + more)


@given(SIDES, SIDES, st.integers(1, 8))
def test_the_aspect_does_not_depend_on_the_scale(width: int, height: int, scale: int) -> None:
    assert aspect_of(width * scale, height * scale) == aspect_of(width, height)


@given(SIDES, SIDES)
def test_a_picture_of_the_right_size_is_neither_stretched_nor_cut(width: int, height: int) -> None:
    video = video_of("color", f"{width}x{height} 24@24")
    assert stretched(video, (width, height)) is None
    assert cropped(video, (width, height)) is None


VALUES: dict[str, list[Any]] = {
    "weights": [
        {"edge": 0.4, "depth": 0.6},
        {"edge": 1, "depth": 0.25},
        {"depth": 1},
        {"edge": 0.5},
        {"vis": 0.5, "edge": 0.5},
    ],
    "seed": [1, 2],
    "num_steps": [None, 20],
    "guidance": [None, 4],
    "negative_prompt": [None, "fog"],
    "blur_strength": ["medium", "high"],
    "canny_threshold": ["medium", "low"],
    "num_gpus": [1, 2],
}
OWN: dict[str, dict[str, list[Any]]] = {
    "cosmos_transfer1": {
        "fps": [None, 30],
        "sigma_max": [None, 70],
        "keypoint_weight": [0, 0.5],
        "regional_prompts": [(), ({"prompt": "A car", "box": (0, 0, 1, 1)},)],
    },
    "cosmos_transfer2_5": {
        "resolution": [None, "480"],
        "max_frames": [None, 93],
        "sigma_max": [None, 70],
        "mask_prompt": [None, "car"],
        "num_conditional_frames": [None, 2],
    },
    "cosmos3": {"resolution": [None, "480"], "max_frames": [None, 93]},
}
PASSES = ("color", "depth", "edge", "vis")
BATCH = {"--batch_input_path", "{run}/batch.jsonl", "--batch_size", "1"}


@st.composite
def two_jobs(draw: st.DrawFn, engine: Cosmos) -> tuple[Job, Job]:
    """Two jobs that differ in one setting at most, and in what they are made from."""
    values = VALUES | OWN[engine.name]
    fields = {name: draw(st.sampled_from(given)) for name, given in values.items()}
    changed = draw(st.sampled_from(sorted(values)))
    others = {changed: draw(st.sampled_from(values[changed]))}
    lengths, texts = st.sampled_from([121, 241]), st.sampled_from(["A street", "A harbour"])
    some = st.just({*PASSES[1:]})  # mostly all: a computed control of Transfer1 shares no load
    if engine.computes >= {"depth"}:
        some |= st.sets(st.sampled_from(PASSES[1:]))
    jobs = []
    for n, settings in enumerate([fields, fields | others]):
        assume(settings["num_gpus"] == 1 or not settings.get("regional_prompts"))
        told = f"1280x704 {draw(lengths)}@24 scene{n}"
        job = Job(
            run_id=f"rs_{n}",
            operation=Transfer.parse(settings),
            text=draw(texts),
            inputs={name: video_of(name, told) for name in ("color", *sorted(draw(some)))},
        )
        engine.check(job)
        jobs.append(job)
    return jobs[0], jobs[1]


def alone(engine: Cosmos, job: Job) -> dict[str, Any]:
    """What the model is told of a job that has an order to itself."""
    documents = engine.compile([job], "order_1").documents
    return {name: json.loads(t) for name, t in documents.items() if name != "request.json"}


def in_a_batch(engine: Cosmos, jobs: tuple[Job, Job], n: int) -> dict[str, Any]:
    """What the model is told of one of two jobs, in the form of the one alone."""
    documents = engine.compile(jobs, "order_1").documents
    if "batch.jsonl" not in documents:
        name = f"specs/{jobs[n].run_id}.json"
        return {name: json.loads(documents[name])}
    spec = json.loads(documents["spec.json"])
    line = json.loads(documents["batch.jsonl"].splitlines()[n])
    for control, override in line["control_overrides"].items():
        spec[control] |= override
        if spec[control]["input_control"] is None:
            del spec[control]["input_control"]
    told = {"prompt": line["prompt"], "input_video_path": line["visual_input"]}
    return {"spec.json": spec | told}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@given(data=st.data())
def test_a_batch_tells_the_model_of_each_run_what_it_is_told_alone(
    engine: Cosmos, data: st.DataObject
) -> None:
    jobs = data.draw(two_jobs(engine))
    if engine.batch_key(jobs[0]) == engine.batch_key(jobs[1]):
        check_told_alike(engine, jobs)


def check_told_alike(engine: Cosmos, jobs: tuple[Job, Job]) -> None:
    """Two jobs in one order are told to the model as each is alone."""
    for n, job in enumerate(jobs):
        assert in_a_batch(engine, jobs, n) == alone(engine, job)
    mine, its, both = (
        [word for word in engine.compile(some, "order_1").argv if "/specs/" not in word]
        for some in ([jobs[0]], [jobs[1]], jobs)
    )
    assert mine == its
    assert set(both) - set(mine) <= BATCH


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@given(data=st.data())
def test_other_texts_videos_and_weights_are_no_reason_for_another_load(
    engine: Cosmos, data: st.DataObject
) -> None:
    job, _ = data.draw(two_jobs(engine))
    given_all = job.model_copy(
        update={"inputs": {name: video_of(name, "1280x704 121@24") for name in PASSES}}
    )
    operation = job.operation
    assert isinstance(operation, Transfer)
    assert operation.weights is not None
    halved = {c: getattr(operation.weights, c) / 2 for c in operation.weights.active}
    other = given_all.model_copy(
        update={
            "run_id": "rs_2",
            "text": "Another text",
            "operation": Transfer.parse(operation.config() | {"weights": halved}),
            "inputs": {name: video_of(name, "1280x704 241@24 harbour") for name in PASSES},
        }
    )
    assert engine.batch_key(given_all) == engine.batch_key(other)
    check_told_alike(engine, (given_all, other))
