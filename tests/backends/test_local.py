"""The local backend with real subprocesses."""

from __future__ import annotations

import hashlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.backends import local
from cosmos_pipelines.backends.base import Handle
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.run_folder import read_start
from cosmos_pipelines.errors import (
    BackendError,
    CosmosError,
    DiskFull,
    InputError,
    OutputMissing,
    StateError,
)
from cosmos_pipelines.files import part_of
from cosmos_pipelines.identity import stat_of
from cosmos_pipelines.operations import Order, Video
from cosmos_pipelines.remote import process
from tests.support.processes import CONTAINER, needs, python_in
from tests.support.waiting import LONG_S, until

ROOT = Path(__file__).resolve().parents[2]
UNTIL_GO = "while [ ! -e go ]; do sleep 0.01; done"
_ids = itertools.count(1)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    backend = LocalBackend(tmp_path / "host", grace_s=5)
    yield backend
    for order_id in backend.active():
        handle = backend.find(order_id)
        assert handle
        backend.cancel(handle, 0)


def order(*argv: str, **fields: Any) -> Order:
    """An order with a fresh id."""
    run_id = fields.pop("id", None) or f"rs_{next(_ids):032x}"
    facts = {"engine": "none", "model_type": "transfer", "inputs": {}, "expected": ()}
    return Order(**{"id": run_id, "run_ids": (run_id,), "argv": argv, **facts, **fields})


def script(text: str, **fields: Any) -> Order:
    """An order that runs a shell script."""
    return order("sh", "-c", text, **fields)


