"""The walk on the command line, with a stand-in for the model that fails on request."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cosmos_pipelines.runs.log import log_file
from tests.cli.conftest import Cosmos, on_terminal, start
from tests.support.project import Project
from tests.support.stand_in_engine import registered
from tests.support.waiting import LONG_S

Prompt = Callable[..., str]


@pytest.fixture
def prompt(project: Project, cosmos: Cosmos) -> Iterator[Prompt]:
    """Register a prompt whose first words say what the stand-in shall do."""
    project.scene()
    (project.settings.home / "cosmos.toml").write_text(
        '[execution]\ngrace_s = 2\nengine = "stand_in"\n', encoding="utf-8"
    )

    def make(text: str, *words: object) -> str:
        return cosmos("create", "prompt", text, "city", *words).out.strip()

    with registered():
        yield make


def piped(project: Project, *words: object) -> subprocess.Popen[str]:
    """A command in a process of its own, its output piped to us."""
    pipe = subprocess.PIPE
    return start(project, *words, stdout=pipe, stderr=pipe, text=True)


def test_a_prompt_becomes_a_video_becomes_4k(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("A warm street", "--name", "street", "--negative", "people")
    assert prompt("A warm street", "--negative", "people") == ps
    cosmos("create", "recipe", "soft", "--weights", "0.5", "0", "0", "0.5", "--num-steps", "7")

    made = cosmos("inference", "street", "--recipe", "soft", "--seed", "3", "--json")
    run = made.json
    assert made.code == 0
    assert run["status"] == "completed"
    assert (run["recipe"], run["execution_config"]["num_steps"]) == ("soft", 7)
    assert run["execution_config"]["seed"] == 3
    assert "stand-in: 1 sample(s)" in made.err
    video = project.settings.home / run["outputs"]["video"]
    assert video.is_file()

    larger = cosmos("upscale", run["id"][:12], "--json").json
    assert (larger["parent_run_id"], larger["model_type"]) == (run["id"], "upscale")

    shown = cosmos("show", run["id"]).out
    assert run["outputs"]["video"] in shown
    assert "stand-in of the tests" in shown
    assert cosmos("show", video, "--json").json["made"] is not None
    assert "stand-in: 1 sample(s)" in cosmos("logs", run["id"]).out
    assert cosmos("list", "runs", "--type", "upscale", "--ids").out.split() == [larger["id"]]
    assert cosmos("list", "runs", "--prompt", "street", "--status", "failed", "--ids").out == ""
    assert cosmos("search", "warm", "--json").json[0]["id"] == ps

    assert cosmos("rate", run["id"], "4").code == 0
    assert cosmos("tag", run["id"], "night", "best", "-r", "night").code == 0
    shown = cosmos("show", run["id"], "--json").json
    assert (shown["type"], shown["rating"], shown["tags"]) == ("run", 4, ["best"])


def test_many_prompts_are_a_list_and_one_failure_decides_the_exit_code(
    cosmos: Cosmos, prompt: Prompt, tmp_path: Path
) -> None:
    good, bad = prompt("A street", "--name", "good"), prompt("fail now", "--name", "bad")
    file = tmp_path / "prompts"
    file.write_text("# both\ngood  # by name\n\nbad\n", encoding="utf-8")
    said = cosmos("inference", "--prompts-file", file, "--batch-name", "night", "--json")
    first, second = said.json
    assert said.code == 4
    assert [first["prompt_id"], second["prompt_id"]] == [good, bad]
    assert [first["status"], second["status"]] == ["completed", "failed"]
    assert first["tags"] == ["batch:night"]
    assert first["batch_id"] == second["batch_id"]
    assert second["id"] in said.error

    refused = cosmos("upscale", second["id"])
    assert refused.code == 3
    assert "nothing to upscale" in refused.error
    again = cosmos("run", second["id"], "--json")
    assert again.code == 4
    assert (again.json["id"], again.json["attempt"]) == (second["id"], 2)


def test_a_dry_run_shows_the_order_and_does_nothing(cosmos: Cosmos, prompt: Prompt) -> None:
    ps = prompt("A street")
    said = cosmos("inference", ps, "--dry-run", "--json")
    [plan] = said.json
    assert plan["expected"][0]["frames"] == 6
    assert plan["order"]["argv"]
    assert "stand-in" in cosmos("inference", ps, "--dry-run").out
    assert cosmos("prompt-enhance", ps, "--dry-run").code == 0
    assert cosmos("list", "runs", "--json").json == []


def test_a_detached_run_waits_in_the_queue_and_can_be_stopped(
    cosmos: Cosmos, prompt: Prompt
) -> None:
    a, b = prompt("A street"), prompt("A park")
    first = cosmos("inference", a, "--detach", "--json").json
    second = cosmos("create", "run", b, "--queue").out.strip()
    third = cosmos("prompt-enhance", a, "--detach", "--json").json["id"]
    state = cosmos("status", "--json").json
    assert {run["id"] for run in state["queued"]} == {first["id"], second, third}
    assert "Queued" in cosmos("status").out

    killed = cosmos("kill", second[:12], "--json").json
    assert [run["status"] for run in killed] == ["cancelled"]
    refused = cosmos("kill", "--all")
    assert refused.code == 2
    assert first["id"] in refused.err
    assert "--force" in refused.error
    assert len(cosmos("kill", "--all", "--force", "--json").json) == 2
    assert "No run was active or queued" in cosmos("kill", "--all").err


def test_an_enhanced_prompt_is_registered(cosmos: Cosmos, prompt: Prompt) -> None:
    ps = prompt("A street", "--name", "street")
    made = cosmos("prompt-enhance", ps)
    assert made.code == 0
    new = cosmos("list", "prompts", "--json").json[0]
    assert new["parent_prompt_id"] == ps
    assert new["id"] in made.out


def test_deleting_shows_first_and_asks(project: Project, cosmos: Cosmos, prompt: Prompt) -> None:
    ps = prompt("A street", "--name", "street")
    run = cosmos("create", "run", ps).out.strip()
    refused = cosmos("delete", "prompt", ps)
    assert refused.code == 2
    assert run in refused.err
    assert "--force" in refused.error
    assert run in cosmos("delete", "prompt", ps, "--dry-run").out
    assert cosmos("show", run).code == 0
    gone = cosmos("delete", "prompt", "street", "--force", "--json").json
    assert [r["id"] for r in gone["runs"]] == [run]
    assert cosmos("show", run).code == 2


def test_a_missing_result_is_found(project: Project, cosmos: Cosmos, prompt: Prompt) -> None:
    run = cosmos("inference", prompt("A street"), "--json").json
    assert cosmos("verify", "--deep").code == 0
    (project.settings.home / run["outputs"]["video"]).unlink()
    said = cosmos("verify", "--json")
    assert said.code == 1
    assert [p["kind"] for p in said.json["problems"]] == ["output_missing"]
    assert run["id"] in cosmos("verify").out


def test_runs_are_exported(cosmos: Cosmos, prompt: Prompt, tmp_path: Path) -> None:
    run = cosmos("create", "run", prompt("A street")).out.strip()
    assert cosmos("export", "runs", tmp_path / "runs.csv").out == f"{tmp_path / 'runs.csv'}\n"
    with (tmp_path / "runs.csv").open(encoding="utf-8") as f:
        assert [row["id"] for row in csv.DictReader(f)] == [run]
    assert cosmos("export", "runs", tmp_path / "runs.xlsx").code == 2


def test_the_last_lines_of_a_log_are_printed_as_they_were_written(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    run = cosmos("create", "run", prompt("A street")).out.strip()
    file = log_file(project.settings.outputs, run)
    file.parent.mkdir(parents=True)
    file.write_bytes("one\ntwo\n\r 10%\r 20%\nStraße".encode())
    assert cosmos("logs", run).out == "one\ntwo\n 20%\nStraße\n"
    assert cosmos("logs", run, "--tail", 2).out == " 20%\nStraße\n"
    assert cosmos("logs", run, "--tail", 0).out == ""
    assert cosmos("logs", run, "--tail", -1).code == 2


EXECUTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
OURS = re.compile(r"\x1b\[[0-9;?]*[ABJKhlG]")
"""What rich sends for its bars: the cursor moves, lines go."""


def test_nothing_in_a_models_log_is_executed_by_the_terminal(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    env = {"NO_COLOR": "1"}
    live = on_terminal(project, "inference", prompt("paint it"), columns=100, env=env)
    assert live.code == 4
    assert "painted" in live.out
    run = cosmos("list", "runs", "--json").json[0]["id"]
    commands = (["logs", run], ["logs", "-f", run], ["why", run], ["show", run], ["list", "runs"])
    shown = [live, *(on_terminal(project, *words, columns=100, env=env) for words in commands)]
    for said in shown:
        text = OURS.sub("", said.out)
        assert not EXECUTED.search(text), text
        assert "owned" not in text
    log = cosmos("logs", run).out
    assert " 20%\n" in log
    assert "10%" not in log
    assert b"\x1b]0;owned\x07" in log_file(project.settings.outputs, run).read_bytes()
    assert "\x1b" not in cosmos("why", run, "--json").out


def test_a_run_that_has_not_started_has_no_log(cosmos: Cosmos, prompt: Prompt) -> None:
    run = cosmos("create", "run", prompt("A street")).out.strip()
    said = cosmos("logs", run)
    assert said.code == 3
    assert run in said.error


def test_with_nothing_left_behind_there_is_nothing_to_recover(
    cosmos: Cosmos, prompt: Prompt
) -> None:
    said = cosmos("recover")
    assert (said.code, said.out) == (0, "")
    assert "There is no lost run." in said.err


def test_ctrl_c_stops_the_run_and_records_it(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("hang")
    with piped(project, "inference", ps) as command:
        assert command.stderr is not None
        while "stand-in: 1 sample(s)" not in command.stderr.readline():
            assert command.poll() is None
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=LONG_S)
    assert command.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
    [run] = cosmos("list", "runs", "--json").json
    assert (run["status"], run["error_kind"]) == ("cancelled", "cancelled")


def test_a_reader_that_goes_away_does_not_stop_the_run(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("chatty 2000")
    with piped(project, "inference", ps) as command:
        assert command.stderr is not None
        assert command.stdout is not None
        command.stderr.readline()
        command.stderr.close()
        command.stdout.close()
        command.wait(timeout=LONG_S)
    assert command.returncode == 0
    assert [run["status"] for run in cosmos("list", "runs", "--json").json] == ["completed"]


def test_a_killed_command_leaves_a_run_that_recover_finishes(
    project: Project, cosmos: Cosmos, prompt: Prompt, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    ps = prompt(f"wait {gate}")
    with piped(project, "inference", ps) as command:
        assert command.stderr is not None
        while "stand-in: 1 sample(s)" not in command.stderr.readline():
            assert command.poll() is None
        os.kill(command.pid, signal.SIGKILL)
    state = cosmos("status")
    assert "cosmos recover" in state.err
    gate.unlink()
    said = cosmos("recover", "--json")
    assert said.code == 0, said.err
    assert [run["status"] for run in said.json] == ["completed"]


def test_the_shell_completes_ids_and_names(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("A street", "--name", "street")
    run = cosmos("create", "run", ps).out.strip()

    def completed(words: str) -> list[str]:
        count = str(words.count(" "))
        env = {"_COSMOS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
        home = {"COSMOS_HOME": str(project.settings.home)}
        done = subprocess.run(
            [sys.executable, "-m", "cosmos_pipelines.cli"],
            env={**os.environ, **env, **home},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout.split()

    assert completed("cosmos inference ps") == [ps]
    assert completed("cosmos inference str") == ["street"]
    assert completed("cosmos logs rs_") == [run]


def test_status_counts_what_there_is(cosmos: Cosmos, prompt: Prompt) -> None:
    cosmos("create", "run", prompt("A street"))
    said = cosmos("status")
    assert "1 pending" in said.out
    assert "stand-in of the tests" in said.out
    assert json.loads(cosmos("status", "--json").out)["counts"]["pending"] == 1


def test_on_a_terminal_deleting_needs_a_yes(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("A street")
    said = on_terminal(project, "delete", "prompt", ps, typed="\n")
    assert said.code == 1
    assert "[y/N]" in said.out
    assert cosmos("show", ps).code == 0
    assert on_terminal(project, "delete", "prompt", ps, typed="y\n").code == 0
    assert cosmos("show", ps).code == 2


def test_on_a_terminal_progress_is_a_bar_and_the_other_lines_stay(
    project: Project, prompt: Prompt
) -> None:
    said = on_terminal(project, "inference", prompt("A street"), columns=100)
    assert said.code == 0, said.out
    assert "6/6" in said.out
    assert "frame 3/6" not in said.out
    assert "stand-in: 1 sample(s)" in said.out
    assert "completed" in said.out
    assert "/video.mp4" in said.out


def test_watching_the_status_prints_what_changes_and_ends_with_ctrl_c(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    ps = prompt("A street")
    with piped(project, "status", "--watch", "--every", "0.1") as command:
        assert command.stdout is not None
        while "none" not in (line := command.stdout.readline()):
            assert line
        run = cosmos("create", "run", ps).out.strip()
        while "1 pending" not in (line := command.stdout.readline()):
            assert line
        command.send_signal(signal.SIGINT)
        out, err = command.communicate(timeout=LONG_S)
    assert command.returncode == 130
    assert run not in out
    assert err == "Interrupted.\n"


def test_following_a_log_ends_with_the_run(
    project: Project, cosmos: Cosmos, prompt: Prompt
) -> None:
    run = cosmos("create", "run", prompt("slow 0.2")).out.strip()
    with piped(project, "logs", "-f", run) as follower, piped(project, "run", run) as command:
        out, err = follower.communicate(timeout=LONG_S)
        command.communicate(timeout=LONG_S)
    assert (follower.returncode, err) == (0, "")
    assert [x.split("frame ")[1] for x in out.splitlines() if "frame" in x] == [
        f"{i}/6" for i in range(1, 7)
    ]
    assert command.returncode == 0
