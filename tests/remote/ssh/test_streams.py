"""Much through a connection: over the system's OpenSSH and over our own."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cosmos_pipelines.errors import LinkLost
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from cosmos_pipelines.remote.ssh.openssh import OpenSsh
from cosmos_pipelines.remote.ssh.streams import draw, feed, pour
from tests.support.sshd import Sshd
from tests.support.waiting import LONG_S
from tests.support.ways import without_openssh


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a name that is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as name:
        yield Path(name)


def test_a_connection_outlives_half_a_gigabyte_and_the_ends_of_programs(
    loop: Connection,
) -> None:
    """paramiko's own change of keys after 512 MiB ends it when a program ends just then."""
    over = threading.Event()
    ends = 0

    def end_programs() -> None:
        nonlocal ends
        while not over.is_set():
            loop.run(["true"], timeout_s=LONG_S)
            ends += 1

    beside = threading.Thread(target=end_programs)
    beside.start()
    try:
        size = sum(map(len, loop.stream(["head", "-c", "600000000", "/dev/zero"])))
    finally:
        over.set()
        beside.join()
    assert size == 600_000_000
    assert loop.run(["echo", "on"], timeout_s=LONG_S).stdout == b"on\n"
    assert ends > 1


def end_sending_to(server: Sshd) -> None:
    """From now on nothing can be sent to it; what it sends still arrives."""
    for one in psutil.Process().net_connections("tcp"):
        if one.raddr and one.raddr.port == server.port:
            with socket.socket(fileno=os.dup(one.fd)) as ours:
                ours.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("end", [Sshd.cut, end_sending_to], ids=["both ways", "our way"])
def test_a_link_that_is_cut_while_output_comes_is_lost_and_another_one_is_made(
    loop: Connection, sshd: Sshd, end: Callable[[Sshd], None]
) -> None:
    for _ in range(8):
        output = loop.stream(["head", "-c", "600000000", "/dev/zero"])
        sum(len(next(output)) for _ in range(20))
        end(sshd)
        with pytest.raises(LinkLost, match="lost during `head -c`"):
            list(output)
    assert loop.run(["echo", "on"], timeout_s=LONG_S).stdout == b"on\n"


LISTEN = """
import sys
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from pathlib import Path
with Connection(Target("loop", config_file=Path(sys.argv[1]), lost_after_s=2)) as loop:
    wait = "echo first; until [ -e $0 ]; do sleep 0.1; done; echo second"
    for line in loop.stream(["sh", "-c", wait, sys.argv[2]]):
        print(line.decode(), end="", flush=True)
"""


def test_a_process_that_was_stopped_for_a_while_finds_its_links_as_they_were(
    sshd: Sshd, tmp_path: Path
) -> None:
    """As Ctrl-Z and `fg`, a machine that was paused, or one that gives no time to a process."""
    words = [sys.executable, "-c", LISTEN, str(sshd.config), str(tmp_path / "say")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "first\n"
        for _ in range(3):
            listener.send_signal(signal.SIGSTOP)
            time.sleep(5)  # longer than the silence after which a link is lost
            listener.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        (tmp_path / "say").touch()
        assert listener.stdout.read() == "second\n"
    assert listener.returncode == 0


def test_a_server_that_says_nothing_any_more_is_lost_for_that_reason(target: Target) -> None:
    with Connection(replace(target, lost_after_s=2)) as loop:
        stream = loop.stream(["sh", "-c", "echo $PPID; sleep 600"])
        asker = psutil.Process(int(next(chunk for chunk in stream if chunk)))
        server = next(x for x in (asker, *asker.parents()) if x.name().startswith("sshd"))
        server.suspend()
        try:
            with pytest.raises(LinkLost, match="lost during `sh -c`: nothing came for 2 s"):
                list(stream)
        finally:
            server.resume()


def test_the_exit_code_and_what_was_said_come_back(way: Connection) -> None:
    script = ["sh", "-c", "cat; echo bad >&2; exit 7"]
    done = feed(way, script, [b"a", b"b"], amount=1 << 30)
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"ab", b"bad\n")


