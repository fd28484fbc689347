from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cosmos_pipelines.catalog import Catalog, Run
from cosmos_pipelines.catalog.lifecycle import ENDED_STATUSES, NEXT
from cosmos_pipelines.catalog.records import ACTIVE, STATUSES, Status
from cosmos_pipelines.errors import StateError
from tests.catalog.rows import OTHER, OWNER, add_run, complete

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_run_goes_all_the_way_and_its_times_and_lease_follow(catalog: Catalog) -> None:
    run = add_run(catalog, queued=True)
    assert catalog.claim(run.id, OWNER, dagster_run_id="d1", now=NOW)
    claimed = catalog.get_run(run.id)
    assert (claimed.status, claimed.attempt, claimed.dagster_run_id) == ("uploading", 1, "d1")
    assert claimed.leased_until == later(30)
    assert catalog.advance(
        run.id, OWNER, "uploading", "uploading", batch_id=run.id, log_path="run.log"
    )
    assert catalog.advance(run.id, OWNER, "uploading", "running", now=later(1), host="gpu1")
    assert catalog.advance(run.id, OWNER, "running", "running", container_id="c1")
    assert catalog.advance(run.id, OWNER, "running", "downloading", now=later(3))
    outputs = {"video": "outputs/x/video.mp4"}
    assert catalog.advance(
        run.id, OWNER, "downloading", "completed", now=later(4), outputs=outputs, exit_code=0
    )
    done = catalog.get_run(run.id)
    assert (done.started_at, done.completed_at, done.duration_s) == (later(1), later(4), 3.0)
    assert (done.leased_by, done.leased_until) == (None, None)
    assert (done.host, done.container_id, done.batch_id) == ("gpu1", "c1", run.id)
    assert (done.outputs, done.exit_code) == (outputs, 0)
    assert done.as_dict()["duration_s"] == 3.0


def test_of_threads_that_claim_one_run_exactly_one_wins(catalog: Catalog) -> None:
    run = add_run(catalog)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda n: catalog.claim(run.id, f"here:{n}:1.0"), range(8)))
    (won,) = (n for n, claimed in enumerate(told) if claimed is not None)
    assert catalog.get_run(run.id).leased_by == f"here:{won}:1.0"


CLAIM = """
import sys
from cosmos_pipelines.catalog import Catalog
catalog = Catalog.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(sum(catalog.claim(r, sys.argv[2]) is not None for r in sys.argv[3:]), flush=True)
"""


def test_processes_share_runs_without_taking_one_twice(catalog: Catalog) -> None:
    run_ids = [add_run(catalog).id for _ in range(10)]
    url = catalog.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, url, f"here:{n}:1.0", *run_ids],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    taken = [int(process.communicate("go\n")[0]) for process in processes]
    assert sum(taken) == len(run_ids)
    assert {run.status for run in catalog.list_runs()} == {"uploading"}


def test_a_run_held_by_another_cannot_be_claimed_until_its_lease_ends(catalog: Catalog) -> None:
    run = add_run(catalog, lease=OTHER)
    held_until = run.leased_until
    assert held_until is not None
    assert not catalog.claim(run.id, OWNER)
    assert not catalog.cancel_pending(run.id)
    assert catalog.claim(run.id, OWNER, now=held_until)


def test_a_run_in_work_is_adopted_only_when_its_lease_has_ended(catalog: Catalog) -> None:
    run = add_run(catalog)
    assert not catalog.adopt(run.id, OTHER)
    catalog.claim(run.id, OWNER, lease_s=30, now=NOW)
    assert not catalog.adopt(run.id, OTHER, now=later(29.9))
    assert catalog.adopt(run.id, OWNER, now=later(1))
    assert catalog.adopt(run.id, OTHER, 30, now=later(31))
    assert not catalog.advance(run.id, OWNER, "uploading", "running")
    assert catalog.advance(run.id, OTHER, "uploading", "running")


def test_a_renewed_lease_lasts_and_is_no_news(catalog: Catalog) -> None:
    runs = [add_run(catalog) for _ in range(3)]
    for run in runs[:2]:
        catalog.claim(run.id, OWNER, now=NOW)
    catalog.claim(runs[2].id, OTHER, now=NOW)
    _, cursor = catalog.changes_since(None)
    assert catalog.renew([run.id for run in runs], OWNER, 30, now=later(20)) == 2
    assert catalog.get_run(runs[0].id).leased_until == later(50)
    assert catalog.get_run(runs[2].id).leased_until == later(30)
    assert catalog.changes_since(cursor)[0] == []


