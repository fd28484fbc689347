"""`cosmos queue`: what waits in which order, why, paused, moved, and what share a load."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from cosmos_pipelines.backends.owner import owner_name
from tests.cli.conftest import Cosmos
from tests.support.project import Project

Order = Callable[..., str]


@pytest.fixture
def order(project: Project, cosmos: Cosmos) -> Order:
    """Queue a video; returns the id of its run."""
    project.scene()
    prompt = cosmos("create", "prompt", "snow", "city").out.strip()

    def queued(*words: object) -> str:
        return str(cosmos("create", "run", prompt, "--queue", *words).out.strip())

    return queued


def ids(cosmos: Cosmos) -> list[str]:
    return [run["id"] for run in cosmos("queue", "--json").json["waiting"]]


def test_what_waits_is_listed_in_the_order_of_its_start_and_moved(
    cosmos: Cosmos, order: Order
) -> None:
    first, second, third = order(), order(), order()
    urgent = order("--priority", 5)
    assert ids(cosmos) == [urgent, first, second, third]
    assert cosmos("queue", "move", third, "--first").err.strip() == (
        f"Run {third} is number 1 in the queue."
    )
    assert cosmos("queue", "move", second, "--before", first, "--json").json["position"] == 3
    assert ids(cosmos) == [third, urgent, second, first]
    cosmos("queue", "move", urgent, "--priority", "-100")
    assert ids(cosmos) == [third, second, first, urgent]
    table = cosmos("queue").out.splitlines()
    assert [line.split()[1] for line in table[1:]] == [third, second, first, urgent]


def test_the_plan_says_which_runs_share_a_load(cosmos: Cosmos, order: Order) -> None:
    one, two = order("--seed", 1), order("--seed", 2)
    prompt = cosmos("show", one, "--json").json["prompt_id"]
    other = cosmos("prompt-enhance", prompt, "--detach", "--json").json["id"]
    plan = cosmos("queue", "plan", "--json").json
    assert sorted(load["run_ids"] for load in plan["loads"]) == sorted([[one, two], [other]])
    assert plan["not_planned"] == 0
    said = cosmos("queue", "plan")
    assert "Load 1: 2 runs of PREVIEW" in said.out
    assert [lane["place"] for lane in plan["lanes"]] == ["local"]
    assert "at local\n" in said.out
    assert said.err.startswith("In all: 2 loads")


def test_a_pause_says_by_whom_and_why_and_ends(cosmos: Cosmos, order: Order) -> None:
    run = order()
    cosmos("queue", "pause", "--reason", "the host is needed")
    cosmos("queue", "pause", "--engine", "preview")
    assert "is paused by" in cosmos("queue").err
    said = cosmos("queue", "why", run).out
    assert re.search(r"The queue is paused since \d{4}-\d\d-\d\d \d\d:\d\d UTC by ", said)
    assert ": the host is needed.  (cosmos queue resume)" in said
    assert "(cosmos queue resume --engine preview)" in said
    assert cosmos("queue", "resume").err.startswith("Still there: The engine preview is paused")
    assert cosmos("queue", "resume", "--engine", "preview").code == 0
    again = cosmos("queue", "resume")
    assert (again.code, again.error) == (3, "error: The queue is not paused.")


def test_why_names_the_video_that_a_4k_waits_for_and_what_is_before_a_run(
    cosmos: Cosmos, order: Order
) -> None:
    video = order()
    larger = cosmos("upscale", video, "--detach", "--json").json["id"]
    answer = cosmos("queue", "why", larger, "--json").json
    assert answer["position"] == 2
    said = " ".join(reason["said"] for reason in answer["reasons"])
    assert f"Its video is not made yet: run {video} is pending." in said
    assert f"1 run is before it in the queue: {video}." in said
    assert "Nothing is started until the daemon runs" in said
    cosmos("kill", video)
    assert "so it will fail" in cosmos("queue", "why", larger).out
    assert "It does not wait: it is cancelled." in cosmos("queue", "why", video).out


def test_who_works_on_the_queue_is_told_while_it_lives(
    cosmos: Cosmos, project: Project, order: Order
) -> None:
    run = order()
    program = "from cosmos_pipelines.backends.owner import owner_name; print(owner_name())"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    project.catalog.sign_on(done.stdout.decode().strip(), "bob@laptop", "laptop")
    alone = cosmos("queue").err
    assert "works on the queue" not in alone
    assert "Nothing starts what waits: start `cosmos ui`, or give `cosmos queue work`." in alone
    cosmos("queue", "pause")
    assert "Nothing starts what waits" in cosmos("queue", "resume").err
    project.catalog.sign_on(owner_name(), "Ada", "studio")
    line = "Ada works on the queue on studio, for "
    beside = cosmos("queue").err
    assert line in beside
    assert "Nothing starts what waits" not in beside
    assert line in cosmos("status").err
    why = cosmos("queue", "why", run).out
    assert line in why
    assert "Nothing is started until" not in why


def test_a_detached_4k_is_queued_behind_its_video(cosmos: Cosmos, project: Project) -> None:
    project.scene()
    prompt = cosmos("create", "prompt", "snow", "city").out.strip()
    words = ("inference", prompt, "--upscale", "--detach", "--priority", 3, "--json")
    video, larger = cosmos(*words).json
    assert larger["parent_run_id"] == video["id"]
    assert (video["priority"], larger["priority"]) == (3, 3)
    assert ids(cosmos) == [video["id"], larger["id"]]
    assert [run.id for run in project.catalog.ready_runs()] == [video["id"]]


def test_why_offers_only_commands_that_can_help(cosmos: Cosmos, order: Order) -> None:
    runs = [order() for _ in range(5)]
    larger = cosmos("upscale", runs[4], "--detach", "--json").json["id"]
    last, of_4k = (
        cosmos("queue", "why", run, "--json").json["reasons"] for run in (runs[4], larger)
    )
    named = ", ".join(runs[:3])
    assert last[0]["said"] == f"4 runs are before it in the queue: {named} and 1 more."
    assert last[0]["do"] == f"cosmos queue move {runs[4]} --first"
    assert [reason["do"] for reason in of_4k[:2]] == [f"cosmos queue why {runs[4]}", None]


def test_a_run_that_no_place_can_take_says_of_each_place_why(
    project: Project, cosmos: Cosmos, order: Order
) -> None:
    text = '[hosts.gpu1]\nhost = "192.0.2.1"\nlabels = ["h100"]\n[queue]\nlabels = ["h200"]\n'
    (project.settings.home / "cosmos.toml").write_text(text, encoding="utf-8")
    run = order("--backend", "auto")
    reason = cosmos("queue", "why", run, "--json").json["reasons"][0]
    assert reason["said"].startswith("No place can take it now: local has no label h200")
    assert "; gpu1 has not answered yet." in reason["said"]
    assert reason["do"] == "cosmos host list --engine preview"
    assert cosmos("queue", "plan", "--json").json["unplaced"] == {run: reason["said"]}


def test_an_order_that_is_queued_names_who_executes_it_and_where_it_is_seen(
    project: Project, cosmos: Cosmos
) -> None:
    project.scene()
    prompt = cosmos("create", "prompt", "snow", "city").out.strip()
    said = cosmos("inference", prompt, "--detach").err
    assert all(f"`cosmos {words}`" in said for words in ("ui", "queue work", "queue"))
    assert cosmos("queue", "plan").err == "In all: 1 load.\n"


def test_work_says_what_is_left_and_why_nothing_is_started(cosmos: Cosmos, order: Order) -> None:
    order()
    cosmos("queue", "pause", "--reason", "lunch")
    paused, left = cosmos("queue", "work").err.splitlines()
    assert paused.endswith(": lunch")
    assert left == "1 run waits, not to be started here now: `cosmos queue why RS_ID` says why."
    cosmos("kill", "latest")
    assert cosmos("queue", "work").err.splitlines()[1:] == ["Nothing waits."]


def test_the_status_says_for_how_long_the_queue_has_been_paused(
    project: Project, cosmos: Cosmos
) -> None:
    cosmos("queue", "pause", "--reason", "lunch")
    assert re.search(r"all +\S+ +\d+ s +lunch$", cosmos("status").out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["pause", "--host", "gpu9"], "There is no backend 'gpu9'", 2),
        (["pause", "--engine", "prevew"], "Did you mean preview?", 2),
        (["pause", "--host", "local", "--engine", "preview"], "either a host or an engine", 2),
        (["why", "rs_x"], "There is no run 'rs_x'", 2),
        (["move", "rs_x", "--first"], "There is no run 'rs_x'", 2),
        (["move", "latest"], "one of first, before and priority", 2),
        (["move", "latest", "--before", "latest"], "before itself", 2),
        (["move", "latest", "--priority", "101"], "less than or equal to 100", 2),
        (["resume", "--host", "local"], "is not paused", 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_in_one_line(
    cosmos: Cosmos, order: Order, words: list[str], said: str, code: int
) -> None:
    order()
    refused = cosmos("queue", *words)
    assert refused.code == code
    assert said in refused.error
    assert refused.err.count("\n") == 1
