"""The time of GPUs, of which nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.deletion import plan_deletion
from tests.catalog.rows import add_run, begin, fail

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY = NOON.replace(hour=0)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def minutes(catalog: Catalog, since: datetime = DAY) -> dict[str, tuple[float, float | None]]:
    """Begin and end of each attempt, in minutes after noon."""
    return {
        f"{t.order_id}.{n}": (
            (t.started_at - NOON).total_seconds() / 60,
            None if t.ended_at is None else (t.ended_at - NOON).total_seconds() / 60,
        )
        for n, t in enumerate(sorted(catalog.gpu_times(since), key=lambda t: t.started_at))
    }


def test_a_run_counts_while_it_works_and_after_its_end_once(catalog: Catalog) -> None:
    run = add_run(catalog)
    begin(catalog, run, "od_1", at(0))
    assert minutes(catalog) == {"od_1.0": (0, None)}
    assert catalog.advance(
        run.id, "here:1:1.00", "running", "cancelled", error_kind="cancelled", now=at(9)
    )
    catalog.rate(run.id, 3)
    assert minutes(catalog) == {"od_1.0": (0, 9)}


def test_of_batches_all_is_told_that_shared_their_loads(catalog: Catalog) -> None:
    for order, tags in (("od_1", ["batch:a"]), ("od_1", ["x"]), ("od_2", ["batch:b", "batches"])):
        fail(catalog, add_run(catalog, tags=tags), order=order, began=at(0), ended=at(1))
    begin(catalog, add_run(catalog, tags=["batch:a"]), "od_3", at(0))
    begin(catalog, add_run(catalog, tags=["batch:b"]), "od_1", at(0))

    def found(*batches: str) -> list[tuple[str, str | None]]:
        times = catalog.gpu_times_of(batches)
        return sorted(((t.order_id, t.batch) for t in times), key=str)

    first = [("od_1", "batch:a"), ("od_1", "batch:b"), ("od_1", None)]
    assert found("batch:a") == [*first, ("od_3", "batch:a")]
    assert found("batch:b") == [*first, ("od_2", "batch:b")]
    assert found("batch:c") == []


def test_batches_that_wait_are_those_of_queued_runs(catalog: Catalog) -> None:
    add_run(catalog, tags=["batch:a", "batch"], queued=True)
    add_run(catalog, tags=["batch:b"])
    catalog.cancel_pending(add_run(catalog, tags=["batch:c"], queued=True).id)
    assert catalog.waiting_batches() == {"batch:a"}


def test_an_attempt_that_failed_counts_beside_the_next_one(catalog: Catalog) -> None:
    run = add_run(catalog)
    fail(catalog, run, order="od_1", began=at(0), ended=at(5))
    begin(catalog, run, "od_2", at(10))
    assert minutes(catalog) == {"od_1.0": (0, 5), "od_2.1": (10, None)}


def test_a_deleted_run_has_used_its_gpu_nevertheless(catalog: Catalog, tmp_path: Path) -> None:
    run = fail(catalog, add_run(catalog), began=at(0), ended=at(5))
    plan_deletion(catalog, "run", run.id, tmp_path).execute(catalog)
    assert catalog.find_run(run.id) is None
    assert minutes(catalog) == {"od_1.0": (0, 5)}


def test_what_ended_before_is_left_out_and_what_went_on_into_the_day_is_not(
    catalog: Catalog,
) -> None:
    fail(catalog, add_run(catalog), order="od_1", began=at(-900), ended=at(-800))
    fail(catalog, add_run(catalog), order="od_2", began=at(-800), ended=at(-600))
    assert minutes(catalog) == {"od_2.0": (-800, -600)}


def test_a_run_that_was_cancelled_before_its_start_has_used_nothing(catalog: Catalog) -> None:
    run = add_run(catalog)
    catalog.cancel_pending(run.id)
    assert minutes(catalog) == {}


def test_a_setting_that_is_no_number_keeps_no_run_from_its_end(catalog: Catalog) -> None:
    for n, odd in enumerate(("many", [2], {"of": 1}, None, True, 1.5, "-1")):
        run = add_run(catalog, execution_config={"num_gpus": odd})
        begin(catalog, run, f"od_{n}", at(0))
        assert len(catalog.gpu_times(DAY)) == n + 1
        assert catalog.advance(run.id, "here:1:1.00", "running", "failed", error_kind="timeout")
    assert {time.gpus for time in catalog.gpu_times(DAY)} == {1}
