"""A server that takes no login at the moment, and one that is no SSH server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from cosmos_pipelines.errors import LinkLost, Unreachable
from cosmos_pipelines.remote.ssh.connection import Connection, Target
from tests.support.sshd import PROGRAM, Sshd, running_sshd
from tests.support.strangers import stranger
from tests.support.waiting import LONG_S


@pytest.fixture
def narrow() -> Iterator[Sshd]:
    """A real server that drops whoever comes while one other has not logged in."""
    if not PROGRAM.exists():
        pytest.skip("no sshd (Debian: apt-get install openssh-server)")
    with running_sshd(lambda _: "MaxStartups 1\n") as sshd:
        yield sshd


def test_a_server_with_too_many_logins_is_tried_again_until_it_has_room(narrow: Sshd) -> None:
    target = Target("loop", config_file=narrow.config, connect_timeout_s=LONG_S)
    with stranger("127.0.0.1", narrow.port) as link, Connection(target) as connection:
        leaving = threading.Timer(1, link.close)
        leaving.start()
        assert connection.run(["echo", "in"], timeout_s=LONG_S).stdout == b"in\n"
        leaving.join()


def test_the_words_of_a_server_without_room_are_told(narrow: Sshd) -> None:
    target = Target("loop", config_file=narrow.config, connect_timeout_s=3)
    says = "takes no login at the moment; it says 'Exceeded MaxStartups'"
    with (
        stranger("127.0.0.1", narrow.port),
        Connection(target) as connection,
        pytest.raises(Unreachable, match=says),
    ):
        connection.open()


def test_short_calls_find_room_beside_streams_that_take_all_sessions_of_a_connection() -> None:
    with running_sshd(lambda _: "MaxSessions 1\n") as sshd:
        target = Target("loop", config_file=sshd.config)
        with Connection(target) as connection:
            streams = [connection.stream(["sh", "-c", f"echo {n}; sleep 600"]) for n in range(2)]
            begun = [next(chunk for chunk in stream if chunk) for stream in streams]
            assert begun == [b"0\n", b"1\n"]
            for _ in range(2):
                assert connection.run(["echo", "in"], timeout_s=LONG_S).stdout == b"in\n"
            for stream in streams:
                stream.close()


def test_a_server_that_often_answers_too_late_is_not_left_with_sessions_of_nobody() -> None:
    """It opens a session for each call that was given up; ten are its limit."""
    with running_sshd(lambda _: "MaxSessions 3\n") as sshd:
        target = Target("loop", config_file=sshd.config)
        with Connection(target) as connection:
            connection.open()
            for _ in range(5):
                servers = psutil.Process(sshd.pid).children()
                for server in servers:
                    with suppress(psutil.NoSuchProcess):  # that of a link which was given up
                        server.suspend()
                with pytest.raises(LinkLost):
                    connection.run(["true"], timeout_s=0.5)
                for server in servers:
                    with suppress(psutil.NoSuchProcess):
                        server.resume()
                assert connection.run(["echo", "in"], timeout_s=LONG_S).stdout == b"in\n"


@pytest.mark.parametrize(
    ("words", "message", "connections"),
    [
        (b"Not allowed at this time\r\n", "it says 'Not allowed at this time'", 2),
        (b"", "hangs up before it says that it is an SSH server", 2),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not talk SSH: it says 'HTTP/1.1 400", 1),
        (b"\x1b[2Jfor friends only\r\n", r"not talk SSH: it says '\\x1b\[2Jfor friends", 1),
    ],
)
def test_a_server_that_hangs_up_is_tried_again_only_if_that_may_help(
    tmp_path: Path, words: bytes, message: str, connections: int
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        came = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    link, _ = server.accept()
                    came.append(link)
                    link.sendall(words)
                    link.shutdown(socket.SHUT_WR)
                    link.recv(100)
                    link.close()

        stack.callback(server.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=serve, daemon=True).start()
        config = tmp_path / "config"
        config.write_text(f"Host loop\n HostName 127.0.0.1\n Port {server.getsockname()[1]}\n")
        target = Target("loop", config_file=config, connect_timeout_s=3)
        with Connection(target) as connection, pytest.raises(Unreachable, match=message):
            connection.open()
        assert min(len(came), 2) == connections