def test_only_the_owner_can_release(catalog: Catalog) -> None:
    run = add_run(catalog, lease=OWNER)
    assert not catalog.release(run.id, OTHER)
    assert catalog.release(run.id, OWNER)
    assert catalog.get_run(run.id).leased_by is None


def test_a_failed_run_is_claimed_again_as_a_clean_next_attempt(catalog: Catalog) -> None:
    run = add_run(catalog)
    catalog.claim(run.id, OWNER)
    catalog.advance(run.id, OWNER, "uploading", "running", container_id="c", batch_id="b")
    assert catalog.advance(
        run.id, OWNER, "running", "failed", error_kind="lost", error_message="gone", exit_code=1
    )
    failed = catalog.get_run(run.id)
    assert (failed.error_kind, failed.error_message) == ("lost", "gone")
    assert catalog.claim(run.id, OTHER)
    again = catalog.get_run(run.id)
    assert (again.status, again.attempt, again.leased_by) == ("uploading", 2, OTHER)
    left = (again.error_kind, again.error_message, again.exit_code, again.container_id)
    assert (*left, again.batch_id, again.started_at, again.completed_at) == (None,) * 7


def test_a_completed_run_is_never_claimed_adopted_or_cancelled(catalog: Catalog) -> None:
    done = complete(catalog, add_run(catalog))
    assert not catalog.claim(done.id, OWNER)
    assert not catalog.adopt(done.id, OWNER)
    assert not catalog.cancel_pending(done.id)
    assert catalog.get_run(done.id) == done


def test_only_a_pending_run_can_be_cancelled_before_its_start(catalog: Catalog) -> None:
    run = add_run(catalog)
    assert catalog.cancel_pending(run.id)
    cancelled = catalog.get_run(run.id)
    assert (cancelled.status, cancelled.error_kind) == ("cancelled", "cancelled")
    assert cancelled.completed_at is not None
    assert not catalog.cancel_pending(run.id)
    assert not catalog.cancel_pending("rs_nothing")


@pytest.mark.parametrize("old", STATUSES)
@pytest.mark.parametrize("new", STATUSES)
def test_only_the_ways_of_a_run_s_life_are_open(
    catalog_of_the_module: Catalog, old: Status, new: Status
) -> None:
    if new in NEXT[old]:
        return
    run = add_run(catalog_of_the_module)
    with pytest.raises(StateError, match=f"cannot become {new} from {old}"):
        catalog_of_the_module.advance(
            run.id, OWNER, old, new, outputs={"video": "v"}, error_kind="lost"
        )


@pytest.fixture(scope="module")
def catalog_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog.open(f"sqlite:///{tmp_path_factory.mktemp('catalog') / 'cosmos.db'}")


def test_a_run_cannot_be_completed_without_outputs_nor_fail_without_a_kind(
    catalog: Catalog,
) -> None:
    run = add_run(catalog)
    catalog.claim(run.id, OWNER)
    with pytest.raises(StateError, match="without an error kind"):
        catalog.advance(run.id, OWNER, "uploading", "failed")
    catalog.advance(run.id, OWNER, "uploading", "running")
    catalog.advance(run.id, OWNER, "running", "downloading")
    with pytest.raises(StateError, match="without outputs"):
        catalog.advance(run.id, OWNER, "downloading", "completed")
    with pytest.raises(TypeError, match="rating"):
        catalog.advance(run.id, OWNER, "downloading", "downloading", rating=5)


def test_the_queue_is_in_order_of_priority_then_of_time(catalog: Catalog) -> None:
    slow = add_run(catalog, queued=True)
    fast = add_run(catalog, queued=True, priority=5)
    last = add_run(catalog, queued=True)
    add_run(catalog)  # waits for no dispatcher
    held = add_run(catalog, queued=True, lease=OTHER)
    assert [run.id for run in catalog.queued_runs()] == [fast.id, slow.id, last.id]
    assert [run.id for run in catalog.queued_runs(1)] == [fast.id]
    catalog.claim(fast.id, OWNER)
    assert [run.id for run in catalog.queued_runs()] == [slow.id, last.id]
    assert held.leased_until is not None
    assert held.id in [run.id for run in catalog.queued_runs(now=held.leased_until)]
    assert [run.id for run in catalog.active_runs()] == [fast.id]


