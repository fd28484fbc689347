"""`gpu_scripts/model/model_run.py` under `run.sh`, with a model as small as can be."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_scripts.model.model_orders import (
    SAYS,
    SCRIPTS,
    Done,
    Order,
    argv_of,
    carried_out,
    lives,
    run_id,
    said,
    start,
)
from tests.support.waiting import LONG_S, until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def videos(*numbers: int) -> dict[int, str]:
    return {n: f"video of prompt {n}" for n in numbers}


def test_each_video_is_at_its_samples_place_and_on_record(folder: Path) -> None:
    done = carried_out(folder, [], [], [])
    assert done.code == 0, done.log
    assert done.made == videos(0, 1, 2)
    for n, text in done.made.items():
        facts = done.record["samples"][run_id(n)]
        digest = hashlib.sha256(text.encode()).hexdigest()
        assert facts["model_sha256"] == digest
        assert (facts["load"], facts["prompt_txt"]) == (1, True)
        assert facts["seconds"] >= 0
        assert facts["load_s"] >= 0
        assert done.result()["outputs"][f"{run_id(n)}.mp4"]["sha256"] == digest
    assert not list(folder.rglob("*.part"))


def test_progress_and_ends_are_told_in_lines_of_their_own(folder: Path) -> None:
    log = carried_out(folder, ["sleep 1.2"], []).log.splitlines()
    own = [line for line in log if line.startswith("[")]
    first, second = f"[1/2] {run_id(0)} transfer:", f"[2/2] {run_id(1)} transfer:"
    assert own[0] == f"{first} loading (load 1)"
    assert f"{first} chunk 0/1" in own
    assert f"{first} chunk 1/1" in own
    (end,) = (line for line in own if line.startswith(f"{first} done in "))
    assert end.endswith(f" s, outputs/{run_id(0)}.mp4")
    assert 1.2 <= float(end.split()[5]) < LONG_S
    assert own[-1].startswith(f"{second} done in ")


def test_progress_is_told_twice_a_second_at_most_and_the_last_always(folder: Path) -> None:
    steps = [f"say step {n} of 35" for n in range(1, 36)]
    does = [word for step in steps for word in (step, "sleep 0.04")]
    log = carried_out(folder, does, samples=[{"chunks": 2}]).log
    told = [line for line in log.splitlines() if "chunk" in line and line.startswith("[")]
    assert f"[1/1] {run_id(0)} transfer: chunk 2/2, step 35/35" == told[-1]
    assert 3 <= len(told) <= 8


def test_what_the_model_writes_is_passed_on_unchanged(folder: Path) -> None:
    raw = b"\xff\xfe half \xe2\x82 of it\r  5%|\xe2\x96\x88 |\r 10%|\r\x1b[31mred\x1b[0m\x00\n"
    done = carried_out(folder, [f"bytes {raw.hex()}", "sleep 0.3"])
    assert done.code == 0
    assert raw in (folder / "run.log").read_bytes()


def test_lines_end_with_a_carriage_return_too(folder: Path) -> None:
    carriage = b"step 1 of 9\rstep 9 of 9\rstep 10 of".hex()
    done = carried_out(folder, [f"bytes {carriage}", "sleep 2"])
    assert "step 10 of\n[1/1]" in done.log  # a line of ours waits for its end, but not for ever
    assert f"\n[1/1] {run_id(0)} transfer: chunk 1/1, step 9/9\n" in done.log


def test_one_blocked_sample_of_five_loses_none_of_the_others(folder: Path) -> None:
    done = carried_out(folder, [], ["blocked stab"], [], [], [])
    assert done.code == 1
    assert done.made == videos(0, 2, 3, 4)
    assert done.failed == {1: ("blocked", "The guardrail refused the word stab of prompt 0.")}
    assert done.loads == 2
    assert "\nGOING ON with 3 samples: load 2\n" in done.log
    left = (folder / "batch.2.jsonl").read_text().splitlines()
    assert [json.loads(line)["prompt"] for line in left] == [f"prompt {n}" for n in (2, 3, 4)]
    assert (folder / "made.2" / "video_2").is_dir()
    assert [done.record["samples"][run_id(n)]["load"] for n in (0, 2, 3, 4)] == [1, 2, 2, 2]
    told = [line for line in done.log.splitlines() if "loading" in line]
    assert told[1] == f"[3/5] {run_id(2)} transfer: loading (load 2)"


def test_it_goes_on_after_a_blocked_sample_also_where_nothing_was_made(folder: Path) -> None:
    done = carried_out(folder, ["blocked a"], ["video_blocked"], [])
    assert done.kinds == {0: "blocked", 1: "blocked"}
    assert done.made == videos(2)
    assert done.loads == 3
    assert "GOING ON with 1 sample: load 3" in done.log


def test_an_error_of_one_sample_is_left_out_if_another_one_was_made(folder: Path) -> None:
    done = carried_out(folder, [], [], ["raise no such pass"], [])
    assert done.made == videos(0, 1, 3)
    assert done.failed == {
        2: ("model_failed", "The model failed with exit code 1: ValueError: no such pass")
    }


def test_an_error_at_the_first_sample_is_not_met_again_and_again(folder: Path) -> None:
    done = carried_out(folder, ["raise it is broken"], [], [])
    assert (done.loads, done.made) == (1, {})
    assert done.kinds == {0: "model_failed", 1: "lost", 2: "lost"}
    assert "it is broken" in done.failed[2][1]
    assert run_id(0) in done.failed[2][1]


def test_after_out_of_memory_there_is_no_other_load(folder: Path) -> None:
    done = carried_out(folder, [], [], ["oom"], [], [])
    assert done.code == 1
    assert done.made == videos(0, 1)
    assert done.failed[2] == ("out_of_memory", "The GPU's memory ran out.")
    assert done.kinds == {2: "out_of_memory", 3: "lost", 4: "lost"}
    assert done.loads == 1


def test_a_missing_checkpoint_is_told_of_every_sample(folder: Path) -> None:
    done = carried_out(folder, ["say base.pt is not downloaded", "exit 1"], [])
    why = ("launch_failed", "A checkpoint is missing.")
    assert (done.failed, done.loads) == ({0: why, 1: why}, 1)


def test_a_killed_model_means_that_memory_ran_out(folder: Path) -> None:
    done = carried_out(folder, [], ["signal 9"], [])
    assert done.made == videos(0)
    assert done.kinds == {1: "out_of_memory", 2: "lost"}
    assert "killed (signal 9)" in done.failed[1][1]
    assert done.loads == 1


def test_a_worker_that_was_killed_counts_as_the_model(folder: Path) -> None:
    """What torchrun says of it, and its own exit code 1."""
    words = "  traceback : Signal 9 (SIGKILL) received by PID 4711"
    done = carried_out(folder, [], [f"say {words}", "exit 1"], [])
    assert done.kinds == {1: "out_of_memory", 2: "lost"}


def test_workers_that_torchrun_had_to_kill_are_not_the_cause(folder: Path) -> None:
    lines = [
        "say RuntimeError: tensors must match",
        "say   exitcode  : -9 (pid: 4712)",
        "say Root Cause (first observed failure):",
        "say   exitcode  : 1 (pid: 4711)",
        "exit 1",
    ]
    assert carried_out(folder, [], lines).kinds == {1: "model_failed"}


def test_a_crash_is_told_with_its_signal(folder: Path) -> None:
    done = carried_out(folder, [], ["signal 11"], [])
    assert done.failed[1][1].startswith("The model crashed with signal 11")
    assert done.made == videos(0, 2)


def test_the_last_error_of_a_traceback_is_told_not_torchruns_heading(folder: Path) -> None:
    lines = [
        "say [rank0]: KeyError: 'first'",
        "say [rank0]: RuntimeError: tensors must match",
        "say torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        "say ChildFailedError: transfer.py FAILED",
        "exit 1",
    ]
    done = carried_out(folder, lines)
    assert done.failed[0][1].endswith("exit code 1: RuntimeError: tensors must match")


def test_an_end_without_an_error_and_without_a_video_is_output_missing(folder: Path) -> None:
    done = carried_out(folder, ["lie"], [], ["no_text"])
    assert done.code == 1
    assert done.kinds == {0: "output_missing", 2: "output_missing"}
    assert done.failed[0][1] == "The model printed no error and wrote no video."
    assert "not the text" in done.failed[2][1]
    assert done.made == videos(1)


@pytest.mark.parametrize(
    ("begins", "options"),
    [
        ([], []),
        ([], ["--quiet"]),
        (["begins with (?P<name>rs_\\w+)"], ["--quiet"]),
        (["begins with"], ["--quiet"]),
    ],
)
def test_what_a_model_skips_is_told_of_the_right_sample(
    folder: Path, begins: list[str], options: list[str]
) -> None:
    """By the order of its lines; if these say nothing, it must not be faster than we look."""
    says = SAYS | {"begins": begins}
    work = ["sleep 1.5"] if options and not begins else []
    does = [work, ["blocked a"], ["blocked b"], work, ["video_blocked"], work]
    done = carried_out(folder, *does, options=["--skip", *options], request={"says": says})
    assert (done.code, done.loads) == (1, 1)
    assert done.made == videos(0, 3, 5)
    assert done.failed == {
        1: ("blocked", "The guardrail refused the word a of prompt 0."),
        2: ("blocked", "The guardrail refused the word b of prompt 0."),
        4: ("blocked", "The guardrail refused a frame."),
    }


def test_what_comes_after_a_skipped_sample_is_not_said_of_it(folder: Path) -> None:
    """Only a model that says what it begins with can be understood so well."""
    says = SAYS | {"begins": ["begins with (?P<name>rs_\\w+)"]}
    does = [[], ["blocked a"], ["oom"], []]
    done = carried_out(folder, *does, options=["--skip"], request={"says": says})
    assert done.kinds == {1: "blocked", 2: "out_of_memory", 3: "lost"}


BATCHES_OF_TWO: dict[str, Any] = {"options": ["--batch-size", "2"], "request": {"batch_size": 2}}


def test_a_survivor_that_moved_up_is_given_to_its_own_sample(folder: Path) -> None:
    done = carried_out(folder, ["blocked a"], [], [], ["video_blocked"], **BATCHES_OF_TWO)
    assert done.made == videos(1, 2)
    assert done.kinds == {0: "blocked", 3: "blocked"}
    assert done.loads == 1


def test_a_refused_sub_batch_is_left_out_as_a_whole(folder: Path) -> None:
    does = [[], [], ["blocked a"], ["blocked b"], []]
    done = carried_out(folder, *does, **BATCHES_OF_TWO)
    assert done.made == videos(0, 1, 4)
    assert [done.failed[n][1] for n in (2, 3)] == [
        "The guardrail refused the word a of prompt 0.",
        "The guardrail refused the word b of prompt 1.",
    ]


def test_a_survivor_with_the_same_prompt_as_a_lost_one_is_nobodys(folder: Path) -> None:
    prompts = ["twin", "twin", "other", "other"]
    done = carried_out(folder, [], ["video_blocked"], [], [], prompts=prompts, **BATCHES_OF_TWO)
    assert set(done.made) == {2, 3}
    assert done.kinds == {0: "model_failed", 1: "model_failed"}
    assert "cannot be assigned" in done.failed[0][1]


def test_a_text_that_nobody_submitted_is_no_result(folder: Path) -> None:
    done = carried_out(folder, ["text prompt nought"], [], prompts=["prompt none", "prompt 1"])
    assert done.made == videos(1)
    kind, sentence = done.failed[0]
    assert kind == "model_failed"
    assert '"prompt nought"' in sentence
    assert '"prompt none"' in sentence


def test_the_text_of_another_sub_batch_is_no_result(folder: Path) -> None:
    done = carried_out(folder, ["text prompt 1"], [])
    assert done.made == videos(1)
    assert done.kinds == {0: "model_failed"}


def test_one_line_break_after_the_prompt_is_forgiven(folder: Path) -> None:
    assert carried_out(folder, ["text prompt 0\n"]).code == 0
    second = carried_out(folder.with_name("second"), ["text prompt 0\n\n"])
    assert second.kinds == {0: "model_failed"}


def test_without_a_prompt_the_text_is_not_compared(folder: Path) -> None:
    done = carried_out(folder, ["text whatever"], samples=[{"prompt": None}])
    assert done.code == 0
    assert done.record["samples"][run_id(0)]["prompt_txt"] is False


WITHOUT_TEXT = {"produces": {"video": "video_{index}/output.mp4", "text": None}}


def test_a_family_without_texts_is_believed_at_exit_code_0_only(folder: Path) -> None:
    assert carried_out(folder, [], [], request=WITHOUT_TEXT).made == videos(0, 1)
    crash = carried_out(folder.with_name("b"), [], ["exit 1"], [], request=WITHOUT_TEXT)
    assert crash.made == {}
    assert crash.kinds == {0: "lost", 1: "model_failed", 2: "lost"}


def test_what_lies_before_a_blocked_sample_is_made_again_where_nothing_says_that_it_is_whole(
    folder: Path,
) -> None:
    done = carried_out(folder, [], ["blocked a"], [], request=WITHOUT_TEXT)
    assert done.made == videos(0, 2)
    assert done.kinds == {1: "blocked"}
    assert len((folder / "batch.2.jsonl").read_text().splitlines()) == 2


def test_samples_with_specs_of_their_own_are_left_out_by_them(folder: Path) -> None:
    produces = {"video": "{name}/output.mp4", "text": "{name}/prompt.txt"}
    does = [[], ["blocked a"], []]
    done = carried_out(
        folder, *does, specs=True, options=["--named"], request={"produces": produces}
    )
    assert done.made == videos(0, 2)
    assert done.loads == 2
    assert not (folder / "made.2" / run_id(0)).exists()


def started(order: Order, pattern: str) -> tuple[subprocess.Popen[bytes], list[int]]:
    """The order, once its log says something; the numbers in that."""
    script = start(order.folder, argv_of(order.folder, order.place()), order.env)
    until(said(order.folder, pattern), "its log")
    found = said(order.folder, pattern)()
    assert found
    return script, [int(word) for word in found[1].split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_model_and_keeps_what_is_finished(
    folder: Path, number: signal.Signals
) -> None:
    script, pids = started(Order(folder, [[], ["hang"], []]), r"hangs (\d+)")
    script.send_signal(number)
    assert script.wait(LONG_S) == 143
    done = Done(folder, 143)
    assert done.made == videos(0)
    assert done.record["samples"].keys() == {run_id(0)}
    assert done.failed == {}
    assert not any(map(lives, pids))


def test_what_ignores_the_signal_is_killed_with_all_its_children(folder: Path) -> None:
    """One of them in a session of its own, as torchrun's workers are."""
    script, pids = started(Order(folder, [[], ["stubborn"]]), r"stubborn (\d+ \d+)\n")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert len(pids) == 2
    assert not any(map(lives, pids))
    assert Done(folder, 143).made == videos(0)


