"""Texts that may explain a failure on a host: run folder, carrier, disk, memory, GPUs, kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.backends import facts
from cosmos_pipelines.backends.ssh.folder import HostFolder
from cosmos_pipelines.errors import BackendError, Unreachable

ASK_S: Final = 8.0
"""Seconds for one program on the host."""


def examine(host: HostFolder, order_id: str | None) -> dict[str, str]:
    """Return texts by file name; also of an order, if given. A lost connection ends the list."""
    before = "".join(f"{line}\n" for line in host.connection.recent)
    ask = _Asking(host)
    found = {"ssh.txt": before} | facts.answers(ask, host.remote_dir)
    name = None if order_id is None else host.carrier.name_of(order_id)
    found |= {file: ask(argv) for file, argv in host.carrier.facts(name).items()}
    if order_id is not None:
        for record in facts.RECORDS:
            if text := ask(
                ["tail", "-c", str(facts.LONGEST), "--", f"{host.path(order_id)}/{record}"],
                quiet=True,
            ):
                found[f"folder/{record}"] = text
    return found


class _Asking:
    """Runs a program on a host; returns the output, or a sentence why there is none."""

    def __init__(self, host: HostFolder) -> None:
        self._host = host
        self._lost: str | None = None

    def __call__(self, argv: Sequence[str], *, quiet: bool = False) -> str:
        if self._lost is not None:
            return "" if quiet else f"Not asked: {self._lost}\n"
        try:
            done = self._host.connection.run(argv, timeout_s=ASK_S)
        except BackendError as e:
            if isinstance(e, Unreachable):
                self._lost = e.message
            return "" if quiet else f"No answer: {e.message}\n"
        if quiet and done.exit_code != 0:
            return ""
        texts = [done.stdout, *([done.stderr] if done.exit_code or not done.stdout else [])]
        return b"".join(texts).decode(errors="replace")