OWNERS = (OWNER, OTHER)


def _steps(run_id: str, catalog: Catalog) -> dict[str, Callable[[str, int, Status, Status], Any]]:
    def advance(owner: str, at: int, old: Status, new: Status) -> Run | None:
        fields = {"outputs": {"video": "v"}, "error_kind": "lost"}
        try:
            return catalog.advance(run_id, owner, old, new, now=later(at), **fields)
        except StateError:
            assert new not in NEXT[old]
            return None

    return {
        "claim": lambda owner, at, *_: catalog.claim(run_id, owner, now=later(at)),
        "adopt": lambda owner, at, *_: catalog.adopt(run_id, owner, now=later(at)),
        "renew": lambda owner, at, *_: catalog.renew([run_id], owner, now=later(at)),
        "release": lambda owner, *_: catalog.release(run_id, owner),
        "cancel": lambda owner, at, *_: catalog.cancel_pending(run_id, now=later(at)),
        "advance": advance,
    }


def _check(before: Run, after: Run, step: str) -> None:
    assert after.attempt - before.attempt in (0, 1)
    assert (after.leased_by is None) == (after.leased_until is None)
    if after.status in ENDED_STATUSES:
        assert after.completed_at is not None
        assert after.leased_by is None
    if after.status == before.status:
        return
    if after.status == "uploading":
        assert step == "claim"
        assert before.status in ("pending", "failed", "cancelled")
        assert after.attempt == before.attempt + (before.status != "pending")
    else:
        assert after.status in NEXT[before.status]
        assert before.status not in ACTIVE or step == "advance"
    assert after.updated_at >= before.updated_at


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["claim", "adopt", "renew", "release", "cancel", *["advance"] * 8]),
            st.sampled_from(OWNERS),
            st.integers(0, 120),
            st.sampled_from(STATUSES),
            st.sampled_from(STATUSES),
        ),
        max_size=25,
    )
)
def test_no_walk_ever_stores_an_illegal_state(
    catalog: Catalog, walk: list[tuple[str, str, int, Status, Status]]
) -> None:
    run = add_run(catalog)
    steps = _steps(run.id, catalog)
    for step, owner, at, old, new in walk:
        before = catalog.get_run(run.id)
        told = steps[step](owner, at, old if at % 2 else before.status, new)
        after = catalog.get_run(run.id)
        _check(before, after, step)
        if step in ("claim", "adopt", "cancel", "advance"):
            assert told == after if told else before == after


def test_each_change_takes_one_revision(catalog: Catalog) -> None:
    def newest() -> int:
        return int(catalog.changes_since(None)[1])

    before = newest()
    run = add_run(catalog)
    assert catalog.claim(run.id, OWNER)
    assert catalog.advance(run.id, OWNER, "uploading", "running")
    assert catalog.release(run.id, OWNER)
    assert newest() == before + 4


def test_leases_are_given_up_together_and_those_of_others_stay(catalog: Catalog) -> None:
    mine, ended, other = (add_run(catalog) for _ in range(3))
    for run, owner in ((mine, OWNER), (ended, OWNER), (other, OTHER)):
        assert catalog.claim(run.id, owner)
    done = catalog.advance(ended.id, OWNER, "uploading", "failed", error_kind="lost")
    catalog.release_all([mine.id, ended.id, other.id], OWNER)
    assert catalog.get_run(mine.id).leased_by is None
    assert catalog.get_run(ended.id) == done
    assert catalog.get_run(other.id).leased_by == OTHER


def test_the_statuses_of_the_type_are_those_of_the_table() -> None:
    assert get_args(Status) == STATUSES
    assert set(NEXT) == set(STATUSES)


def test_an_interrupt_in_a_statement_stays_an_interrupt_and_rolls_back(catalog: Catalog) -> None:
    run = add_run(catalog)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) "
    try:
        with pytest.raises(KeyboardInterrupt), catalog.write() as tx:
            tx.connection.execute(text("UPDATE runs SET priority = 7"))
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            tx.connection.execute(text(count + "SELECT count(*) FROM n"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert catalog.get_run(run.id).priority == run.priority