def test_a_signal_to_all_processes_is_no_failure_of_the_model(folder: Path) -> None:
    script, pids = started(Order(folder, [[], ["hang"], []]), r"hangs (\d+)")
    os.kill(pids[0], signal.SIGTERM)  # a moment before us
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert Done(folder, 143).failed == {}


def test_a_model_that_somebody_else_stops_is_not_started_again(folder: Path) -> None:
    script, pids = started(Order(folder, [[], ["hang"], []]), r"hangs (\d+)")
    os.kill(pids[0], signal.SIGTERM)
    assert script.wait(LONG_S) == 1
    done = Done(folder, 1)
    assert done.kinds == {1: "lost", 2: "lost"}
    assert done.loads == 1


def test_a_child_that_the_model_leaves_behind_is_ended(folder: Path) -> None:
    script, pids = started(Order(folder, [["orphan"]]), r"orphan (\d+)\n")
    assert script.wait(LONG_S) == 0
    assert not lives(pids[0])


def test_a_text_that_is_still_being_written_is_waited_for(folder: Path) -> None:
    order = Order(folder, [["hang"]])
    script, _ = started(order, r"hangs (\d+)")
    place = folder / "made" / "video_0"
    (place / "output.mp4").write_text("video of prompt 0")
    (place / "prompt.txt").write_text("")
    with pytest.raises(TimeoutError):
        until(said(folder, "done in|FAILED"), "its log", 0.6)
    (place / "prompt.txt").write_text("prompt 0")
    until(said(folder, "done in"), "its log")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert Done(folder, 143).made == videos(0)