def video(path: Path, content: bytes = b"pixels") -> Video:
    """A file with the facts of a video; the backend only looks at path, hash and size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    shape = {"width": 64, "height": 48, "frames": 2, "fps": "24"}
    return Video(path=str(path), sha256=sha256, size=len(content), **shape)


def log_of(backend: LocalBackend, handle: Handle, offset: int = 0) -> bytes:
    """The log until the end."""
    return b"".join(backend.follow(handle, offset))


def finish(backend: LocalBackend, work: Order) -> Handle:
    """Launch and wait for the end."""
    handle = backend.launch(work)
    log_of(backend, handle)
    return handle


def wait_for_log(backend: LocalBackend, handle: Handle, text: bytes) -> None:
    seen = b""
    for chunk in backend.follow(handle):
        seen += chunk
        if text in seen:
            return
    raise AssertionError(f"the log ended without {text!r}: {seen!r}")


def gone(pid: int) -> bool:
    return (stat_of(pid) or "Z")[0] in "ZX"


def test_an_order_runs_and_its_outputs_come_home(backend: LocalBackend, tmp_path: Path) -> None:
    handle = backend.launch(script("echo hello; printf abc >outputs/a.mp4"))
    assert log_of(backend, handle) == b"hello\n"
    outcome = backend.outcome(handle)
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert (outcome.exit_code, outcome.stopped) == (0, None)
    assert outcome.outputs == {"a.mp4": sha256}
    backend.collect(handle, {"a.mp4": tmp_path / "outputs" / "video.mp4"})
    assert (tmp_path / "outputs" / "video.mp4").read_bytes() == b"abc"
    assert [p.name for p in (tmp_path / "outputs").iterdir()] == ["video.mp4"]


def test_inputs_documents_and_environment_are_there(backend: LocalBackend, tmp_path: Path) -> None:
    work = script(
        'cat inputs/color.mp4 inputs/a/b.mp4 request.json sub/x.txt; echo "$WORD|$COSMOS_RUN_DIR"',
        inputs={"color.mp4": video(tmp_path / "c", b"C"), "a/b.mp4": video(tmp_path / "b", b"B")},
        documents={"request.json": '{"道": 1}\n', "sub/x.txt": "x\r\n"},
        env={"WORD": "a b"},
    )
    handle = backend.launch(work)
    said = log_of(backend, handle).decode()
    assert said == f'CB{{"道": 1}}\nx\r\na b|{handle.run_dir}\n'


def test_nothing_of_the_starters_environment_reaches_the_program(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSMOS_SECRET_OF_THE_STARTER", "1")
    handle = backend.launch(order("env"))
    names = {line.partition("=")[0] for line in log_of(backend, handle).decode().splitlines()}
    assert {"PATH", "HOME", "COSMOS_RUN_DIR", "COSMOS_SCRIPTS", "PYTHONUNBUFFERED"} <= names
    assert "COSMOS_SECRET_OF_THE_STARTER" not in names


def test_the_three_place_holders_are_filled(backend: LocalBackend) -> None:
    handle = backend.launch(order("echo", "{run}", "{scripts}", "{python}"))
    said = log_of(backend, handle).decode()
    assert said == f"{handle.run_dir} {ROOT / 'gpu_scripts'} {sys.executable}\n"


def test_an_input_is_copied_once_and_survives_the_users_overwriting(
    backend: LocalBackend, tmp_path: Path
) -> None:
    source = video(tmp_path / "color.mp4", b"first")
    finish(backend, script("true", inputs={"color.mp4": source}))
    kept = backend.cas / source.sha256
    inode = kept.stat().st_ino
    (tmp_path / "color.mp4").write_bytes(b"later")
    handle = finish(backend, script("cat inputs/color.mp4", inputs={"color.mp4": source}))
    assert (Path(handle.run_dir) / "run.log").read_bytes() == b"first"
    assert kept.stat().st_ino == inode
    assert kept.stat().st_nlink == 3
    assert len(list(backend.cas.iterdir())) == 1


def test_a_kept_input_with_other_bytes_of_the_same_size_is_copied_again(
    backend: LocalBackend, tmp_path: Path
) -> None:
    source = video(tmp_path / "color.mp4", b"first")
    finish(backend, script("true", inputs={"color.mp4": source}))
    kept = backend.cas / source.sha256
    kept.chmod(0o644)
    kept.write_bytes(b"other")
    handle = finish(backend, script("cat inputs/color.mp4", inputs={"color.mp4": source}))
    assert (Path(handle.run_dir) / "run.log").read_bytes() == b"first"
    assert kept.read_bytes() == b"first"


def test_a_changed_input_is_refused_and_nothing_is_left(
    backend: LocalBackend, tmp_path: Path
) -> None:
    source = video(tmp_path / "color.mp4", b"first")
    (tmp_path / "color.mp4").write_bytes(b"other")
    work = script("true", inputs={"color.mp4": source})
    with pytest.raises(InputError, match=r"color\.mp4 .*was changed"):
        backend.launch(work)
    assert backend.find(work.id) is None
    assert list(backend.cas.iterdir()) == []
    assert not backend.runs.exists() or list(backend.runs.iterdir()) == []


def test_a_missing_input_is_refused(backend: LocalBackend, tmp_path: Path) -> None:
    source = video(tmp_path / "color.mp4")
    (tmp_path / "color.mp4").unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        backend.launch(script("true", inputs={"color.mp4": source}))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a\nb", "..", "a\\b"])
def test_names_cannot_leave_the_run_folder(
    backend: LocalBackend, tmp_path: Path, name: str
) -> None:
    expected = ({"run_id": "rs_1", "name": name, "kind": "text"},)
    for fields in (
        {"inputs": {name: video(tmp_path / "v")}},
        {"documents": {name: "x"}},
        {"expected": expected},
    ):
        with pytest.raises(InputError, match="leads out"):
            backend.launch(script("true", **fields))
    handle = finish(backend, script("true"))
    with pytest.raises(InputError, match="leads out"):
        backend.collect(handle, {name: tmp_path / "x"})


@pytest.mark.parametrize("name", ["pid", "exit_code", "result.json", "stop", "order.json"])
def test_a_document_cannot_pose_as_a_record(backend: LocalBackend, name: str) -> None:
    with pytest.raises(InputError, match="a record of the run folder"):
        backend.launch(script("true", documents={name: "0"}))


@pytest.mark.parametrize("order_id", ["../x", "a/b", "", ".hidden", "x.part", "a b"])
def test_an_order_id_that_is_no_name_is_refused(backend: LocalBackend, order_id: str) -> None:
    with pytest.raises(InputError, match="cannot name a run folder"):
        backend.discard(order_id)


def test_launching_again_gives_the_one_start(backend: LocalBackend) -> None:
    work = script("echo once; sleep 0.2")
    first = backend.launch(work)
    assert backend.launch(work) == first
    assert log_of(backend, first) == b"once\n"
    assert backend.launch(work) == first  # also after the end
    assert log_of(backend, first) == b"once\n"


def test_many_threads_and_backends_launch_once(backend: LocalBackend, tmp_path: Path) -> None:
    source = video(tmp_path / "color.mp4", b"x" * 3_000_000)
    work = script("echo once; sleep 0.2", inputs={"color.mp4": source})
    backends = [LocalBackend(backend.work) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        handles = list(pool.map(lambda b: b.launch(work), backends))
    assert len(set(handles)) == 1
    assert log_of(backend, handles[0]) == b"once\n"
    assert [p.name for p in backend.runs.iterdir()] == [work.id]


def test_what_a_crash_prepared_but_did_not_start_is_started(backend: LocalBackend) -> None:
    work = script("cat note.txt", documents={"note.txt": "right\n"})
    left = backend.runs / work.id
    left.mkdir(parents=True)
    (left / "note.txt").write_text("half-wri")
    assert backend.find(work.id) is None
    assert log_of(backend, backend.launch(work)) == b"right\n"


def test_what_killed_processes_left_half_made_is_swept(backend: LocalBackend) -> None:
    code = (
        "import sys; from pathlib import Path; from cosmos_pipelines.files import part_of\n"
        "for place in sys.argv[1:]: part_of(Path(place)).mkdir(parents=True)"
    )
    places = [backend.cas / "abc", backend.runs / "x"]
    subprocess.run([sys.executable, "-c", code, *places], check=True)
    assert [len(list(place.parent.glob("*.part"))) for place in places] == [1, 1]
    mine = part_of(backend.runs / "y")
    mine.mkdir()
    handle = finish(backend, script("true"))
    assert sorted(backend.runs.iterdir()) == sorted([Path(handle.run_dir), mine])
    assert list(backend.cas.iterdir()) == []


def test_no_room_for_an_input_is_said_and_nothing_is_left(tmp_path: Path, small_disk: Path) -> None:
    backend = LocalBackend(small_disk / "host")
    source = video(tmp_path / "color.mp4", b"x" * 2_000_000)
    work = script("true", inputs={"color.mp4": source})
    with pytest.raises(DiskFull, match="No space left"):
        backend.launch(work)
    assert backend.find(work.id) is None
    assert [p for p in small_disk.rglob("*") if p.is_file()] == []


def test_no_room_for_a_result_is_said_and_it_can_be_collected_later(
    backend: LocalBackend, tmp_path: Path, small_disk: Path
) -> None:
    handle = finish(backend, script("head -c 2000000 /dev/zero >outputs/a.mp4"))
    with pytest.raises(DiskFull, match="No space left"):
        backend.collect(handle, {"a.mp4": small_disk / "video.mp4"})
    assert list(small_disk.iterdir()) == []
    backend.collect(handle, {"a.mp4": tmp_path / "video.mp4"})
    assert (tmp_path / "video.mp4").stat().st_size == 2_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 1 MB of room."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("cannot mount here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_start_that_run_sh_refuses_is_a_launch_failure(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "host", scripts=tmp_path / "nowhere")
    with pytest.raises(BackendError, match=r"did not start .*run\.sh") as e:
        backend.launch(script("true"))
    assert e.value.kind == "launch_failed"


def test_a_program_that_does_not_exist_has_an_exit_code(backend: LocalBackend) -> None:
    handle = finish(backend, order("no-such-program-anywhere"))
    assert backend.outcome(handle).exit_code == 127


def test_log_lines_come_while_it_runs(backend: LocalBackend) -> None:
    handle = backend.launch(script(f"echo one; {UNTIL_GO}; echo two"))
    follow = backend.follow(handle)
    assert next(c for c in follow if c) == b"one\n"
    assert backend.alive(handle)
    (Path(handle.run_dir) / "go").touch()
    assert b"".join(follow) == b"two\n"


def test_a_silent_run_lets_the_caller_look_at_its_clock(backend: LocalBackend) -> None:
    handle = backend.launch(script("sleep 60"))
    assert next(backend.follow(handle)) == b""
    backend.cancel(handle, 1)


def test_following_from_any_offset_loses_and_repeats_nothing(backend: LocalBackend) -> None:
    text = 'i=0; while [ $i -lt 400 ]; do echo "line $i 道"; i=$((i+1)); done; printf end'
    handle = backend.launch(script(text))
    cut = b""
    follow = backend.follow(handle)
    while len(cut) < 200:
        cut += next(follow)
    follow.close()
    whole = "".join(f"line {i} 道\n" for i in range(400)).encode() + b"end"
    assert cut + log_of(backend, handle, len(cut)) == whole
    for offset in (0, 1, 7, len(whole) - 1, len(whole)):
        assert log_of(backend, handle, offset) == whole[offset:]


def test_two_can_follow_at_once(backend: LocalBackend) -> None:
    handle = backend.launch(script("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.03; done"))
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: log_of(backend, handle), range(2))
    assert one == two == b"1\n2\n3\n4\n5\n6\n7\n8\n"


FINISHING = """
mkdir outputs; printf pixels > outputs/a.mp4
printf '{"outputs":{"a.mp4":{"sha256":"%s","size":6}},"samples":{"rs_1":{"seconds":2.5}}}' \
    $(printf pixels | sha256sum | cut -c1-64) > finished.json
