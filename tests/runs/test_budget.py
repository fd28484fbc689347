"""A budget pauses the queue once, says so, and lets it go on when there is budget again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.gpu_times import GpuTime
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.runs.budget import keep_budget, use_of, used_today
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.settings import NOTIFY_VARIABLE, Settings
from tests.catalog.rows import OWNER, add_run, begin, fail
from tests.support.dagster_project import add_run as add_staged
from tests.support.project import Project, settings_in
from tests.support.rooms import free_room
from tests.support.templates import lay_catalog

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
HOSTS = """
[hosts.gpu1]
host = "gpu1.example"
price_per_gpu_hour = 2.5

[hosts.gpu2]
host = "gpu2.example"
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog; tests/catalog/test_gpu_times.py asks both databases."""
    url = f"sqlite:///{tmp_path / 'cosmos.db'}"
    lay_catalog(url)
    with Catalog.open(url) as opened:
        yield opened


def limited(home: Path, **limits: float) -> Settings:
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    return settings_in(home, f"[budget]\n{lines}{HOSTS}")


def gpu_run(
    catalog: Catalog, hours: float, *, place: str = "gpu1", gpus: int = 1, order: str = "od_1",
    batch: str | None = None, began: datetime = NOON - timedelta(hours=6),
) -> None:  # fmt: skip
    run = add_run(
        catalog,
        engine="cosmos_transfer1",
        backend=place,
        execution_config={"num_gpus": gpus},
        tags=[f"batch:{batch}"] if batch else [],
        queued=True,
    )
    fail(catalog, run, order=order, began=began, ended=began + timedelta(hours=hours))


def claimed(catalog: Catalog) -> bool:
    run = add_run(catalog, engine="cosmos_transfer1", backend="gpu1", queued=True)
    wanted = NewLoad("gpu1", "cosmos_transfer1", "transfer", (run.id,))
    return catalog.claim_load(wanted, OWNER) is not None


def test_gpus_hours_and_prices_are_counted_by_place(catalog: Catalog, tmp_path: Path) -> None:
    gpu_run(catalog, 2, order="od_1")
    gpu_run(catalog, 1, order="od_2", gpus=4)
    gpu_run(catalog, 1, order="od_3", place="gpu2")
    fail(catalog, add_run(catalog), order="od_4", began=NOON - timedelta(hours=3), ended=NOON)
    used = used_today(catalog, limited(tmp_path / "films"), NOON)
    assert used.as_dict() == {"gpu_hours": 7.0, "money": 15.0, "unpriced_gpu_hours": 1.0}


def test_a_load_that_still_runs_counts_up_to_now_and_one_of_yesterday_since_midnight(
    catalog: Catalog, tmp_path: Path
) -> None:
    gpu_run(catalog, 3, began=NOON - timedelta(hours=14), order="od_1")
    run = add_run(catalog, engine="cosmos_transfer1", backend="gpu1")
    begin(catalog, run, "od_2", NOON - timedelta(hours=2))
    assert used_today(catalog, limited(tmp_path / "films"), NOON).gpu_hours == pytest.approx(3)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"gpu_hours_a_day": 2}, "The budget of 2 GPU hours for 2026-11-29 is used up."),
        ({"money_a_day": 4.5}, "The budget of 4.5 USD for 2026-11-29 is used up."),
    ],
    ids=["hours", "money"],
)
def test_a_budget_that_is_used_up_pauses_the_queue_and_says_so(
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, float],
    says: str,
) -> None:
    settings = limited(tmp_path / "films", **limits)
    gpu_run(catalog, 1)
    monkeypatch.setenv(NOTIFY_VARIABLE, "json://host/path")
    assert keep_budget(catalog, settings, NOON) is None
    assert claimed(catalog)
    gpu_run(catalog, 1, order="od_2")
    for _ in range(2):
        assert keep_budget(catalog, settings, NOON) == says
    (pause,) = catalog.list_pauses()
    assert (pause.scope, pause.paused_by, pause.reason) == ("all", "budget", says)
    assert not claimed(catalog)
    (notice,) = catalog.take_notices(every=timedelta(), gathered=timedelta())
    assert notice.said.startswith(f"{says} The queue is paused until 00:00 UTC;")


def test_the_next_day_the_queue_goes_on(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", gpu_hours_a_day=1)
    gpu_run(catalog, 1)
    assert keep_budget(catalog, settings, NOON)
    assert keep_budget(catalog, settings, TOMORROW) is None
    assert catalog.list_pauses() == []
    gpu_run(catalog, 1, order="od_2", began=TOMORROW - timedelta(hours=2))
    assert keep_budget(catalog, settings, TOMORROW)
    assert len(catalog.list_pauses()) == 1


def test_who_allows_more_lets_the_queue_go_on(catalog: Catalog, tmp_path: Path) -> None:
    gpu_run(catalog, 1)
    assert keep_budget(catalog, limited(tmp_path / "films", gpu_hours_a_day=1), NOON)
    assert keep_budget(catalog, limited(tmp_path / "films", gpu_hours_a_day=3), NOON) is None
    assert catalog.list_pauses() == []
    assert keep_budget(catalog, limited(tmp_path / "films", gpu_hours_a_day=0.5), NOON)
    assert len(catalog.list_pauses()) == 1


def test_who_resumes_the_queue_is_obeyed_for_the_day(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", gpu_hours_a_day=1)
    gpu_run(catalog, 1)
    assert keep_budget(catalog, settings, NOON)
    catalog.resume("all")
    assert keep_budget(catalog, settings, NOON)
    assert catalog.list_pauses() == []


def test_a_pause_of_a_person_stays_one(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", gpu_hours_a_day=1)
    catalog.pause("all", "me@here", "tidying up")
    gpu_run(catalog, 1)
    assert keep_budget(catalog, settings, NOON)
    assert keep_budget(catalog, settings, TOMORROW) is None
    assert [pause.reason for pause in catalog.list_pauses()] == ["tidying up"]


def test_nobody_is_told_later_of_a_budget_that_was_not_to_be_told(
    catalog: Catalog, tmp_path: Path
) -> None:
    gpu_run(catalog, 1)
    assert keep_budget(catalog, limited(tmp_path / "films", gpu_hours_a_day=1), NOON)
    assert catalog.take_notices(every=timedelta(), gathered=timedelta()) == []


def test_batches_that_share_a_load_count_each_its_part(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", gpu_hours_a_batch=3.5)
    for batch in ("dusk", "dusk", "dusk", "fog"):
        gpu_run(catalog, 4, batch=batch)
    for batch in ("dusk", "fog"):
        waiting(catalog, batch)
    assert keep_budget(catalog, settings, NOON) is None  # 3 h and 1 h
    gpu_run(catalog, 0.5, batch="dusk", order="od_2")
    says = "The budget of 3.5 GPU hours for the batch dusk is used up."
    assert keep_budget(catalog, settings, NOON) == says
    assert [pause.reason for pause in catalog.list_pauses()] == [says]
    assert keep_budget(catalog, settings, TOMORROW) == says


def test_a_batch_of_which_nothing_waits_pauses_nothing(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", money_a_batch=2)
    gpu_run(catalog, 1, batch="dusk")
    assert keep_budget(catalog, settings, NOON) is None
    run = waiting(catalog, "dusk")
    assert keep_budget(catalog, settings, NOON)
    assert len(catalog.list_pauses()) == 1
    catalog.cancel_pending(run.id)
    assert keep_budget(catalog, settings, NOON) is None
    assert catalog.list_pauses() == []


def test_each_budget_pauses_the_queue_once(catalog: Catalog, tmp_path: Path) -> None:
    settings = limited(tmp_path / "films", gpu_hours_a_day=1, gpu_hours_a_batch=2)
    gpu_run(catalog, 1, batch="dusk")
    run = waiting(catalog, "dusk")
    assert keep_budget(catalog, settings, NOON)
    catalog.resume("all")
    gpu_run(catalog, 1, batch="dusk", order="od_2")
    keep_budget(catalog, settings, NOON)
    assert ["the batch dusk" in str(p.reason) for p in catalog.list_pauses()] == [True]
    catalog.cancel_pending(run.id)  # that of the day was resumed by a person
    keep_budget(catalog, settings, NOON)
    assert catalog.list_pauses() == []


def waiting(catalog: Catalog, batch: str) -> Run:
    return add_run(catalog, engine="cosmos3", backend="gpu1", tags=[f"batch:{batch}"], queued=True)


def test_a_dispatcher_looks_at_the_budget_before_it_takes_anything(staged: Project) -> None:
    run = add_staged(staged, queued=True)

    def taken(settings: Settings) -> list[tuple[str, ...]]:
        loads = next_loads(staged.catalog, settings, free_room(), lambda said, e: None)
        return [load.run_ids for load in loads]

    home = staged.settings.home
    text = (home / "cosmos.toml").read_text()
    settings = settings_in(home, f"{text}[budget]\ngpu_hours_a_day = 1\n")
    assert taken(settings) == [(run.id,)]
    fail(
        staged.catalog,
        add_run(staged.catalog, engine="cosmos3"),
        began=datetime.now(UTC).replace(hour=0, minute=0, second=0),
        ended=datetime.now(UTC) + timedelta(hours=2),
    )
    assert taken(settings) == []
    assert [pause.paused_by for pause in staged.catalog.list_pauses()] == ["budget"]


@pytest.mark.parametrize("value", ['"much"', "0", "-1"])
def test_a_budget_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"budget\.gpu_hours_a_day"):
        settings_in(tmp_path, f"[budget]\ngpu_hours_a_day = {value}\n")


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(-2000, 720), st.integers(0, 3000), st.integers(0, 8), st.booleans()),
        max_size=8,
    )
)
def test_what_is_used_is_never_negative_and_never_more_than_the_day_has(
    found: list[tuple[int, int, int, bool]],
) -> None:
    times = [
        GpuTime(
            f"od_{n % 5}", f"batch:{n % 3}", "gpu1", "cosmos3", gpus,
            NOON + timedelta(minutes=start),
            None if runs else NOON + timedelta(minutes=start + length),
        )
        for n, (start, length, gpus, runs) in enumerate(found)
    ]  # fmt: skip
    at = Settings(home=Path("/nowhere")), NOON.replace(hour=0), NOON
    used = use_of(times, *at)
    one_by_one = sum(use_of([time], *at).gpu_hours for time in times)
    longest = max((start + length for start, length, _, _ in found), default=0)
    most = 8 * 5 * max(12.0, (longest + 720) / 60)
    assert 0 <= used.gpu_hours <= most
    assert len(found) > 5 or used.gpu_hours == pytest.approx(one_by_one)
    assert used.unpriced_gpu_hours == pytest.approx(used.gpu_hours)
    assert used.money == 0
    parts = sum(use_of(times, *at, f"batch:{n}").gpu_hours for n in range(3))
    assert parts == pytest.approx(used.gpu_hours)
