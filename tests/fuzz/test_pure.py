"""Pure functions take any value, or refuse it with an error of ours."""

from __future__ import annotations

import string
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines import batching
from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.ssh import host_shell
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.foreign import decoded, parse_json, parse_toml
from cosmos_pipelines.hosts.orders import progress_of, read_smoke
from cosmos_pipelines.media.sequence import recognise
from cosmos_pipelines.naming import MAX_LENGTH, smart_name
from cosmos_pipelines.operations import OPERATIONS, Job, Outcome, Video, operation_from
from cosmos_pipelines.operations.base import Verdict
from cosmos_pipelines.operations.rate import frame_rate
from cosmos_pipelines.operations.text import clean_name, clean_text, tidy
from cosmos_pipelines.remote import gpu
from cosmos_pipelines.remote.docker import answers, problems
from cosmos_pipelines.remote.files.confine import confine
from cosmos_pipelines.runs.inputs import check_scene_name
from cosmos_pipelines.runs.redact import without_secrets
from tests.fuzz.inputs import NUMBER, ODD_TEXTS, TEXT, VALUE, some

WORDS = (
    *ENGINES, *string.ascii_letters[:6], "rs_1", "[1/2]", "chunk 1/2", "step 3/4", "done in ",
    "FAILED rs_1: ", "REFUSED: ", "blocked: ", "nonsense: ", "frame 1/2", "%", *ODD_TEXTS[:30],
    "9" * 5000, "٣", "\n", "ERROR: ", "Exact Match Word: x", "[SUCCESS] x", "[ERROR] y",
)  # fmt: skip
LOG = st.lists(st.sampled_from(WORDS) | TEXT, max_size=12).map(" ".join)

READ: dict[str, Callable[[str], Any]] = {
    "json": lambda text: parse_json(text, "x"),
    "toml": lambda text: parse_toml(text, "x"),
    "text": clean_text,
    "name": clean_name,
    "scene name": check_scene_name,
    "rate": frame_rate,
    "path": lambda text: confine("/home/me", text),
    "inside": run_folder.inside,
    "order id": run_folder.check_order_id,
    "start": run_folder.read_start,
    "containers": answers.parse_inspect,
    "images": answers.parse_images,
    "engine": lambda text: answers.parse_info(0, text, ""),
    "problem": problems.parse_problem,
    "gpus": lambda text: gpu.parse(0, text),
    "progress": progress_of,
    "smoke": lambda text: read_smoke(text, 0),
    "recognise": recognise,
    "secrets": without_secrets,
}


@pytest.mark.parametrize("name", READ)
@some(60)
@given(TEXT | LOG)
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        READ[name](text)
    except CosmosError as e:
        assert str(e)
        assert len(str(e)) < 2000


@some(200)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (host_shell.parts, lambda d: decoded(d, "x"), lambda d: parse_json(d, "x")):
        try:
            read(data)
        except CosmosError as e:
            assert str(e)


@some(300)
@given(TEXT)
def test_a_cleaned_text_stays_and_a_name_is_made_of_any(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)
    name = smart_name(text)
    assert name.isascii()
    assert 0 < len(name) <= MAX_LENGTH


@some(300)
@given(NUMBER | TEXT | st.none() | st.booleans() | st.fractions() | st.decimals())
def test_a_rate_is_exact_and_possible_or_refused(value: Any) -> None:
    try:
        rate = frame_rate(value)
    except InputError:
        return
    assert isinstance(rate, Fraction)
    assert 1 <= rate <= 241


OUTCOME = st.builds(
    Outcome,
    exit_code=st.none() | st.sampled_from([0, 1, 2, 64, 125, 127, 137, 143, -9, 255]),
    stopped=st.sampled_from([None, "cancelled", "timeout"]),
    failed=st.just({}) | st.just({"rs_1": Verdict(kind="blocked", message="x")}),
)


@pytest.mark.parametrize("name", sorted(ENGINES))
@some(100)
@given(LOG, OUTCOME, st.sampled_from([None, "rs_1", "rs_2", "(", "*"]))
def test_any_log_is_progress_and_a_verdict(
    name: str, log: str, outcome: Outcome, run_id: str | None
) -> None:
    engine = ENGINES[name]
    for line in log.splitlines():
        engine.progress(line)
    assert isinstance(engine.diagnose(outcome, log, run_id), Verdict)


@st.composite
def fields(draw: st.DrawFn, model_type: str) -> dict[str, Any]:
    """Some settings of an operation, right and wrong ones."""
    known = OPERATIONS[model_type].model_fields  # type: ignore[index]
    small = st.integers(0, 5) | st.floats(0, 1) | st.sampled_from(["low", "720", "a car", True])
    weights = st.fixed_dictionaries(
        {}, optional={c: st.floats(0, 1) for c in ("vis", "edge", "depth", "seg")}
    )
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True))
    made = {name: draw(VALUE if draw(st.integers(0, 3)) == 0 else small) for name in chosen}
    if model_type == "transfer" and draw(st.booleans()):
        made["weights"] = draw(weights)
    return made


def video(draw: st.DrawFn, size: tuple[int, int], frames: int, fps: str) -> Video:
    """A video's facts."""
    width, height = size
    return Video(path="/s.mp4", sha256="0" * 64, size=1, width=width, height=height,
                 frames=frames, fps=fps)  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """A run of any settings and inputs."""
    model_type = draw(st.sampled_from(sorted(OPERATIONS)))
    operation = operation_from(model_type, draw(fields(model_type)))
    size = draw(st.tuples(st.integers(2, 5000), st.integers(2, 5000)))
    frames, fps = (
        draw(st.integers(1, 6000)),
        draw(st.sampled_from(["24", "30000/1001", "1/3", "240"])),
    )
    names = draw(
        st.lists(st.sampled_from(["color", "depth", "segmentation", "edge", "vis"]), unique=True)
    )
    one = video(draw, size, frames, fps)
    inputs = {"video": one} if model_type == "upscale" else dict.fromkeys(names, one)
    return Job(run_id="rs_1", operation=operation, text=tidy(draw(TEXT)), inputs=inputs)


@pytest.mark.parametrize("name", sorted(ENGINES))
@some(120)
@given(st.data())
def test_any_job_is_compiled_or_refused(name: str, data: st.DataObject) -> None:
    engine = ENGINES[name]
    try:
        job = data.draw(jobs())
    except InputError:
        return
    if job.operation.model_type not in engine.operations:
        return
    try:
        settled = job.model_copy(update={"operation": engine.settled(job.operation)})
        engine.check(settled)
    except InputError as e:
        assert len(str(e)) < 2000
        return
    [batch] = batching.plan(engine, [settled])
    order = engine.compile(batch, "order")
    run_folder.check(order)
    assert {e.run_id for e in order.expected} == {"rs_1"}
    assert run_folder.read_order(order.model_dump_json(), "order") == order
    order.texts("/run")


@some(400)
@given(st.sampled_from(sorted(OPERATIONS)), st.dictionaries(TEXT | st.sampled_from(
    ["weights", "guidance", "guidance_scale", "seed", "fps", "regional_prompts", "resolution"]),
    VALUE, max_size=4))  # fmt: skip
def test_any_settings_are_an_operation_or_refused(model_type: Any, given_fields: Any) -> None:
    try:
        operation = OPERATIONS[model_type].parse(given_fields)
    except InputError as e:
        assert len(str(e)) < 2000
        return
    assert operation_from(model_type, operation.config()) == operation
