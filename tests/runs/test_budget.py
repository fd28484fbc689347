"""A budget pauses the queue once, says so, and lets it go on when there is budget again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos_pipelines.catalog import Catalog
from cosmos_pipelines.catalog.gpu_times import GpuTime
from cosmos_pipelines.catalog.queue import NewLoad
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.runs.budget import keep_budget, use_of, used_today
from cosmos_pipelines.runs.next_loads import next_loads
from cosmos_pipelines.settings import NOTIFY_VARIABLE, Settings
from tests.catalog.rows import OWNER, add_run, begin, fail
from tests.support.dagster_project import add_run as add_staged
from tests.support.project import Project, settings_in

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
HOSTS = """
[hosts.gpu1]
host = "gpu1.example"
price_per_gpu_hour = 2.5

[hosts.gpu2]
host = "gpu2.example"
"""


def limited(home: Path, **limits: float) -> Settings:
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    return settings_in(home, f"[budget]\n{lines}{HOSTS}")


def gpu_run(
    catalog: Catalog, hours: float, *, place: str = "gpu1", gpus: int = 1, order: str = "od_1",
    began: datetime = NOON - timedelta(hours=6),
) -> None:  # fmt: skip
    run = add_run(
        catalog,
        engine="cosmos_transfer1",
        backend=place,
        execution_config={"num_gpus": gpus},
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
        ({"gpu_hours_a_day": 2}, "The budget of 2 GPU hours for 2026-11-29 is used up: 2.00."),
        ({"money_a_day": 4.5}, "The budget of 4.5 USD for 2026-11-29 is used up: 5.00."),
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
    assert notice.said.startswith(f"{says} The queue is paused.")


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


def test_a_dispatcher_looks_at_the_budget_before_it_takes_anything(staged: Project) -> None:
    run = add_staged(staged, queued=True)

    def taken(settings: Settings) -> list[tuple[str, ...]]:
        loads = next_loads(staged.catalog, settings, {"local": 1}, lambda said, e: None)
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
            str(n), "gpu1", "cosmos3", gpus, NOON + timedelta(minutes=start),
            None if runs else NOON + timedelta(minutes=start + length),
        )
        for n, (start, length, gpus, runs) in enumerate(found)
    ]  # fmt: skip
    used = use_of(times, Settings(home=Path("/nowhere")), NOON.replace(hour=0), NOON)
    most = sum(gpus * max(12.0, (start + length + 720) / 60) for start, length, gpus, _ in found)
    assert 0 <= used.gpu_hours <= most + 1e-9
    assert used.unpriced_gpu_hours == pytest.approx(used.gpu_hours)
    assert used.money == 0
