"""One program over an SSH channel: its input, its output, its exit code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import BackendError, LinkLost
from cosmos_pipelines.remote.ssh.link import Link
from cosmos_pipelines.remote.ssh.shell import Call, Output, not_run, too_noisy

if TYPE_CHECKING:
    import paramiko

CHUNK: Final = 256 << 10
PACKET: Final = 32 << 10
MOST: Final = 64 << 20
"""Bytes of an answer; files come another way. The largest has an order and its records."""
MOST_SAID: Final = 1 << 20
"""Bytes of standard error that are kept, the last ones."""
LOOK_S: Final = 0.2
"""Seconds between two reads of standard error while standard output is silent."""


def printed_too_much(host: str, words: str) -> BackendError:
    """Return the error for an answer of more than `MOST` bytes."""
    return BackendError("launch_failed", f"{host}: `{words}` printed more than {MOST >> 20} MiB.")


class Session:
    """A channel of a link; `words`: the program's name in error messages."""

    def __init__(self, link: Link, channel: paramiko.Channel, words: str) -> None:
        self.channel = channel
        self.stderr = bytearray()
        self._out = self._err = Output(b"")
        self._link = link
        self._words = words
        self._until = 0.0
        self._failure: BaseException | None = None

    @property
    def noise(self) -> bytes:
        """What the login shell printed before the program."""
        return self._out.noise + self._err.noise

    def start(self, command: Call) -> None:
        """Let the login shell run this command.

        Raises:
            LinkLost: the host does not answer.
        """
        from paramiko import SSHException

        try:
            self.channel.exec_command(command.line)
        except (SSHException, EOFError, OSError):
            raise self.lost() from None
        self._out, self._err = Output(command.out_mark), Output(command.err_mark)

    def chunks(self, beat_s: float) -> Iterator[bytes]:
        """Yield standard output until the program ends; `b""` after `beat_s` of silence.

        Raises:
            LinkLost: the connection ended while output came.
            ShellFailed: the login shell prints without end before the program.
        """
        self.channel.settimeout(beat_s)
        while True:
            try:
                data = self._received(self.channel.recv)
            except TimeoutError:
                self._drain()
                yield b""
                continue
            self._drain()
            if not data:
                break
            if own := self._out.own(data):
                yield own
            elif self._out.too_noisy():
                raise too_noisy(self._link.host, self._user)
        while not self.channel.status_event.wait(beat_s):
            yield b""
        self._drain()
        if self._out.begun and not self._err.begun:
            self.stderr += self._err.all()

    def exchange(self, given: bytes | Iterable[bytes] | None, timeout_s: float) -> bytes:
        """Send the input and read all standard output at the same time.

        Raises:
            LinkLost: for `timeout_s` the program took no input and did not end.
        """
        self._until = time.monotonic() + timeout_s
        self.channel.settimeout(LOOK_S)
        sender = None
        if given is None:
            self._end_of_input()
        else:
            parts = [given] if isinstance(given, bytes) else given
            sender = threading.Thread(
                target=self._send, args=(parts, timeout_s), name="ssh-send", daemon=True
            )
            sender.start()
        out = bytearray()
        for chunk in self.chunks(LOOK_S):
            out += chunk
            if len(out) > MOST:
                raise printed_too_much(self._link.host, self._words)
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > self._until:
                raise LinkLost(
                    self._link.host,
                    f"{self._link.host}: `{self._words}` did not end within {timeout_s:g} s.",
                )
        if sender is not None:
            sender.join()
        if self._failure is not None:
            raise self._failure
        return bytes(out)

    def exit_code(self) -> int:
        """Return the program's exit code.

        Raises:
            LinkLost: there is no exit code, or some output is missing: sshd sends the exit code as
                soon as it is known, while output is still on its way, and the end of the output
                separately. Without this check a lost connection looks like a normal end.
            ShellFailed: the login shell ended without starting the program.
        """
        if self.channel.exit_status < 0 or not self.channel.eof_received:
            raise self.lost()
        if not self._out.begun:
            printed = self._out.noise + self._err.noise
            raise not_run(self._link.host, self._user, self.channel.exit_status, printed)
        return self.channel.exit_status

    def check(self) -> None:
        """Raise LinkLost if the connection is not alive any more."""
        if not self._link.alive:
            raise self.lost()

    def lost(self) -> LinkLost:
        """Return the error for a lost connection."""
        host, why = self._link.host, self._link.why()
        end = f": {why}." if why else "."
        return LinkLost(host, f"The connection to {host} was lost during `{self._words}`{end}")

    def close(self) -> None:
        """Close the channel."""
        from paramiko import SSHException

        with suppress(SSHException, EOFError, OSError):  # the connection is gone, and it with it
            self.channel.close()

    def _received(self, receive: Callable[[int], bytes]) -> bytes:
        """What there is. paramiko answers with what may come next, which a dead link refuses."""
        from paramiko import SSHException

        try:
            return receive(CHUNK)
        except TimeoutError:
            raise
        except (SSHException, EOFError, OSError):
            raise self.lost() from None

    def _end_of_input(self) -> None:
        from paramiko import SSHException

        try:
            self.channel.shutdown_write()
        except (SSHException, EOFError, OSError):
            raise self.lost() from None

    @property
    def _user(self) -> str:
        return self._link.hops[-1].user

    def _drain(self) -> None:
        while self.channel.recv_stderr_ready():
            self.stderr += self._err.own(self._received(self.channel.recv_stderr))
            if self._err.too_noisy():
                if not self._out.begun:
                    raise too_noisy(self._link.host, self._user)
                self.stderr += self._err.all()
            del self.stderr[:-MOST_SAID]

    def _send(self, parts: Iterable[bytes], timeout_s: float) -> None:
        """Send the input until the program takes no more, which is not an error."""
        try:
            for part in parts:
                if not self._feed(part, timeout_s):
                    return
            self._feed(None, timeout_s)
        except BaseException as e:  # noqa: BLE001 - raised by `exchange`
            self._failure = e

    def _feed(self, part: bytes | None, timeout_s: float) -> bool:
        """Send one part (None: the end); return False if the channel is closed."""
        from paramiko import SSHException

        rest = memoryview(part or b"")
        try:
            while rest:
                try:
                    rest = rest[self.channel.send(bytes(rest[:PACKET])) :]
                except TimeoutError:  # the program reads slowly; `exchange` checks the time
                    continue
                self._until = time.monotonic() + timeout_s
            if part is None:
                self.channel.shutdown_write()
        except (SSHException, EOFError, OSError):
            return False
        return True
