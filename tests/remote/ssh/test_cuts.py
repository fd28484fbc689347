"""What happens to a connection when link, sshd or power go: never a silent end, always in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cosmos_pipelines.errors import LinkLost, Unreachable
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.rig.fleet import Fleet
from tests.rig.host import Host, until
from tests.support.waiting import LONG_S

COUNT = 'n=0; while [ $n -lt 60 ]; do n=$((n + 1)); echo "line $n"; sleep 0.15; done'
FOR_EVER = "while :; do date; sleep 0.1; done"


@contextmanager
def after(seconds: float, *acts: object) -> Iterator[None]:
    """Call things one after the other while the body runs."""

    def play() -> None:
        for act in acts:
            if callable(act):
                act()
            else:
                time.sleep(float(str(act)))

    timer = threading.Timer(seconds, play)
    timer.start()
    yield
    timer.join()


def within(limit_s: float, started: float) -> bool:
    """Whether a bound was kept; generous, the machine may be busy: what is cut would last 600 s."""
    return time.monotonic() - started < limit_s


def test_a_cut_of_five_seconds_loses_and_repeats_nothing(
    connection: Connection, gpu1: Host
) -> None:
    with after(1, gpu1.cut, 5, gpu1.mend):
        got = b"".join(connection.stream(["sh", "-c", COUNT]))
    assert got.decode().splitlines() == [f"line {n}" for n in range(1, 61)]


@pytest.mark.parametrize("script", [FOR_EVER, "sleep 600"], ids=["talking", "silent"])
def test_a_link_cut_for_good_in_a_stream_is_lost_in_time(
    impatient: Connection, gpu1: Host, script: str
) -> None:
    stream = impatient.stream(["sh", "-c", script])
    next(stream)
    gpu1.cut()
    started = time.monotonic()
    with pytest.raises(LinkLost, match="was lost during `sh -c`"):
        list(stream)
    assert within(100, started)


def cut_while(host: Host, words: str) -> AbstractContextManager[None]:
    """Cut the link as soon as a program with these words runs there."""
    return after(0, lambda: until(lambda: host.processes(words), "the program"), host.cut)


def test_a_link_cut_for_good_in_a_call_is_lost_in_time(impatient: Connection, gpu1: Host) -> None:
    started = time.monotonic()
    with (
        cut_while(gpu1, "sleep 602"),
        pytest.raises(LinkLost, match="was lost during `sleep 602`"),
    ):
        impatient.run(["sleep", "602"], timeout_s=LONG_S)
    assert within(100, started)


def test_a_link_cut_while_much_is_sent_is_lost_in_time(impatient: Connection, gpu1: Host) -> None:
    parts = (b"x" * 100_000 for _ in iter(int, 1))
    started = time.monotonic()
    with cut_while(gpu1, "cat > /dev/null"), pytest.raises(LinkLost):
        impatient.run(["sh", "-c", "cat > /dev/null"], timeout_s=LONG_S, input=parts)
    assert within(100, started)


def test_no_route_is_unreachable_in_time_and_nothing_was_done(at_gpu1: Target, gpu1: Host) -> None:
    gpu1.cut()
    started = time.monotonic()
    with (
        Connection(replace(at_gpu1, connect_timeout_s=2)) as connection,
        pytest.raises(Unreachable, match=r"gpu1 \(10\.77\.") as caught,
    ):
        connection.run(["true"], timeout_s=LONG_S)
    assert not isinstance(caught.value, LinkLost)
    assert within(100, started)


def test_a_name_that_nobody_knows_is_unreachable(fleet: Fleet) -> None:
    with (
        Connection(Target("gpu.invalid", config_file=fleet.ssh_config)) as connection,
        pytest.raises(Unreachable, match=r"There is no host gpu\.invalid"),
    ):
        connection.open()


def test_a_port_that_does_not_talk_ssh_is_unreachable_in_time(fleet: Fleet, gpu1: Host) -> None:
    silent = "import socket, time; s = socket.create_server(('', 2222)); time.sleep(600)"
    gpu1.console("sh", "-c", f'setsid python3 -c "{silent}" > /dev/null 2>&1 &')
    until(lambda: gpu1.port_open(2222), "the port")
    target = Target("gpu1", port=2222, config_file=fleet.ssh_config, connect_timeout_s=2)
    with Connection(target) as connection, pytest.raises(Unreachable, match="not talk SSH"):
        connection.open()
    gpu1.kill(*gpu1.processes("create_server"))


def test_a_restarted_sshd_ends_streams_as_lost_and_is_reconnected_to(
    connection: Connection, gpu1: Host
) -> None:
    stream = connection.stream(["sh", "-c", FOR_EVER])
    next(stream)
    gpu1.restart_sshd()
    with pytest.raises(LinkLost):
        list(stream)
    assert connection.run(["echo", "back"], timeout_s=LONG_S).stdout == b"back\n"
    until(lambda: not gpu1.processes("while :"), "the end of what was streamed")


def test_an_open_connection_waits_a_moment_for_a_server_that_restarts(
    connection: Connection, gpu1: Host
) -> None:
    assert connection.run(["true"], timeout_s=LONG_S).exit_code == 0
    gpu1.stop_sshd()
    with after(1.0, gpu1.start_sshd):
        assert connection.run(["echo", "back"], timeout_s=LONG_S).stdout == b"back\n"


def test_a_power_cut_is_lost_and_the_booted_host_is_reconnected_to(
    impatient: Connection, gpu1: Host
) -> None:
    stream = impatient.stream(["sh", "-c", FOR_EVER])
    next(stream)
    gpu1.power_off()
    started = time.monotonic()
    with pytest.raises(LinkLost):
        list(stream)
    with pytest.raises(Unreachable):
        impatient.run(["true"], timeout_s=5)
    assert within(100, started)
    gpu1.boot()
    assert impatient.run(["hostname"], timeout_s=LONG_S).stdout == b"gpu1\n"


def test_a_dead_host_behind_a_living_jump_is_lost_in_time(
    fleet: Fleet, gpu1: Host, gpu2: Host, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host gpu2\n  ProxyJump gpu1\n{fleet.ssh_config.read_text()}")
    target = replace(Target("gpu2", config_file=config), connect_timeout_s=20, lost_after_s=4)
    with Connection(target) as connection:
        stream = connection.stream(["sh", "-c", "sleep 600"])
        next(stream)
        gpu2.cut()
        started = time.monotonic()
        with pytest.raises(LinkLost):
            list(stream)
        assert within(100, started)
        gpu2.mend()
        assert connection.run(["hostname"], timeout_s=LONG_S).stdout == b"gpu2\n"


def test_a_slow_link_is_not_taken_for_a_dead_one(impatient: Connection, gpu1: Host) -> None:
    impatient.open()
    gpu1.slow("4mbit")
    data = b"x" * 3_000_000
    assert impatient.run(["wc", "-c"], timeout_s=LONG_S, input=data).stdout == b"3000000\n"
    assert len(b"".join(impatient.stream(["head", "-c", "3000000", "/dev/zero"]))) == 3_000_000
