"""Read the output of a program on a host line by line."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from cosmos_pipelines.lines import Lines, plain
from cosmos_pipelines.remote.ssh.connection import Completed, Connection


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, each when complete, without colours and without empty lines."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    lines = Lines()
    for chunk in chunks:
        ended = (plain(line) for line in lines.add(decoder.decode(chunk)))
        yield from filter(str.strip, ended)
    if (rest := lines.rest()).strip():
        yield plain(rest)


def stream_lines(
    connection: Connection, argv: list[str], tell: Callable[[str], None]
) -> tuple[int, str]:
    """Run a program and pass its lines to `tell`; return its exit code and its last line.

    Raises:
        LinkLost: the connection broke, and the program ended with it.
    """
    last = ""
    ended: list[Completed] = []

    def chunks() -> Iterator[bytes]:
        with closing(connection.stream(argv)) as stream:
            while True:
                try:
                    yield next(stream)
                except StopIteration as end:
                    ended.append(end.value)
                    return

    for line in lines_of(chunks()):
        last = line.strip()
        tell(line.rstrip())
    return ended[0].exit_code, last
