"""The cause of a failure in a sentence, the lines that show it, and the next command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.cli.app import COMMANDS
from cosmos_pipelines.errors import ErrorKind, UnknownId
from cosmos_pipelines.operate.why import CAUSES, explain, telling
from tests.runs.test_execute import elsewhere, execute, pending
from tests.support.project import Project, make_project
from tests.support.stand_in_engine import registered
from tests.support.waiting import until


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with one scene, in which the stand-in is an engine."""
    with registered():
        made = make_project(tmp_path / "home")
        made.scene()
        yield made


def why(project: Project, run_id: str) -> dict[str, Any]:
    """The answer of `cosmos why`."""
    return explain(project.catalog, project.settings, run_id)


@pytest.mark.parametrize(
    ("text", "kind", "file", "shown"),
    [
        ("fail", "model_failed", "run.log", "told to fail"),
        ("crash", "model_failed", "run.log", "RuntimeError: told to crash"),
        ("oom", "out_of_memory", "run.log", "torch.OutOfMemoryError: CUDA out of memory."),
        ("blocked: lifeless", "blocked", "run.log", "the guardrail refuses the word 'lifeless'"),
        ("lie", "output_missing", "run.log", "saved "),
        ("short", "model_failed", "cosmos.log", "frames 3 instead of 6"),
        ("truncate", "output_missing", "cosmos.log", "unusable"),
    ],
)
def test_a_failure_is_explained_by_the_lines_that_show_it(
    project: Project, text: str, kind: str, file: str, shown: str
) -> None:
    (run,) = execute(project, pending(project, text))
    told = why(project, run.id)
    assert (told["status"], told["error_kind"]) == ("failed", kind)
    assert told["cause"].startswith(CAUSES[kind].sentence)
    lines = [one for one in told["evidence"] if one["file"].endswith(f"logs/{file}")]
    assert any(shown in one["text"] for one in lines)
    for one in told["evidence"]:
        written = (project.settings.home / one["file"]).read_text().splitlines()
        assert written[one["line"] - 1].strip() == one["text"]
    assert told["diagnostics"] == f"outputs/run_{run.id}/diagnostics"
    assert told["next"]


def test_every_kind_of_failure_has_its_sentence_and_commands_that_exist() -> None:
    assert set(CAUSES) == set(ErrorKind.__args__)  # type: ignore[attr-defined]
    for cause in CAUSES.values():
        assert cause.next
        for command, _ in cause.next:
            program, name, *_ = command.format(
                run="rs_1", parent="rs_2", model_type="t", host="h"
            ).split()
            assert program == "cosmos"
            assert name in COMMANDS


def test_a_completed_run_has_nothing_to_explain(project: Project) -> None:
    (run,) = execute(project, pending(project))
    told = why(project, run.id)
    assert (
        told["cause"] == f"The run did not fail: it is completed, and made {run.outputs['video']}."
    )
    assert (told["evidence"], told["diagnostics"]) == ([], None)


def test_a_run_that_was_never_started_says_so(project: Project) -> None:
    run = pending(project)
    assert "has not been started" in why(project, run.id)["cause"]
    assert why(project, run.id)["next"][0]["command"] == f"cosmos run {run.id}"


def test_a_run_in_work_says_what_it_does_and_one_left_behind_who_is_gone(project: Project) -> None:
    run = pending(project, "hang")
    with elsewhere(project, run) as process:
        until(lambda: project.catalog.get_run(run.id).status == "running", "its start")
        log = project.run_directory(run) / "logs" / "run.log"
        until(lambda: log.exists() and log.read_text().strip() != "", "its first line")
        told = why(project, run.id)
        assert "runs on" in told["cause"]
        assert told["evidence"][0]["text"] == "stand-in: 1 sample(s)"
        assert told["next"][0]["command"] == f"cosmos logs -f {run.id}"
        process.send_signal(signal.SIGKILL)
    told = why(project, run.id)
    assert "the process that executed it is gone" in told["cause"]
    assert told["next"][0]["command"] == f"cosmos run {run.id}"
    with CosmosAPI(settings=project.settings) as api:
        api.kill(run.id)
    assert "stopped on request" in why(project, run.id)["cause"]


def test_a_run_that_waits_is_led_to_the_queue_and_a_4k_to_its_video(project: Project) -> None:
    ps, catalog = pending(project).prompt_id, project.catalog
    video = catalog.add_run("transfer", "preview", "local", {}, prompt_id=ps, queued=True)
    assert why(project, video.id)["next"][0]["command"] == f"cosmos queue why {video.id}"
    row = {"prompt_id": ps, "parent_run_id": video.id, "queued": True}
    larger = catalog.add_run("upscale", "preview", "local", {}, **row)
    assert catalog.cancel_queued([video.id]) == {video.id}
    catalog.end_dependents()
    commands = [one["command"] for one in why(project, larger.id)["next"]]
    assert commands == [f"cosmos why {video.id}", f"cosmos run {video.id} {larger.id}"]


def test_an_unknown_run_is_refused(project: Project) -> None:
    with pytest.raises(UnknownId):
        why(project, "rs_0000")


def test_only_the_last_telling_lines_are_shown() -> None:
    lines = [f"error: {n}" for n in range(10)] + ["fine"]
    assert telling(lines, r"error:") == [5, 6, 7, 8, 9]
    assert telling(["fine"], r"error:") == []


def test_errors_of_a_gpu_in_the_kernels_log_are_shown_where_the_model_gave_no_cause(
    project: Project,
) -> None:
    (run,) = execute(project, pending(project, "fail"))
    dmesg = project.run_directory(run) / "diagnostics" / "dmesg.txt"
    assert "Xid" not in why(project, run.id)["cause"]
    xid = "NVRM: Xid (PCI:0000:06:00): 79, pid=4105, GPU has fallen off the bus."
    dmesg.write_text(f"[Sun Nov 29 09:00:01 2026] usb 1-1: new device\n[Sun Nov 29] {xid}\n")
    told = why(project, run.id)
    assert told["cause"].endswith("has logged errors of a GPU (Xid), perhaps the cause.")
    assert told["evidence"][-1]["text"].endswith(xid)
    assert told["next"][0]["command"] == "cosmos doctor"