def test_bytes_that_ssh_read_before_its_first_look_are_counted(
    way: Connection, short: Path
) -> None:
    class Busy(io.FileIO):
        """A file of a process that is busy elsewhere before it asks for the position."""

        def tell(self) -> int:
            time.sleep(0.3)
            return super().tell()

    (short / "a").write_bytes(bytes(70_000))
    moved: list[int] = []
    with Busy(short / "a") as source:
        source.seek(4_464)
        done = pour(way, ["wc", "-c"], source, amount=65_536, moved=moved.append)
    assert (done.stdout.strip(), sum(moved)) == (b"65536", 65_536)


def test_a_program_that_reads_no_more_is_no_failure(way: Connection) -> None:
    done = feed(way, ["head", "-c", "3"], [b"abcdef"] * 1_000_000, amount=1 << 30)
    assert (done.exit_code, done.stdout) == (0, b"abc")


def test_what_the_giver_of_the_input_raises_is_raised(way: Connection) -> None:
    def parts():  # type: ignore[no-untyped-def]
        yield b"a"
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        feed(way, ["cat"], parts(), amount=1 << 30)


def test_a_stream_tells_how_it_ended(way: Connection) -> None:
    stream = draw(way, ["sh", "-c", "echo out; exit 3"], amount=1 << 30)
    with pytest.raises(StopIteration) as end:
        while True:
            assert next(stream) == b"out\n"
    assert end.value.value.exit_code == 3


def test_a_cut_in_the_middle_is_a_lost_link(way: Connection, sshd: Sshd) -> None:
    stream = draw(way, ["sh", "-c", "echo out; sleep 30"], amount=1 << 30)
    assert next(stream) == b"out\n"
    sshd.cut()
    with pytest.raises(LinkLost):
        list(stream)


def test_processes_share_one_connection_and_need_not_end_it(target: Target, short: Path) -> None:
    first, second = OpenSsh(target, short / "s"), OpenSsh(target, short / "s")
    assert not first.open
    assert first.usable()
    assert second.open
    assert second.usable()
    with second.start(["sh", "-c", "echo $SSH_CONNECTION"]) as started:
        one = started.own.own(started.output.read())
        started.wait(LONG_S)
    with first.start(["sh", "-c", "echo $SSH_CONNECTION"]) as started:
        assert started.own.own(started.output.read()) == one
        started.wait(LONG_S)
    second.close()
    assert not first.open


ENDED_ONCE = """#!/bin/sh
{ssh} "$@" || exit
case "$*" in *" true") [ -e {there}/once ] && exit; touch {there}/once;; *) exit;; esac
{ssh} -O exit "$@" 2>/dev/null
while [ -e {socket} ]; do sleep 0.01; done
"""


def test_a_connection_that_another_process_ends_when_it_is_taken_is_made_anew(
    target: Target, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = OpenSsh(target, short / "s")
    program = short / "ssh"
    program.write_text(ENDED_ONCE.format(ssh=shutil.which("ssh"), there=short, socket=way._socket))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(short), prepend=":")
    assert way.usable(), way.problem
    assert (short / "once").exists()
    way.close()


def test_a_host_key_that_is_not_known_is_not_taken(
    target: Target, sshd: Sshd, tmp_path: Path, short: Path
) -> None:
    (tmp_path / "none").touch()
    stranger = Target("127.0.0.1", sshd.user, sshd.port, sshd.base / "key", tmp_path / "none")
    way = OpenSsh(stranger, short / "s")
    assert not way.usable()
    assert "Host key verification failed" in (way.problem or "")


def test_a_directory_that_others_can_write_is_not_used(target: Target, short: Path) -> None:
    (short / "s").mkdir(mode=0o777)
    (short / "s").chmod(0o777)
    way = OpenSsh(target, short / "s")
    assert not way.usable()
    assert "other users can use" in (way.problem or "")


def test_a_directory_with_a_long_name_is_not_used(target: Target, tmp_path: Path) -> None:
    way = OpenSsh(target, tmp_path / ("x" * 100))
    assert not way.usable()
    assert "too long for a socket" in (way.problem or "")


def test_where_ssh_does_not_serve_our_own_connection_does(loop: Connection) -> None:
    without_openssh(OpenSsh.of(loop.target))
    done = feed(loop, ["cat"], [b"a"], amount=1 << 30)
    assert done.stdout == b"a"
