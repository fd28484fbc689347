"""Queue and hosts on the page: what runs and waits, stopping, hosts, what was left, checks."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.page.sparkline import lines_of
from cosmos_pipelines.settings import load_settings
from tests.page.conftest import Gallery
from tests.runs.test_execute import elsewhere, pending
from tests.support import web
from tests.support.project import Project, settings_in
from tests.support.review_page import review_page
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest_plugins = ["tests.support.staged"]


@contextmanager
def page_of(project: Project) -> Iterator[tuple[CosmosAPI, str]]:
    """The review page of a project."""
    with CosmosAPI(settings=project.settings) as api, review_page(api) as url:
        yield api, url


@contextmanager
def removed(gate: Path) -> Iterator[None]:
    """Remove a file at the end, for which a program waits."""
    try:
        yield
    finally:
        gate.unlink()


def running(project: Project, *runs: Run) -> None:
    """Wait until these runs run, with their order."""
    for run in runs:
        until(lambda r=run: project.catalog.get_run(r.id).status == "running", "its start")  # type: ignore[misc]
    until(project.backend.active, "its order")


def test_a_run_shows_how_far_it_is_and_is_stopped_after_a_question_that_names_the_runs_of_its_load(
    staged: Project, tab: Page
) -> None:
    gate = staged.settings.home / "gate"
    gate.touch()
    first, second = pending(staged, f"wait {gate}"), pending(staged, "works")
    with elsewhere(staged, first, second), page_of(staged) as (api, url), removed(gate):
        running(staged, first, second)
        tab.goto(f"{url}/cosmos/queue")
        row = tab.locator(f'.queue-run[data-run="{first.id}"]')
        row.get_by_text("frame 1 of 6").wait_for()
        until(lambda: tab.locator(".queue-run").count() == 2, "both runs")
        row.get_by_role("button", name="Stop").click()
        question = tab.get_by_role("dialog", name="Stop these runs?")
        question.get_by_text("share one load").wait_for()
        until(lambda: question.locator("li").count() == 2, "both runs of the load")
        question.get_by_role("button", name="Stop them").click()
        tab.get_by_text("Nothing runs.").wait_for()
        assert {api.get_run(run.id)["status"] for run in (first, second)} == {"cancelled"}


def test_what_waits_is_in_the_order_of_its_start_and_the_selected_are_cancelled(
    gallery: Gallery, tab: Page
) -> None:
    api = gallery.api
    made = [
        api.create_run(gallery.prompts[name], seed=seed, queue=True, tags=["batch:night"])["id"]
        for name in ("noon", "rain")
        for seed in (1, 2)
    ]
    tab.goto(f"{gallery.url}/cosmos/queue")
    rows = tab.locator("#queue-runs tr[data-run]")
    rows.nth(3).wait_for()
    assert rows.evaluate_all("rows => rows.map(row => row.dataset.run)") == made
    assert rows.nth(2).locator("td").nth(1).inner_text() == "3"
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(2).get_by_role("checkbox").check()
    api.rate(gallery.videos["noon", "soft"], 5)  # news: the selection outlives the new list
    tab.get_by_role("button", name="Cancel the selected (2)").click()
    question = tab.get_by_role("dialog", name="Stop these runs?")
    until(lambda: question.locator("li").count() == 2, "the selected runs")
    tab.keyboard.press("Escape")
    assert [run["id"] for run in api.look_at_queue()["waiting"]] == made
    tab.get_by_role("button", name="Cancel the selected (2)").click()
    question.get_by_role("button", name="Stop them").click()
    until(lambda: rows.count() == 2, "a shorter list")
    assert [run["id"] for run in api.look_at_queue()["waiting"]] == [made[1], made[3]]
    tab.get_by_role("button", name="Cancel batch night (2)").click()
    question.get_by_role("button", name="Stop them").click()
    tab.get_by_text("Nothing waits.").wait_for()


def waiting_at(
    gallery: Gallery, tab: Page, number: int
) -> tuple[list[str], Callable[[], list[str]]]:
    """Runs that wait, and what gives their order on the screen."""
    made = [
        gallery.api.create_run(gallery.prompts["noon"], seed=seed, queue=True)["id"]
        for seed in range(number)
    ]
    tab.goto(f"{gallery.url}/cosmos/queue")
    rows = tab.locator("#queue-runs tr[data-run]")
    rows.nth(number - 1).wait_for()
    return made, lambda: rows.evaluate_all("rows => rows.map(row => row.dataset.run)")


def drag(tab: Page, what: Locator, onto: Locator) -> None:
    """Drag by the mouse.

    Where a press changes the page's layout, Chromium tells of a mouse move by itself some 100 ms
    later. Playwright takes it for the move that begins the drag, and forgets the drag.
    """
    what.hover()
    tab.mouse.down()
    tab.wait_for_timeout(300)
    onto.hover()
    tab.mouse.up()


def test_the_order_is_changed_by_buttons_keys_drags_and_priorities(
    gallery: Gallery, tab: Page
) -> None:
    (a, b, c), shown = waiting_at(gallery, tab, 3)

    def row(run_id: str) -> Locator:
        return tab.locator(f'#queue-runs tr[data-run="{run_id}"]')

    row(c).get_by_role("button", name="First").click()
    until(lambda: shown() == [c, a, b], "the first move")
    drag(tab, row(b), row(a))
    until(lambda: shown() == [c, b, a], "the drag")
    row(c).locator("td").nth(1).click()
    tab.keyboard.press("Shift+ArrowDown")
    until(lambda: shown() == [b, c, a], "the key")
    row(a).get_by_role("button", name="Why").click()
    dialog = tab.get_by_role("dialog", name="Why it waits")
    dialog.get_by_text("2 runs are before it in the queue").wait_for()
    dialog.get_by_role("spinbutton").fill("2")
    dialog.get_by_role("button", name="Set the priority").click()
    until(lambda: shown() == [a, b, c], "the priority")
    assert gallery.api.get_run(a)["priority"] == 2
    assert [run["id"] for run in gallery.api.look_at_queue()["waiting"]] == [a, b, c]
    tab.locator("#queue-plan").get_by_role("heading", name="Loads to come 1").wait_for()
    gallery.api.cancel_waiting([a, b, c])


def test_on_a_narrow_screen_what_waits_and_the_loads_to_come_are_whole(
    gallery: Gallery, tab: Page
) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})
    made, _ = waiting_at(gallery, tab, 2)
    link = tab.locator("#queue-plan table a").first
    link.wait_for()
    assert link.is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    waits = tab.locator(f'#queue-runs tr[data-run="{made[0]}"] td').nth(6)
    until(lambda: re.fullmatch(r"\d+ (s|min)", waits.inner_text()), "how long it has waited")
    gallery.api.cancel_waiting(made)


def test_a_run_that_no_place_can_take_is_named_there_with_the_reason(
    gallery: Gallery, tab: Page
) -> None:
    run = gallery.api.create_run(gallery.prompts["noon"], seed=77, queue=True, backend="auto")
    tab.goto(f"{gallery.url}/cosmos/queue")
    why = "seed 77: It waits for local, which has not been asked"
    tab.locator("#queue-plan p.is-paused", has_text=why).wait_for()
    gallery.api.cancel_waiting([run["id"]])


def test_a_pause_says_by_whom_and_why_and_is_ended_there(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/queue")
    tab.get_by_role("button", name="Pause the queue").click()
    dialog = tab.get_by_role("dialog", name="Pause the queue")
    dialog.get_by_label("Why").fill("<b>the host is needed")
    dialog.get_by_role("button", name="Pause").click()
    tab.locator("#queue-runs").get_by_text("<b>the host is needed").wait_for()
    tab.locator("#queue-runs").get_by_text(re.compile(r" \(\d+ (s|min) ago\): ")).wait_for()
    tab.locator("#strip").get_by_text("The queue is paused").wait_for()
    (pause,) = gallery.api.look_at_queue()["pauses"]
    assert (pause["scope"], "@" in pause["paused_by"]) == ("all", True)
    tab.get_by_role("button", name="Resume the queue").click()
    tab.locator("#queue-runs").get_by_text("is paused by").wait_for(state="detached")
    assert gallery.api.look_at_queue()["pauses"] == []


def test_one_run_that_cannot_be_stopped_leaves_no_other_unstopped(gallery: Gallery) -> None:
    done = gallery.videos["noon", "soft"]
    waiting = gallery.api.create_run(gallery.prompts["noon"], queue=True)["id"]
    answer = gallery.api.stop_runs([done, "rs_none", waiting])
    assert answer["stopped"] == [waiting]
    assert [one["id"] for one in answer["refused"]] == [done, "rs_none"]
    assert "there is nothing to stop" in answer["refused"][0]["error"]


def test_a_button_mends_what_was_left_behind_with_the_command_that_it_names(
    staged: Project, tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pending(staged, "hang")
    with elsewhere(staged, run) as process:
        running(staged, run)
        process.send_signal(signal.SIGKILL)
    empty = f"sqlite:///{staged.settings.home / 'empty.db'}"  # the same place, without its runs
    monkeypatch.setenv("COSMOS_DATABASE_URL", empty)
    settings = load_settings(staged.settings.home)
    with CosmosAPI(settings=settings) as api, review_page(api) as url:
        tab.goto(f"{url}/cosmos/queue")
        tab.get_by_text("runs on this machine and belongs to no run.").wait_for()
        tab.get_by_role("button", name="cosmos kill --stray").click()
        tab.locator(".job.is-done").get_by_text(f"Stopped: {run.id}.").wait_for()
    assert staged.backend.active() == []


def test_no_other_command_than_those_of_the_list_can_be_given(gallery: Gallery) -> None:
    until(lambda: web.get(f"{gallery.url}/cosmos/strip") and True, "a look")
    answer = web.post(
        f"{gallery.url}/cosmos/queue/mend",
        data={"do": f"cosmos kill {gallery.larger}"},
        headers={"Accept": "application/json"},
    )
    assert answer.status_code in (403, 409)
    assert gallery.api.get_run(gallery.larger)["status"] == "completed"


def test_a_host_that_does_not_answer_is_silent_since_a_time_and_blocks_nothing(
    tmp_path: Path, tab: Page
) -> None:
    remote = '[remote]\nhost = "127.0.0.1"\nport = 9\nuser = "nobody"\nconnect_timeout_s = 2\n'
    settings = settings_in(tmp_path / "films", remote)
    with CosmosAPI(settings=settings) as api, review_page(api) as url:
        tab.goto(f"{url}/cosmos/queue")
        tab.get_by_text("Nothing runs.").wait_for()
        place = tab.locator(".place", has_text="127.0.0.1")
        place.get_by_text("Silent for").wait_for()
        tab.locator("#strip").get_by_text("127.0.0.1 does not answer").wait_for()
        tab.locator(".place", has_text="This machine").get_by_text("0 orders").wait_for()


def test_checks_are_pushed_as_they_are_made_and_kept(gallery: Gallery, tab: Page) -> None:
    tab.goto(f"{gallery.url}/cosmos/queue")
    tab.get_by_text("Never checked from here.").wait_for()
    tab.get_by_role("button", name="Check now").click()
    tab.get_by_text("This machine:").wait_for()
    tab.locator("#queue-checks").get_by_text("Last ").wait_for()
    last = gallery.api.last_doctor()
    assert last is not None
    assert {check["name"] for check in last["checks"]} >= {"backend", "engine"}
    file = gallery.api.settings.outputs / "doctor.json"
    row = {"name": "login", "place": "host", "result": "ok", "found": "as ops", "do": ""}
    of_hosts = [row | {"host": "one"}, row | {"host": "two", "result": "fail"}, row]
    file.write_text(json.dumps({**last, "checks": [*last["checks"], *of_hosts]}))
    tab.reload()
    tab.get_by_text("one: 1 of 1 ok").wait_for()
    tab.get_by_text("two: 0 of 1 ok, 1 to look at").wait_for()
    tab.get_by_text("Host: 1 of 1 ok").wait_for()  # of an earlier version
    file.write_text("{")
    assert gallery.api.last_doctor() is None


def test_the_history_of_a_gpu_is_lines_within_its_picture() -> None:
    history = [(1000.0, 0, 0, 30), (1300.0, None, 40_960, 60), (1600.0, 100, 81_920, 90)]
    gpu = {"history": history, "memory_total_mib": 81_920}
    lines = {line["name"]: line for line in lines_of(gpu)}
    assert lines["load"]["points"] == "0.0,31.0 160.0,1.0"
    assert lines["memory"]["points"] == "0.0,31.0 80.0,16.0 160.0,1.0"
    assert lines["temperature"]["said"] == "°C 30 to 90 °C"
    assert lines_of({"history": [(1.0, None, None, None)], "memory_total_mib": None}) == []


def test_hosts_are_watched_over_one_connection_that_ends_with_the_watching(
    staged: Project,
) -> None:
    with CosmosAPI(settings=staged.settings) as api, closing(api.watch_hosts()) as looks:
        seen = next(look for look in looks if look["places"][0]["answered_at"])
    (place,) = seen["places"]
    assert (place["backend"], place["orders"], place["silent_since"]) == ("local", 0, None)
    assert seen["left"] == []