def test_a_command_that_does_not_exist_is_launch_failed(folder: Path) -> None:
    order = Order(folder, [[], []])
    command = ["no-such-torchrun", *order.place()[1:]]
    done = Done(folder, start(folder, argv_of(folder, command)).wait(LONG_S))
    assert done.code == 1
    assert done.kinds == {0: "launch_failed", 1: "launch_failed"}
    assert "no-such-torchrun" in done.failed[1][1]


def test_the_program_needs_the_standard_library_only(folder: Path) -> None:
    argv = argv_of(folder, Order(folder, [[], ["blocked a"], []]).place())
    assert start(folder, [argv[0], "-S", *argv[1:]]).wait(LONG_S) == 1
    assert Done(folder, 1).made == videos(0, 2)


def test_a_full_disk_is_told_as_one(folder: Path) -> None:
    """The place of the outputs is a tmpfs of 4 kB in a mount namespace of its own."""
    order = Order(folder, [["sleep 0"], []])
    argv = argv_of(folder, order.place())
    probe = ["unshare", "--mount", "--map-root-user", "true"]
    if subprocess.run(probe, check=False).returncode:
        pytest.skip("cannot make a mount namespace here")
    inside = (
        'mount -t tmpfs -o size=4k tmpfs "$1/outputs" && head -c 4096 /dev/zero >"$1/outputs/x"; '
        'shift; exec "$@"'
    )
    (folder / "outputs").mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", inside, "sh", str(folder), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_S,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "Traceback" not in told
    assert "outputs/record.json cannot be written (No space left on device)" in told
    assert Done(folder, 1).kept.keys() == {0, 1}  # of another disk, nothing can be moved there


def test_the_parts_of_python_that_are_used_are_in_python_3_10() -> None:
    names = sorted((SCRIPTS / "model").glob("*.py"))
    assert names
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--no-cache"]
    words = ["--target-version", "py310", "--select", "E9,F", *map(str, names)]
    found = subprocess.run([*ruff, *words], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
    for path in names:
        text = path.read_text()
        assert not any(word in text for word in ("tomllib", "ExceptionGroup", "datetime.UTC"))
