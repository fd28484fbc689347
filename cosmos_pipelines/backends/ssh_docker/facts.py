"""What may explain a failure on a GPU host: container, run folder, disk, memory, GPUs, kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cosmos_pipelines.backends import facts
from cosmos_pipelines.backends.ssh_docker.container import container_name
from cosmos_pipelines.backends.ssh_docker.folder import HostFolder
from cosmos_pipelines.errors import BackendError, Unreachable
from cosmos_pipelines.remote.docker import commands as docker

ASK_S: Final = 8.0
"""For one program there."""
LAST_LINES: Final = 200


def examine(host: HostFolder, order_id: str | None) -> dict[str, str]:
    """Texts by file name; of an order, if given. After a lost connection nothing more is asked."""
    before = "".join(f"{line}\n" for line in host.connection.recent)
    ask = _Asking(host)
    found = {"ssh.txt": before} | facts.told(ask, host.remote_dir)
    found["docker.json"] = ask(docker.info_argv())
    if order_id is not None:
        name = container_name(order_id)
        found["container.json"] = ask(docker.inspect_argv(name))
        found["container_log.txt"] = ask(docker.logs_argv(name, tail=LAST_LINES))
        for record in facts.RECORDS:
            if text := ask(
                ["tail", "-c", str(facts.LONGEST), "--", f"{host.path(order_id)}/{record}"],
                quiet=True,
            ):
                found[f"folder/{record}"] = text
    return found


class _Asking:
    """Asks a host; what it does not answer is told in words."""

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
            return "" if quiet else f"Could not be had: {e.message}\n"
        if quiet and done.exit_code != 0:
            return ""
        texts = [done.stdout, *([done.stderr] if done.exit_code or not done.stdout else [])]
        return b"".join(texts).decode(errors="replace")
