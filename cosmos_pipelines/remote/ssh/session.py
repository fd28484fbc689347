"""One program over an SSH channel: what goes in, what comes out, how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from cosmos_pipelines.errors import BackendError, LinkLost
from cosmos_pipelines.remote.ssh.link import Link

if TYPE_CHECKING:
    import paramiko

CHUNK: Final = 256 << 10
PACKET: Final = 32 << 10
MOST: Final = 256 << 20
"""Bytes of an answer; files come another way."""
MOST_SAID: Final = 1 << 20
"""Bytes of standard error that are kept, the last ones."""
LOOK_S: Final = 0.2
"""Between two looks at standard error while standard output is silent."""


class Session:
    """A channel of a link; `words` name the program in errors."""

    def __init__(self, link: Link, channel: paramiko.Channel, words: str) -> None:
        self.channel = channel
        self.stderr = bytearray()
        self._link = link
        self._words = words
        self._until = 0.0
        self._failure: BaseException | None = None

    def start(self, command: str) -> None:
        """Have the host's shell read this line.

        Raises:
            LinkLost: no answer.
        """
        from paramiko import SSHException

        try:
            self.channel.exec_command(command)
        except (SSHException, EOFError, OSError):
            raise self.lost() from None

    def chunks(self, beat_s: float) -> Iterator[bytes]:
        """Standard output as it comes; `b""` after `beat_s` of silence; ends with the program."""
        self.channel.settimeout(beat_s)
        while True:
            try:
                data = self.channel.recv(CHUNK)
            except TimeoutError:
                self._drain()
                yield b""
                continue
            self._drain()
            if not data:
                break
            yield data
        while not self.channel.status_event.wait(beat_s):
            yield b""
        self._drain()

    def exchange(self, given: bytes | Iterable[bytes] | None, timeout_s: float) -> bytes:
        """Send the input and read all standard output at the same time.

        Raises:
            LinkLost: neither was input taken nor did the program end for `timeout_s`.
        """
        self._until = time.monotonic() + timeout_s
        self.channel.settimeout(LOOK_S)
        sender = None
        if given is None:
            self.channel.shutdown_write()
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
                raise BackendError(
                    "launch_failed",
                    f"{self._link.host}: `{self._words}` printed more than {MOST >> 20} MiB.",
                )
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
        """The program's exit code.

        Raises:
            LinkLost: there is none, or some of the output is missing. A lost connection looks like
                an orderly end otherwise: sshd tells the exit code as soon as it knows it, while
                output is still on its way; the end of the output is told by itself.
        """
        if self.channel.exit_status < 0 or not self.channel.eof_received:
            raise self.lost()
        return self.channel.exit_status

    def check(self) -> None:
        """Raise LinkLost if the connection is not alive any more."""
        if not self._link.alive:
            raise self.lost()

    def lost(self) -> LinkLost:
        """The error that says so."""
        host = self._link.host
        return LinkLost(host, f"The connection to {host} was lost during `{self._words}`.")

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()

    def _drain(self) -> None:
        while self.channel.recv_stderr_ready():
            self.stderr += self.channel.recv_stderr(CHUNK)
            del self.stderr[:-MOST_SAID]

    def _send(self, parts: Iterable[bytes], timeout_s: float) -> None:
        """Feed standard input until the program takes no more, which is no failure."""
        try:
            for part in parts:
                if not self._feed(part, timeout_s):
                    return
            self._feed(None, timeout_s)
        except BaseException as e:  # noqa: BLE001 - raised by `exchange`
            self._failure = e

    def _feed(self, part: bytes | None, timeout_s: float) -> bool:
        """Send one part (None: the end); False if the channel is closed, whyever."""
        from paramiko import SSHException

        left = memoryview(part or b"")
        try:
            while left:
                try:
                    left = left[self.channel.send(bytes(left[:PACKET])) :]
                except TimeoutError:  # it reads slowly; `exchange` knows for how long
                    continue
                self._until = time.monotonic() + timeout_s
            if part is None:
                self.channel.shutdown_write()
        except (SSHException, EOFError, OSError):
            return False
        return True
