"""What becomes of each field: every engine says it of every operation, and it is true.

Engines that other packages bring are looked at as well, where some are installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Annotated, Any, ClassVar, get_args

import pytest
from hypothesis import Phase, assume, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from cosmos_pipelines.engines import ENGINES, Engine
from cosmos_pipelines.engines.fields import faults_of
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import OPERATIONS, Job, ModelType
from tests.engines.test_cosmos_cases import video_of

ALL = [*ENGINES.values()]
PASSES = ("vis", "edge", "depth", "segmentation")
WEIGHTS: list[dict[str, float]] = [
    {"edge": 1}, {"vis": 1}, {"seg": 0.5}, {"edge": 0.4, "depth": 0.6}
]  # fmt: skip
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "weights": st.sampled_from(WEIGHTS),
    "regional_prompts": st.just([{"prompt": "A car", "box": [0, 0, 1, 1]}]),
}
"""Values of the fields that are more than one value."""


def in_table(table: str) -> Iterator[Any]:
    """Each field that an engine has in a table, as a parameter."""
    for engine in ALL:
        for kind, names in getattr(engine, table).items():
            for name in sorted(names):
                yield pytest.param(engine, kind, name, id=f"{engine.name}-{kind}-{name}")


def values_of(kind: ModelType, field: str) -> st.SearchStrategy[Any]:
    """Values of a field other than its default, within its limits."""
    info = OPERATIONS[kind].model_fields[field]
    if field in SPECIAL:
        return SPECIAL[field]
    inner = [a for a in get_args(info.annotation) if a is not type(None)]
    bare = inner[0] if type(None) in get_args(info.annotation) else info.annotation
    within = st.from_type(Annotated[(bare, info, *info.metadata)])  # type: ignore[arg-type]
    return within.filter(lambda value: value != info.default)


@st.composite
def pairs(draw: st.DrawFn, engine: Engine, kind: ModelType, field: str) -> tuple[Job, Job]:
    """Two jobs that the second one's `field` tells apart; another used field may be chosen too."""
    steered = "weights" in engine.uses[kind]
    base: dict[str, Any] = {"weights": draw(SPECIAL["weights"])} if steered else {}
    others = sorted({*engine.uses[kind]} - {field, "weights"})
    if others and draw(st.booleans()):
        other = draw(st.sampled_from(others))
        base[other] = draw(values_of(kind, other))
    video = f"1280x704 {draw(st.sampled_from([93, 121, 250]))}@24"
    names = ("video",) if kind == "upscale" else ("color", *draw(st.sampled_from([(), PASSES])))
    job = Job(
        run_id="rs_1",
        operation=OPERATIONS[kind].parse(base),
        text="A street at sunset",
        inputs={name: video_of(name, video) for name in names},
    )
    changed = OPERATIONS[kind].parse(base | {field: draw(values_of(kind, field))})
    return job, job.model_copy(update={"operation": changed})


def accepted(engine: Engine, job: Job) -> bool:
    """Whether an engine would make it."""
    try:
        engine.check(job)
    except InputError:
        return False
    return True


def order_of(engine: Engine, job: Job) -> dict[str, Any]:
    """All that an order says."""
    return engine.compile([job], "order_1").model_dump()


@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
def test_every_field_is_used_refused_or_ignored_by_every_engine(engine: Engine) -> None:
    if faults := faults_of(engine):
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.mark.parametrize(("engine", "kind", "field"), [*in_table("uses")])
def test_a_field_that_is_used_changes_the_order(
    engine: Engine, kind: ModelType, field: str
) -> None:
    def changes(two: tuple[Job, Job]) -> bool:
        both = all(accepted(engine, job) for job in two)
        return both and order_of(engine, two[0]) != order_of(engine, two[1])

    few = settings(max_examples=500, phases=[Phase.generate], database=None, deadline=None)
    try:
        find(pairs(engine, kind, field), changes, settings=few, random=Random(1))
    except NoSuchExample:
        pytest.fail(f"{engine.name}, {kind}: no value of {field} changes the order")


@pytest.mark.parametrize(("engine", "kind", "field"), [*in_table("ignores")])
@settings(max_examples=40)
@given(data=st.data())
def test_a_field_that_is_ignored_changes_nothing_and_is_told(
    engine: Engine, kind: ModelType, field: str, data: st.DataObject
) -> None:
    job, chosen = data.draw(pairs(engine, kind, field))
    assume(accepted(engine, job))
    assert engine.check(chosen) == [*engine.check(job), f"{engine.label} does not use: {field}."]
    assert order_of(engine, chosen) == order_of(engine, job)
    assert engine.batch_key(chosen) == engine.batch_key(job)
    assert engine.cost(chosen) == engine.cost(job)


