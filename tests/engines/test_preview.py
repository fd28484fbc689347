"""What the preview engine reads from logs, and what it promises about batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.batching import plan
from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.engines.preview import LONGEST_SIDE, Preview, upscaled_size
from cosmos_pipelines.operations import Enhance, Job, Outcome, Transfer
from tests.engines.test_preview_cases import video_of

FACTS = {"width": 64, "height": 48, "frames": 6, "fps": "24"}
ENGINE = Preview()


def job(run_id: str, operation: Transfer | Enhance) -> Job:
    return Job(
        run_id=run_id, operation=operation, text="A street", inputs={"color": video_of("c", FACTS)}
    )


def transfer(seed: int = 1) -> Transfer:
    return Transfer.parse({"weights": {"edge": 0.5}, "seed": seed})


def test_it_says_that_it_is_simulated() -> None:
    engine = engine_named("preview")
    assert engine.simulated
    assert "PREVIEW" in engine.label


def test_runs_of_one_operation_share_a_batch() -> None:
    jobs = [job(f"rs_{n}", transfer(n)) for n in range(3)] + [job("rs_e", Enhance.parse({}))]
    assert [[j.run_id for j in batch] for batch in plan(ENGINE, jobs)] == [
        ["rs_0", "rs_1", "rs_2"],
        ["rs_e"],
    ]


def test_different_operations_are_never_one_order() -> None:
    with pytest.raises(ValueError, match="2 batch keys"):
        ENGINE.compile([job("rs_1", transfer()), job("rs_2", Enhance.parse({}))], "order_1")


def test_progress_is_read_from_a_log_line() -> None:
    progress = ENGINE.progress("[2/3] rs_abc transfer: frame 24/48\n")
    assert progress is not None
    assert (progress.done, progress.total, progress.run_id) == (24, 48, "rs_abc")
    assert progress.text == "transfer 2 of 3: frame 24 of 48"


def test_other_lines_tell_no_progress() -> None:
    assert ENGINE.progress("PREVIEW (simulated on the CPU): transfer, 1 sample(s)") is None


LOG = "FAILED rs_1: depth.mp4 has no video stream\nERROR: 1 of 2 samples failed: rs_1\n"


def test_a_failed_sample_is_told_its_own_reason() -> None:
    verdict = ENGINE.diagnose(Outcome(exit_code=1), LOG, "rs_1")
    assert (verdict.kind, verdict.message) == ("model_failed", "depth.mp4 has no video stream")


def test_a_sample_that_had_failed_before_the_order_was_stopped_is_a_failure() -> None:
    stopped = Outcome(exit_code=143, stopped="cancelled")
    assert ENGINE.diagnose(stopped, LOG, "rs_1").kind == "model_failed"
    assert ENGINE.diagnose(stopped, LOG, "rs_2").kind == "cancelled"


def test_a_run_id_that_begins_like_another_is_not_taken_for_it() -> None:
    assert "rs_1" in ENGINE.diagnose(Outcome(exit_code=1), LOG, "rs_").message


def test_a_bad_request_is_a_validation_failure() -> None:
    verdict = ENGINE.diagnose(Outcome(exit_code=2), "ERROR: request.json has no samples\n")
    assert (verdict.kind, verdict.message) == ("validation", "request.json has no samples")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("OSError: [Errno 28] No space left on device", "disk_full"),
        ("MemoryError: Unable to allocate 1 GiB", "out_of_memory"),
        ("cannot read color.mp4: Invalid data", "model_failed"),
    ],
)
def test_the_kind_of_a_failure_follows_its_reason(reason: str, kind: str) -> None:
    assert ENGINE.diagnose(Outcome(exit_code=1), f"FAILED rs_1: {reason}\n", "rs_1").kind == kind


def test_a_vanished_order_is_lost() -> None:
    assert ENGINE.diagnose(Outcome(exit_code=None), "", "rs_1").kind == "lost"


@pytest.mark.parametrize(
    ("source", "size"),
    [((1280, 704), (3840, 2112)), ((1920, 1080), (3840, 2160)), ((704, 1280), (2112, 3840))],
)
def test_usual_sizes_become_4k(source: tuple[int, int], size: tuple[int, int]) -> None:
    assert upscaled_size(*source) == size


@given(st.integers(16, LONGEST_SIDE - 1), st.integers(16, LONGEST_SIDE - 1))
def test_the_longest_side_is_exactly_3840_and_the_shape_stays(width: int, height: int) -> None:
    wide, high = upscaled_size(width, height)
    assert max(wide, high) == LONGEST_SIDE
    assert wide % 2 == high % 2 == 0
    assert abs(wide - width * LONGEST_SIDE / max(width, height)) <= 1
    assert abs(high - height * LONGEST_SIDE / max(width, height)) <= 1