echo made; sleep 60
"""


def test_what_a_running_order_has_finished_comes_home(
    backend: LocalBackend, tmp_path: Path
) -> None:
    handle = backend.launch(script(f"{UNTIL_GO}; {FINISHING}"))
    assert backend.finished(handle).outputs == {}
    (Path(handle.run_dir) / "go").touch()
    wait_for_log(backend, handle, b"made\n")
    made = backend.finished(handle)
    assert (made.exit_code, made.samples) == (None, {"rs_1": {"seconds": 2.5}})
    backend.collect(handle, {"a.mp4": tmp_path / "video.mp4"}, made)
    assert (tmp_path / "video.mp4").read_bytes() == b"pixels"
    assert backend.alive(handle)


def test_asking_for_the_outcome_of_a_running_order_is_refused(backend: LocalBackend) -> None:
    handle = backend.launch(script("sleep 60"))
    with pytest.raises(StateError, match="still running"):
        backend.outcome(handle)
    with pytest.raises(StateError, match="still running"):
        backend.discard(handle.order_id)
    assert backend.active() == [handle.order_id]
    backend.cancel(handle, 1)
    assert backend.active() == []


def test_cancel_asks_first_and_records_why(backend: LocalBackend) -> None:
    handle = backend.launch(script("trap 'echo bye; exit 3' TERM; echo up; sleep 60 & wait"))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle)
    outcome = backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (3, "cancelled")
    assert log_of(backend, handle) == b"up\nbye\n"  # asked once


def test_a_program_is_asked_before_what_it_started(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PASSED_ON_S", LONG_S)
    work = "sleep 60 & trap 'sleep 0.3; kill -0 $! && echo alive; kill $!; exit 3' TERM"
    handle = backend.launch(script(f"{work}; echo up; while :; do sleep 0.01; done"))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle, 2 * LONG_S)
    assert log_of(backend, handle) == b"up\nalive\n"
    assert backend.outcome(handle).exit_code == 3


def test_a_short_grace_is_shared_with_what_a_program_does_not_ask(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PASSED_ON_S", 4)  # of which nothing would be left for the child
    child = "trap 'sleep 0.2; echo tidy; exit' TERM; echo up; while :; do :; done"
    program = f"trap '' TERM; (trap - TERM; exec sh -c \"{child}\") & while ! wait $!; do :; done"
    handle = backend.launch(script(program))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle, 4)
    assert log_of(backend, handle) == b"up\ntidy\n"


def test_what_a_program_leaves_behind_is_asked_too(backend: LocalBackend) -> None:
    left = "(trap 'echo asked; exit' TERM; echo up; while :; do :; done)"
    handle = backend.launch(script(f"{left} & wait"))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle)
    log = Path(handle.run_dir) / "run.log"
    assert log.read_bytes() == b"up\nasked\n"


def test_a_program_that_does_not_pass_it_on_has_what_it_started_asked(
    backend: LocalBackend,
) -> None:
    child = "trap 'echo child; exit' TERM; echo up; while :; do :; done"
    program = f"trap 'echo program' TERM; sh -c \"{child}\" & while ! wait $!; do :; done"
    handle = backend.launch(script(f"{program}; exit 3"))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle)
    assert log_of(backend, handle) == b"up\nprogram\nchild\n"  # each asked once
    assert backend.outcome(handle).exit_code == 3


def test_what_ignores_term_is_killed_after_the_grace(backend: LocalBackend) -> None:
    handle = backend.launch(script("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    wait_for_log(backend, handle, b"up\n")
    backend.cancel(handle, 0.2, reason="timeout")
    outcome = backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (137, "timeout")


def test_an_interrupt_of_a_cancel_is_not_kept_until_the_order_has_had_its_time(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    handle = backend.launch(script("trap '' TERM; while :; do sleep 0.05; done"))
    with monkeypatch.context() as patch:
        patch.setattr(local, "write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backend.cancel(handle, 600)
    backend.cancel(handle, 0)
    assert not backend.alive(handle)


def test_cancel_ends_grandchildren_also_those_that_left_the_session(
    backend: LocalBackend,
) -> None:
    handle = backend.launch(
        script("setsid sleep 61 & echo $!; (sleep 62 & echo $!; wait) & echo up; wait")
    )
    wait_for_log(backend, handle, b"up\n")
    first = read_start((Path(handle.run_dir) / "pid").read_text())
    leader = process.Leader(first, f"COSMOS_RUN_DIR={handle.run_dir}")
    until(lambda: len(process.members(leader)) >= 5, "all processes")
    pids = process.members(leader)
    backend.cancel(handle, 0.3)
    assert all(gone(pid) for pid in pids)


def test_cancelling_one_run_leaves_its_neighbour_alone(backend: LocalBackend) -> None:
    one = backend.launch(script("sleep 60"))
    two = backend.launch(script("sleep 60"))
    backend.cancel(one, 1)
    assert not backend.alive(one)
    assert backend.alive(two)
    assert backend.active() == [two.order_id]


def test_cancelling_what_has_ended_changes_nothing(backend: LocalBackend) -> None:
    handle = finish(backend, script("exit 4"))
    backend.cancel(handle)
    outcome = backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (4, None)


def test_the_first_reason_to_stop_stays(backend: LocalBackend) -> None:
    handle = backend.launch(script("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    wait_for_log(backend, handle, b"up\n")
    first = threading.Thread(target=backend.cancel, args=(handle, 1, "timeout"))
    first.start()
    until((Path(handle.run_dir) / "stop").exists, "the request to stop")
    backend.cancel(handle, 0.1, "cancelled")
    first.join()
    assert backend.outcome(handle).stopped == "timeout"


def test_a_killed_run_vanishes_and_takes_its_children_along(backend: LocalBackend) -> None:
    handle = backend.launch(script("echo $$; sleep 60"))
    first = next(c for c in backend.follow(handle) if c)
    os.kill(int(handle.marks["pid"]), signal.SIGKILL)
    assert log_of(backend, handle) == first
    outcome = backend.outcome(handle)
    assert (outcome.exit_code, outcome.stopped) == (None, None)
    assert gone(int(first))


def test_what_a_run_left_in_the_background_ends_with_it(backend: LocalBackend) -> None:
    handle = backend.launch(script("sleep 60 & echo $!"))
    pid = int(log_of(backend, handle))
    assert gone(pid)
    assert backend.outcome(handle).exit_code == 0


def test_a_run_of_an_earlier_boot_is_over(backend: LocalBackend) -> None:
    handle = backend.launch(script("sleep 60"))
    started = Path(handle.run_dir) / "pid"
    before = started.read_text()
    backend.cancel(handle, 1)
    (Path(handle.run_dir) / "exit_code").unlink()
    started.write_text(before.replace(handle.boot_id, "another-boot"))
    rebooted = backend.find(handle.order_id)
    assert rebooted
    assert not backend.alive(rebooted)
    assert backend.outcome(rebooted).exit_code is None


def test_an_order_of_another_boot_of_which_a_process_runs_is_not_over(
    backend: LocalBackend,
) -> None:
    """A clone of this machine, with which it shares the directory, executes it."""
    handle = backend.launch(script("sleep 60"))
    started = Path(handle.run_dir) / "pid"
    before = started.read_text()
    started.write_text(before.replace(handle.boot_id, "another-boot"))
    elsewhere = backend.find(handle.order_id)
    assert elsewhere
    assert backend.alive(elsewhere)
    with pytest.raises(StateError):
        backend.discard(handle.order_id)
    with pytest.raises(BackendError, match="in another container"):
        backend.cancel(elsewhere, 1)
    started.write_text(before)
    backend.cancel(handle, 1)


LAUNCH = """
import sys
from pathlib import Path
from cosmos_pipelines.backends.local import LocalBackend
from tests.backends.test_local import script
order = script("echo up; until [ -e ../../end ]; do sleep 0.05; done; echo down", id=sys.argv[2])
LocalBackend(Path(sys.argv[1])).launch(order)
print("launched", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def in_container(backend: LocalBackend) -> Iterator[tuple[subprocess.Popen[str], Handle]]:
    """A process in another container that shares the directory, and the order that it started."""
    order_id = f"rs_{next(_ids):032x}"
    process = python_in(needs(CONTAINER), LAUNCH, str(backend.work), order_id)
    assert process.stdout is not None
    assert process.stdout.readline() == "launched\n"
    handle = backend.find(order_id)
    assert handle is not None
    yield process, handle
    process.communicate()


def test_an_order_of_another_container_is_followed_to_its_end(
    backend: LocalBackend, in_container: tuple[subprocess.Popen[str], Handle]
) -> None:
    _, handle = in_container
    wait_for_log(backend, handle, b"up\n")
    assert backend.active() == [handle.order_id]
    with pytest.raises(StateError, match="still running"):
        backend.outcome(handle)
    with pytest.raises(StateError, match="still running"):
        backend.discard(handle.order_id)
    with pytest.raises(BackendError, match="in another container"):
        backend.cancel(handle, 0)
    (backend.work / "end").touch()
    assert log_of(backend, handle) == b"up\ndown\n"
    assert backend.outcome(handle).exit_code == 0


def test_an_order_ends_with_its_container(
    backend: LocalBackend, in_container: tuple[subprocess.Popen[str], Handle]
) -> None:
    process, handle = in_container
    assert backend.alive(handle)
    process.communicate()  # its first process ends, and the kernel kills all others
    until(lambda: not backend.alive(handle), "the end of the container")
    assert backend.outcome(handle).exit_code is None
    backend.discard(handle.order_id)


def test_another_process_with_the_same_id_is_not_taken_for_the_run(
    backend: LocalBackend,
) -> None:
    handle = finish(backend, script("true"))
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    record = Path(handle.run_dir)
    (record / "exit_code").unlink()
    (record / "pid").write_text(f"{stranger.pid} {handle.marks['started']} {handle.boot_id}\n")
    found = backend.find(handle.order_id)
    assert found
    assert not backend.alive(found)
    backend.cancel(found, 0)
    assert backend.outcome(found).exit_code is None
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_collecting_again_does_nothing(backend: LocalBackend, tmp_path: Path) -> None:
    handle = finish(backend, script("printf abc >outputs/a.mp4"))
    target = tmp_path / "video.mp4"
    backend.collect(handle, {"a.mp4": target})
    inode = target.stat().st_ino
    (Path(handle.run_dir) / "outputs" / "a.mp4").unlink()
    backend.collect(handle, {"a.mp4": target})
    assert target.stat().st_ino == inode


def test_a_wrong_file_in_the_place_is_replaced(backend: LocalBackend, tmp_path: Path) -> None:
    handle = finish(backend, script("printf abc >outputs/a.mp4"))
    target = tmp_path / "video.mp4"
    target.write_text("torn")
    backend.collect(handle, {"a.mp4": target})
    assert target.read_text() == "abc"


def test_an_output_that_was_not_made_is_named(backend: LocalBackend, tmp_path: Path) -> None:
    handle = finish(backend, script("printf abc >outputs/a.mp4"))
    with pytest.raises(OutputMissing, match=r"made no 'b\.mp4'"):
        backend.collect(handle, {"b.mp4": tmp_path / "video.mp4"})


def test_an_output_that_changed_after_its_hash_is_refused(
    backend: LocalBackend, tmp_path: Path
) -> None:
    handle = finish(backend, script("printf abc >outputs/a.mp4"))
    (Path(handle.run_dir) / "outputs" / "a.mp4").write_text("abX")
    with pytest.raises(OutputMissing, match="is not the expected file"):
        backend.collect(handle, {"a.mp4": tmp_path / "video.mp4"})
    assert not (tmp_path / "video.mp4").exists()
    assert list(tmp_path.glob("*.part")) == []


def test_a_torn_record_is_an_error_in_one_line(backend: LocalBackend) -> None:
    handle = finish(backend, script("true"))
    (Path(handle.run_dir) / "result.json").write_text('{"outputs": ')
    with pytest.raises(CosmosError, match=r"result\.json cannot be read"):
        backend.outcome(handle)


def test_a_discarded_run_is_forgotten_and_the_inputs_are_kept(
    backend: LocalBackend, tmp_path: Path
) -> None:
    source = video(tmp_path / "color.mp4")
    handle = finish(backend, script("true", inputs={"color.mp4": source}))
    backend.discard(handle.order_id)
    backend.discard(handle.order_id)
    assert backend.find(handle.order_id) is None
    assert list(backend.runs.iterdir()) == []
    assert [p.name for p in backend.cas.iterdir()] == [source.sha256]


def test_the_order_can_be_read_back(backend: LocalBackend, tmp_path: Path) -> None:
    work = script("true", inputs={"c.mp4": video(tmp_path / "道.mp4")}, env={"A": "é"})
    handle = backend.launch(work)
    assert backend.order_of(handle) == work
    assert 0 <= backend.running_s(handle) < 60


LAUNCHER = """
import sys, time
from pathlib import Path
from cosmos_pipelines.operations import Order
from cosmos_pipelines.backends.local import LocalBackend
backend = LocalBackend(Path(sys.argv[1]), Path(sys.argv[2]))
handle = backend.launch(Order.model_validate_json(sys.stdin.read()))
for chunk in backend.follow(handle):
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
"""


def launcher(backend: LocalBackend, work: Order) -> subprocess.Popen[bytes]:
    """Another process of ours that launches an order and follows it."""
    child = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(backend.work), str(backend.scripts)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin
    child.stdin.write(work.model_dump_json().encode())
    child.stdin.close()
    return child


def test_a_run_outlives_the_kill_of_its_launcher_and_is_adopted(
    backend: LocalBackend, tmp_path: Path
) -> None:
    work = script(
        "for i in 1 2 3; do echo before $i; done; while [ ! -e go ]; do sleep 0.01; done\n"
        "for i in 1 2 3; do echo after $i; done; printf abc >outputs/a.mp4"
    )
    dead = launcher(backend, work)
    assert dead.stdout
    seen = b"".join(dead.stdout.readline() for _ in range(3))
    dead.kill()
    dead.wait()
    handle = backend.find(work.id)
    assert handle
    assert backend.alive(handle)
    assert backend.launch(work) == handle
    (Path(handle.run_dir) / "go").touch()
    rest = log_of(backend, handle, len(seen))
    assert seen + rest == b"before 1\nbefore 2\nbefore 3\nafter 1\nafter 2\nafter 3\n"
    assert backend.outcome(handle).exit_code == 0
    backend.collect(handle, {"a.mp4": tmp_path / "video.mp4"})
    assert (tmp_path / "video.mp4").read_bytes() == b"abc"


def test_a_run_that_ended_after_its_launchers_death_is_collected(
    backend: LocalBackend,
) -> None:
    work = script("echo up; while [ ! -e go ]; do sleep 0.01; done; exit 6")
    dead = launcher(backend, work)
    assert dead.stdout
    dead.stdout.readline()
    dead.kill()
    dead.wait()
    (backend.runs / work.id / "go").touch()
    until((backend.runs / work.id / "exit_code").exists, "the exit code")
    handle = backend.find(work.id)
    assert handle
    assert backend.outcome(handle).exit_code == 6


def test_ctrl_c_in_the_launcher_does_not_reach_the_run(backend: LocalBackend) -> None:
    work = script("echo up; sleep 60")
    stopped = launcher(backend, work)
    assert stopped.stdout
    stopped.stdout.readline()
    os.killpg(stopped.pid, signal.SIGINT)
    stopped.wait()
    handle = backend.find(work.id)
    assert handle
    assert backend.alive(handle)
    backend.cancel(handle, 1)


@pytest.mark.parametrize("delay_ms", range(0, 60, 6))
def test_a_launcher_killed_at_any_moment_leaves_at_most_one_start(
    backend: LocalBackend, tmp_path: Path, delay_ms: int
) -> None:
    source = video(tmp_path / "color.mp4", b"x" * 1_000_000)
    work = script("echo once", inputs={"color.mp4": source})
    dead = launcher(backend, work)
    until(lambda: backend.work.exists() or dead.poll() is not None, "its first step")
    time.sleep(delay_ms / 1000)
    dead.kill()
    dead.wait()
    handle = backend.launch(work)
    assert log_of(backend, handle) == b"once\n"
    assert backend.outcome(handle).exit_code == 0
    assert [p.name for p in backend.runs.iterdir()] == [work.id]


def test_a_start_on_its_way_when_its_launcher_is_killed_is_awaited(
    backend: LocalBackend, tmp_path: Path
) -> None:
    slow = tmp_path / "slow" / "run.sh"
    slow.parent.mkdir()
    run_sh = shlex.quote(str(ROOT / "gpu_scripts" / "run.sh"))
    slow.write_text(
        f'echo $$ >{tmp_path}/pid; cd {tmp_path}; {UNTIL_GO}; cd /\nexec sh {run_sh} "$@"\n'
    )
    work = script("echo once")
    dead = launcher(LocalBackend(backend.work, scripts=slow.parent), work)
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "a process")
    dead.kill()
    dead.wait()
    assert backend.find(work.id) is None
    with ThreadPoolExecutor(1) as pool:
        launched = pool.submit(backend.launch, work)
        until(lambda: [*backend.runs.glob("*.part")], "the wait for the start")
        (tmp_path / "go").touch()
        handle = launched.result()
    assert log_of(backend, handle) == b"once\n"
    assert int(handle.marks["pid"]) == int((tmp_path / "pid").read_text())