@pytest.mark.parametrize(("engine", "kind", "field"), [*in_table("refuses")])
@settings(max_examples=40)
@given(data=st.data())
def test_a_field_that_is_refused_is_an_error(
    engine: Engine, kind: ModelType, field: str, data: st.DataObject
) -> None:
    job, chosen = data.draw(pairs(engine, kind, field))
    assume(accepted(engine, job))
    with pytest.raises(InputError, match=rf"{engine.label} has no {field}"):
        engine.check(chosen)


@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.name)
@settings(max_examples=20)
@given(data=st.data())
def test_what_becomes_of_the_result_is_no_engines_business(
    engine: Engine, data: st.DataObject
) -> None:
    for kind in sorted(engine.operations):
        for field in sorted(OPERATIONS[kind].ours):
            job, chosen = data.draw(pairs(engine, kind, field))
            assume(accepted(engine, job))
            assert engine.check(chosen) == engine.check(job)
            assert order_of(engine, chosen) == order_of(engine, job)


# ---- what an engine writes although nobody asked

CONSTANTS = {
    "cosmos_transfer1": set[str](),
    "cosmos_transfer2_5": set[str](),
    "cosmos3": {
        "model_mode", "negative_metadata_mode", "negative_prompt_keep_metadata",
        "control_guidance", "num_video_frames_per_chunk",
    },
}  # fmt: skip
"""Keys of requests that no field sets, by engine; each has its source in the engine's facts."""


@pytest.mark.parametrize("name", CONSTANTS)
def test_an_engine_writes_no_constant_that_is_not_listed(name: str) -> None:
    engine, seen = ENGINES[name], dict[str, set[str]]()
    kinds = {"spec.json", "specs/rs_1.json"}
    fields = {field for names in engine.uses.values() for field in names}

    @settings(max_examples=300, database=None, phases=[Phase.generate])
    @given(data=st.data())
    def look(data: st.DataObject) -> None:
        job, other = data.draw(pairs(engine, "transfer", "seed"))
        for one in (job, other):
            if accepted(engine, one):
                documents = engine.compile([one], "order_1").documents
                [spec] = [json.loads(documents[kind]) for kind in kinds & {*documents}]
                for key, value in spec.items():
                    seen.setdefault(key, set()).add(json.dumps(value))

    look()
    named = fields | {"name", "prompt", "vis", "edge", "depth", "seg", "blur", "keypoint"}
    inputs = {"input_video_path", "video_path", "vision_path", "aspect_ratio"}
    assert set(seen) - named - inputs == CONSTANTS[name]


# ---- the tables themselves


class Odd(Preview):
    """An engine whose tables are wrong."""

    name: ClassVar[str] = "odd"
    operations: ClassVar[Any] = frozenset({"enhance", "upscale"})
    uses: ClassVar[Any] = {**Preview.uses, "upscale": {"control_weight", "seed", "sift"}}
    ignores: ClassVar[Any] = {**Preview.ignores, "upscale": {"num_steps", "seed"}}
    refuses: ClassVar[Any] = {"enhance": {"create_new": ""}}
    defaults: ClassVar[Any] = {"upscale": {"num_steps": 5}}


def test_what_is_wrong_with_a_table_is_told_with_engine_operation_and_field() -> None:
    assert faults_of(Odd()) == [
        "odd, enhance: refuses has create_new, which is not a field for engines",
        "odd, upscale: num_gpus is in no table: put it into uses, refuses or ignores",
        "odd, upscale: seed is in uses and in ignores",
        "odd, upscale: uses has sift, which is not a field for engines",
        "odd, upscale: num_steps has a default, but is not used",
    ]


def test_a_field_of_which_an_engine_says_nothing_is_refused_when_it_is_chosen() -> None:
    video = {"video": video_of("video", "1280x704 24@24")}

    def job(**fields: Any) -> Job:
        return Job(run_id="rs_1", operation=OPERATIONS["upscale"].parse(fields), inputs=video)

    assert Odd().check(job(control_weight=0.2)) == []
    with pytest.raises(InputError, match="does not say what it does with num_gpus"):
        Odd().check(job(num_gpus=2))
