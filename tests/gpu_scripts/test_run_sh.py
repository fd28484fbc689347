"""`gpu_scripts/run.sh` under each shell that is here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.identity import own_identity
from tests.support.waiting import LONG_S, until

RUN_SH = Path(__file__).resolve().parents[2] / "gpu_scripts" / "run.sh"
SHELLS = {"sh": ["sh"], "dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}
PRINT_ARGV = "import sys, json; print(json.dumps(sys.argv[1:]))"


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    argv = SHELLS[request.param]
    if not shutil.which(argv[0]):
        pytest.skip(f"no {argv[0]} here")
    return argv


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run" / "outputs").mkdir(parents=True)
    return tmp_path / "run"


def run(
    shell: list[str], folder: Path, *argv: str, **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*shell, str(RUN_SH), str(folder), "--", *argv],
        env={**os.environ, **env},
        capture_output=True,
        check=False,
        timeout=LONG_S,
    )


def start(shell: list[str], folder: Path, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*shell, str(RUN_SH), str(folder), "--", *argv],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def result(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "result.json").read_bytes())
    return facts


def log(folder: Path) -> str:
    return (folder / "run.log").read_text()


def test_log_exit_code_and_result_are_recorded(shell: list[str], folder: Path) -> None:
    program = "echo to-out; echo to-err >&2; printf abc >outputs/a.mp4"
    assert run(shell, folder, "sh", "-c", program).returncode == 0
    assert log(folder) == "to-out\nto-err\n"
    assert (folder / "exit_code").read_text() == "0\n"
    facts = result(folder)
    assert facts["exit_code"] == 0
    assert facts["outputs"] == {"a.mp4": {"sha256": hashlib.sha256(b"abc").hexdigest(), "size": 3}}
    assert facts["started_at"] <= facts["ended_at"]
    assert facts["boot_id"] == (folder / "boot_id").read_text().strip()
    left = {p.name for p in folder.iterdir()}
    assert left == {"outputs", "pid", "boot_id", "run.log", "result.json", "exit_code"}


def test_python_writes_nothing_beside_the_modules_that_it_imports(
    shell: list[str], folder: Path, tmp_path: Path
) -> None:
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "some_module.py").touch()
    program = ("env", f"PYTHONPATH={sent}", sys.executable, "-c", "import some_module")
    assert run(shell, folder, *program, PYTHONDONTWRITEBYTECODE="").returncode == 0, log(folder)
    assert [path.name for path in sent.iterdir()] == ["some_module.py"]


@pytest.mark.parametrize("code", [1, 3, 42, 255])
def test_the_programs_exit_code_is_kept(shell: list[str], folder: Path, code: int) -> None:
    assert run(shell, folder, "sh", "-c", f"exit {code}").returncode == code
    assert (folder / "exit_code").read_text() == f"{code}\n"
    assert result(folder)["exit_code"] == code


def test_a_program_that_does_not_exist_gives_127(shell: list[str], folder: Path) -> None:
    assert run(shell, folder, "no-such-program-anywhere").returncode == 127
    assert result(folder)["exit_code"] == 127
    assert "no-such-program-anywhere" in log(folder)


def test_a_program_that_cannot_run_gives_126(shell: list[str], folder: Path) -> None:
    (folder / "plain").write_text("")
    assert run(shell, folder, "./plain").returncode == 126


def test_a_program_killed_by_signal_9_gives_137(shell: list[str], folder: Path) -> None:
    assert run(shell, folder, "sh", "-c", "kill -9 $$").returncode == 137
    assert (folder / "exit_code").read_text() == "137\n"


@pytest.mark.parametrize("word", ["exit", "cd", "refuse", "result", "replace", "trap"])
def test_a_word_of_the_script_is_not_taken_for_the_program(
    shell: list[str], folder: Path, word: str
) -> None:
    assert run(shell, folder, word, "0").returncode == 127


def test_arguments_reach_the_program_untouched(shell: list[str], folder: Path) -> None:
    words = ["", " a  b ", "$(reboot)", "`id`", "'", '"', "\\", "*", "~", "$HOME", "--", "-c"]
    words += ["a\nb\n", "\t", ";|&<>", "街を走る車", "🎬", "%s%n", "{a,b}", "!", "#"]
    assert run(shell, folder, sys.executable, "-c", PRINT_ARGV, *words).returncode == 0
    assert json.loads(log(folder)) == words


def test_a_run_folder_with_blanks_and_quotes_works(shell: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' \"c\" $(d) 道"
    folder.mkdir()
    assert run(shell, folder, "sh", "-c", "pwd -P").returncode == 0
    assert log(folder) == f"{folder.resolve()}\n"


def test_a_second_start_is_refused_and_touches_nothing(shell: list[str], folder: Path) -> None:
    run(shell, folder, "echo", "first")
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    again = run(shell, folder, "echo", "second")
    assert again.returncode == 64
    assert b"already started" in again.stderr
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_of_many_starters_at_once_one_starts(shell: list[str], folder: Path) -> None:
    racers = [start(shell, folder, "sh", "-c", "echo once; sleep 0.3") for _ in range(8)]
    codes = sorted(r.wait(LONG_S) for r in racers)
    assert codes == [0] + [64] * 7
    assert log(folder) == "once\n"


@pytest.mark.parametrize("argv", [[], ["{run}"], ["{run}", "--"], ["{run}", "echo", "x"]])
def test_a_wrong_call_is_refused(shell: list[str], folder: Path, argv: list[str]) -> None:
    words = [w.replace("{run}", str(folder)) for w in argv]
    done = subprocess.run(
        [*shell, str(RUN_SH), *words], capture_output=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 64
    assert b"usage" in done.stderr
    assert not (folder / "pid").exists()


def test_a_missing_run_folder_is_refused(shell: list[str], tmp_path: Path) -> None:
    done = run(shell, tmp_path / "none", "true")
    assert done.returncode == 64
    assert b"no such run folder" in done.stderr


def test_term_is_passed_on_and_the_end_recorded(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sh", "-c", "echo up; exec sleep 60")
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 143
    assert (folder / "exit_code").read_text() == "143\n"
    assert result(folder)["exit_code"] == 143


def test_int_ends_the_program_too(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sh", "-c", "echo up; exec sleep 60")
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    script.send_signal(signal.SIGINT)
    assert script.wait(LONG_S) == 143


FINISHES = """
sleep 60 &
trap "kill $! 2>/dev/null; echo bye; printf x >outputs/last.txt; exit 7" TERM
echo up; wait
"""


def test_a_program_may_finish_its_work_after_term(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sh", "-c", FINISHES)
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    script.send_signal(signal.SIGTERM)
    assert script.wait(LONG_S) == 7
    assert log(folder) == "up\nbye\n"
    assert list(result(folder)["outputs"]) == ["last.txt"]


def test_term_to_the_whole_group_is_recorded_as_well(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sh", "-c", FINISHES)
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    os.killpg(script.pid, signal.SIGTERM)
    assert script.wait(LONG_S) in (7, 143)  # bash may forget the 7
    assert result(folder)["exit_code"] == script.returncode
    assert list(result(folder)["outputs"]) == ["last.txt"]


def test_many_signals_do_not_lose_the_exit_code(shell: list[str], folder: Path) -> None:
    program = "trap : TERM; echo up; while [ ! -e go ]; do sleep 0.02; done; exit 9"
    script = start(shell, folder, "sh", "-c", program)
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    for _ in range(20):
        script.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    (folder / "go").touch()
    assert script.wait(LONG_S) == 9
    assert (folder / "exit_code").read_text() == "9\n"


def test_term_to_the_group_while_outputs_are_hashed_does_not_spoil_the_record(
    shell: list[str], folder: Path
) -> None:
    program = "head -c 60000000 /dev/zero >outputs/a.mp4; echo made"
    process = start(shell, folder, "sh", "-c", program)
    until(lambda: "made" in (log(folder) if (folder / "run.log").exists() else ""), "a result")
    while process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.01)
    assert result(folder)["outputs"]["a.mp4"]["size"] == 60_000_000
    assert (folder / "exit_code").exists()


def test_a_hang_up_changes_nothing(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sh", "-c", "echo up; sleep 0.3; exit 5")
    until(lambda: (folder / "run.log").exists() and log(folder) == "up\n", "its first word")
    script.send_signal(signal.SIGHUP)
    assert script.wait(LONG_S) == 5


def test_the_result_is_valid_json_whatever_the_outputs_are_called(
    shell: list[str], folder: Path
) -> None:
    odd: list[str] = [
        'a"b',
        "a\\b",
        "a\nb",
        "a\tb",
        "refused\n",
        "\x01",
        "é",
        "道.mp4",
        os.fsdecode(b"\xff\xfe"),
        "\x7f",
    ]
    fine = ["a b.mp4", "it's", "$(x)", "-n", "x%sy", "{}", "sub/dir/c.mp4", "refused"]
    for name in [*odd, *fine]:
        path = folder / "outputs" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(os.fsencode(name))
    run(shell, folder, "true")
    facts = result(folder)
    assert facts["outputs"] == {
        n: {"sha256": hashlib.sha256(n.encode()).hexdigest(), "size": len(n)} for n in fine
    }
    assert facts["refused"] == len(odd)


def test_unfinished_files_and_links_are_no_outputs(shell: list[str], folder: Path) -> None:
    (folder / "outputs" / "half.mp4.part").write_text("x")
    (folder / "outputs" / "passwd").symlink_to("/etc/passwd")
    run(shell, folder, "true")
    assert result(folder)["outputs"] == {}


def test_a_run_without_outputs_has_a_result(shell: list[str], folder: Path) -> None:
    (folder / "outputs").rmdir()
    run(shell, folder, "true")
    assert result(folder)["outputs"] == {}


def test_the_program_starts_in_the_run_folder_unless_told_otherwise(
    shell: list[str], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    run(shell, folder, "pwd", "-P")
    run(shell, tmp_path / "second", "pwd", "-P", COSMOS_CWD=str(tmp_path))
    assert log(folder) == f"{folder}\n"
    assert log(tmp_path / "second") == f"{tmp_path}\n"


def test_a_missing_working_directory_is_recorded(shell: list[str], folder: Path) -> None:
    assert run(shell, folder, "true", COSMOS_CWD="/no/such/place").returncode == 126
    assert (folder / "exit_code").read_text() == "126\n"


def test_the_program_sees_its_places_and_the_locale_it_was_given(
    shell: list[str], folder: Path
) -> None:
    program = 'echo "$COSMOS_RUN_DIR|$COSMOS_SCRIPTS|$PYTHONUNBUFFERED|$LC_ALL"'
    run(shell, folder, "sh", "-c", program, LC_ALL="C.UTF-8")
    assert log(folder) == f"{folder}|{RUN_SH.parent}|1|C.UTF-8\n"


def test_the_program_has_no_standard_input(shell: list[str], folder: Path) -> None:
    assert run(shell, folder, "cat").returncode == 0


def test_the_log_is_appended_to(shell: list[str], folder: Path) -> None:
    (folder / "run.log").write_text("placed before\n")
    run(shell, folder, "echo", "then")
    assert log(folder) == "placed before\nthen\n"


def test_the_start_names_the_process_itself(shell: list[str], folder: Path) -> None:
    script = start(shell, folder, "sleep", "60")
    until((folder / "pid").exists, "a process")
    pid, ticks, boot_id, space = (folder / "pid").read_text().split()
    stat = Path(f"/proc/{script.pid}/stat").read_text()
    assert int(pid) == script.pid
    assert ticks == stat.rpartition(")")[2].split()[19]
    assert boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert space == own_identity().space
    script.terminate()
    script.wait(LONG_S)


def test_a_request_to_stop_is_heard_at_any_moment_of_the_start(
    shell: list[str], tmp_path: Path
) -> None:
    """A shell that was only just forked loses a signal: one start in fifty, with dash."""

    def stopped(n: int) -> int:
        folder = tmp_path / str(n)
        folder.mkdir()
        script = start(shell, folder, "sleep", "60")
        while not (folder / "reserve").exists():
            time.sleep(0.0003)
        time.sleep(n % 30 / 5000)
        script.terminate()
        try:
            return script.wait(LONG_S)
        finally:
            script.kill()

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(stopped, range(150))) == {143}


def test_a_full_disk_leaves_a_record_or_no_exit_code(shell: list[str], folder: Path) -> None:
    """In a tmpfs of 400 kB in a mount namespace of its own."""
    probe = ["unshare", "--mount", "--map-root-user", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, check=False).returncode:
        pytest.skip("cannot make a mount namespace here")
    inside = (
        'mount -t tmpfs -o size=400k tmpfs "$1" && mkdir "$1/outputs" && shift && run=$1 && shift\n'
        '"$@" -- sh -c "echo up; cat /dev/zero >outputs/big; exit 28"; echo "code $?"\n'
        'cd "$run" && head -c 200 run.log && cat exit_code result.json'
    )
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", inside, "sh"]
    argv += [str(folder), str(folder), *shell, str(RUN_SH), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LONG_S)
    said, _, record = done.stdout.partition("{")
    assert said.splitlines()[0] == "code 28"
    assert "up" in said
    assert said.splitlines()[-1] == "28"
    assert json.loads("{" + record)["exit_code"] == 28
    assert "run.sh: No space left on device" in said
