"""Programs and files over a connection to a real sshd."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cosmos_pipelines.errors import LinkLost, Refused
from cosmos_pipelines.remote.ssh.connection import Completed, Connection, Target
from cosmos_pipelines.remote.ssh.session import MOST_SAID
from tests.rig.host import Host, until
from tests.support.waiting import LONG_S

NASTY = [
    "", " ", "two words", "it's", '"quoted"', "line\nbreak", "$(reboot)", "`reboot`", "$HOME",
    "a;b && c | d > e", "*", "~", "\\", "\t", "雨の東京、ネオン", "-n", "--", "\x01\x7f", "é" * 500,
]  # fmt: skip


def sh(connection: Connection, script: str, timeout_s: float = LONG_S) -> Completed:
    return connection.run(["sh", "-c", script], timeout_s=timeout_s)


def test_words_arrive_exactly_as_they_were_given(connection: Connection) -> None:
    done = connection.run(["printf", r"%s\0", *NASTY], timeout_s=LONG_S)
    assert done.stdout.split(b"\0")[:-1] == [word.encode() for word in NASTY]


def test_the_environment_arrives_exactly_as_it_was_given(connection: Connection) -> None:
    env = {f"COSMOS_{n}": word for n, word in enumerate(NASTY)}
    done = connection.run(["env", "-0"], timeout_s=LONG_S, env=env)
    there = dict(pair.split(b"=", 1) for pair in done.stdout.split(b"\0") if pair)
    assert {k: there[k.encode()].decode() for k in env} == env


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_codes_come_back(connection: Connection, code: int) -> None:
    assert sh(connection, f"exit {code}").exit_code == code


def test_a_program_that_does_not_exist_or_is_killed_has_an_exit_code_too(
    connection: Connection,
) -> None:
    missing = connection.run(["no-such-program"], timeout_s=LONG_S)
    assert missing.exit_code == 127 and b"no-such-program" in missing.stderr
    assert sh(connection, "kill -9 $$").exit_code == 137


def test_standard_error_stays_apart(connection: Connection) -> None:
    done = sh(connection, "echo out; echo err >&2; echo out; exit 3")
    assert done == Completed(3, b"out\nout\n", b"err\n")


def test_binary_data_is_unharmed_both_ways(connection: Connection) -> None:
    data = os.urandom(1 << 20)
    done = connection.run(["cat"], timeout_s=LONG_S, input=data)
    assert done.stdout == data
    done = connection.run(["sh", "-c", "cat >&2"], timeout_s=LONG_S, input=data)
    assert (done.stdout, done.stderr) == (b"", data)


def test_input_can_come_in_parts_while_output_goes_on(connection: Connection) -> None:
    parts = [os.urandom(100_000) for _ in range(80)]
    done = connection.run(["tee", "/dev/stderr"], timeout_s=LONG_S, input=iter(parts))
    sent = b"".join(parts)
    assert done.stdout == sent
    assert done.stderr == sent[-MOST_SAID:]


def test_a_program_that_does_not_read_its_input_ends_in_order(connection: Connection) -> None:
    done = connection.run(
        ["sh", "-c", "echo enough; exit 7"], timeout_s=LONG_S, input=b"x" * 8_000_000
    )
    assert (done.exit_code, done.stdout) == (7, b"enough\n")


def test_a_failure_of_the_input_is_raised_here(connection: Connection) -> None:
    def parts() -> Iterator[bytes]:
        yield b"x"
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        connection.run(["cat"], timeout_s=LONG_S, input=parts())
    assert sh(connection, "true").exit_code == 0


def test_what_takes_too_long_is_given_up_in_time(connection: Connection) -> None:
    connection.open()
    with pytest.raises(LinkLost, match=r"`sleep 600` did not end within 0\.5 s") as caught:
        connection.run(["sleep", "600"], timeout_s=0.5)
    assert caught.value.kind == "unreachable"
    assert sh(connection, "true").exit_code == 0


def test_secrets_stay_out_of_messages(connection: Connection) -> None:
    words = ["sleep", "600", "--token=geheim"]
    connection.open()
    with pytest.raises(LinkLost) as caught:
        connection.run(["sh", "-c", "sleep 600", *words], timeout_s=0.3, env={"KEY": "geheim"})
    assert "geheim" not in str(caught.value)


def test_many_threads_share_one_connection_within_the_session_limit(
    connection: Connection, gpu1: Host
) -> None:
    def one(n: int) -> bytes:
        return sh(connection, f"sleep 0.05; echo {n}").stdout

    def logins() -> int:
        return (gpu1.root / "var/log/sshd.log").read_text().count("Accepted publickey")

    before = logins()
    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(40))) == [b"%d\n" % n for n in range(40)]
    assert logins() == before + 1


def test_long_streams_leave_room_for_short_calls(connection: Connection) -> None:
    streams = [connection.stream(["sh", "-c", f"echo {n}; sleep 600"]) for n in range(12)]
    try:
        begun = [next(chunk for chunk in stream if chunk) for stream in streams]
        assert begun == [b"%d\n" % n for n in range(12)]
        assert sh(connection, "echo yes").stdout == b"yes\n"
    finally:
        for stream in streams:
            stream.close()


def test_a_server_that_allows_few_sessions_is_waited_for(at_gpu1: Target, gpu1: Host) -> None:
    gpu1.console("sh", "-c", "echo MaxSessions 2 >> /opt/rig/sshd_config")
    gpu1.restart_sshd()
    try:
        with Connection(at_gpu1) as connection, ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda n: sh(connection, f"sleep 0.1; echo {n}"), range(8)))
        assert [d.stdout for d in done] == [b"%d\n" % n for n in range(8)]
    finally:
        gpu1.console("sed", "-i", "/MaxSessions/d", "/opt/rig/sshd_config")
        gpu1.restart_sshd()


def test_a_stream_is_pushed_line_by_line(connection: Connection) -> None:
    stream = connection.stream(["sh", "-c", "for n in 1 2 3; do date +%s.%N; sleep 0.2; done"])
    delays = [time.time() - float(chunk) for chunk in stream if chunk]
    assert len(delays) == 3


def test_a_silent_stream_beats_and_ends_with_its_exit_code(connection: Connection) -> None:
    script = "until [ -e beaten ]; do sleep 0.1; done; echo end; echo e >&2; exit 5"
    ended = []

    def follow() -> Iterator[bytes]:
        ended.append((yield from connection.stream(["sh", "-c", script])))

    stream = follow()
    assert [next(stream), next(stream)] == [b"", b""]
    sh(connection, "touch beaten")
    assert b"".join(stream) == b"end\n"
    assert ended == [Completed(5, b"", b"e\n")]


def test_a_stream_of_any_bytes_is_whole(connection: Connection) -> None:
    script = "head -c 3000000 /dev/urandom | tee /tmp/made"
    got = hashlib.sha256()
    for chunk in connection.stream(["sh", "-c", script]):
        got.update(chunk)
    made = sh(connection, "sha256sum < /tmp/made").stdout.split()[0].decode()
    assert got.hexdigest() == made


def test_closing_a_stream_ends_its_program_there(connection: Connection, gpu1: Host) -> None:
    stream = connection.stream(["sleep", "4711"])
    next(stream)
    until(lambda: gpu1.processes("sleep 4711"), "the program")
    stream.close()
    until(lambda: not gpu1.processes("sleep 4711"), "the end of the program")


def test_a_closed_connection_opens_again_when_it_is_used(connection: Connection) -> None:
    assert sh(connection, "echo 1").stdout == b"1\n"
    connection.close()
    assert sh(connection, "echo 2").stdout == b"2\n"


def test_nothing_is_left_running_here_after_close(at_gpu1: Target) -> None:
    before = set(threading.enumerate())
    with Connection(replace(at_gpu1, lost_after_s=3)) as connection:
        sh(connection, "true")
    until(lambda: not (set(threading.enumerate()) - before), "the end of our threads")


def test_a_closed_port_is_told_from_a_host_that_is_gone(connection: Connection, gpu1: Host) -> None:
    gpu1.stop_sshd()
    with pytest.raises(Refused, match="nothing listens on its port 22") as caught:
        connection.open()
    assert (caught.value.kind, caught.value.exit_code) == ("unreachable", 4)
    assert "ssh -v gpu1" in str(caught.value)
