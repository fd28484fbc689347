"""The checks of an engine on a GPU host: code, set-up, checkpoints."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Final

from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.backends.ssh.host_shell import parts
from cosmos_pipelines.doctor.host import HostChecks
from cosmos_pipelines.doctor.image import ImageCheck
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.engines.own_checkpoint import directory_of
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.manifest import Checkpoint, Manifest
from cosmos_pipelines.hosts.records import Smoke, read_set_up, read_sizes

ASK_S: Final = 60.0
"""Seconds for one script that reads the sizes of all checkpoints."""
NAMED: Final = 3
"""Number of files that a finding names."""


class EngineChecks:
    """The checks of one engine; the checks of `host` come before these."""

    def __init__(
        self,
        host: HostChecks,
        image: ImageCheck,
        engine: Engine,
        setup: HostSetup,
        manifest: Callable[[], Manifest],
        option: str = "",
    ) -> None:
        """`manifest` may raise SettingsError.

        `option`: the option that names the host in commands; empty: it is the usual one.
        """
        self._host, self._image = host, image
        self._engine, self._setup = engine, setup
        self._manifest = manifest
        self._places = {d.name: d.source for d in engine.directories()}
        self._set_up = f"cosmos host setup {engine.name}{option}"
        self._download = f"cosmos host checkpoints {engine.name}{option} --download"

    def checks(self) -> list[Check]:
        """Return all checks of the engine, in their order."""
        image, suffix = self._image.check().name, self._image.suffix
        return [
            Check(f"code{suffix}", self.code, ("write access",), "host"),
            Check(f"set-up{suffix}", self.set_up, ("write access", image), "host"),
            Check(f"checkpoints{suffix}", self.checkpoints, ("write access",), "host"),
            *(
                [Check(f"own checkpoint{suffix}", self.own, ("write access",), "host")]
                if self._engine.own_checkpoint()
                else []
            ),
        ]

    def code(self) -> Finding:
        """Whether the code is on the host, at the tested commit."""
        where = self._places["code"]
        answer = self._ask(host_setup_script.code_argv(self._host.remote_dir, where))
        if "code" not in answer:
            return fail(f"there is no directory {where}", self._set_up)
        commit, changed = answer.get("commit", "").strip(), answer.get("changed", "").split()
        if commit != self._setup.commit:
            shown = commit[:12] if len(commit) == 40 else commit
            found = f"{answer['code']} is at {shown or 'no known commit'}"
            return warn(f"{found}, not at {self._setup.commit[:12]}", self._set_up)
        if changed:
            return warn(f"{answer['code']} was changed: {' '.join(changed)}", self._set_up)
        return ok(f"{answer['code']} is at {commit[:12]}")

    def set_up(self) -> Finding:
        """Whether the image on the host is the image that passed the smoke test."""
        argv = host_setup_script.record_argv(self._host.remote_dir, self._engine.name)
        recorded = read_set_up(self._ask(argv).get("record", ""))
        if recorded is None:
            return warn("no set-up of the engine is recorded", self._set_up)
        smoke = recorded.smoke or Smoke()
        if not smoke.passed:
            return fail(f"the smoke test failed: {_why(smoke)}", self._set_up)
        digest = self._image.digest
        if digest and smoke.image_digest != digest:
            return warn("the image on the host is not the tested image", self._set_up)
        return ok(f"the smoke test passed on {str(recorded.recorded_at)[:10]}")

    def checkpoints(self) -> Finding:
        """Whether all checkpoints are on the host, by size; one script reads all sizes."""
        needed = [file for file in self._manifest().files if file.needed]
        asked = "".join(self._line(file) for file in needed).encode()
        # "-" stands for a directory that the engine does not have; no file asks for it.
        roots = [self._places.get(name, "-") for name in ("checkpoints", "huggingface")]
        argv = host_setup_script.sizes_argv(self._host.remote_dir, *roots)
        answer = self._ask(argv, asked)
        sizes = [whole(word) for word in answer.get("sizes", "").split()]
        known = {name: read_sizes(answer.get(name, "")) for name in ("checkpoints", "huggingface")}
        pairs = list(zip(needed, sizes, strict=False))
        bad = [file for file, size in pairs if size is None or not _right(file, size, known)]
        return self._judge(bad, pairs)

    def own(self) -> Finding:
        """Whether the checkpoint that the settings name is on the host."""
        own = self._engine.own_checkpoint()
        directory = directory_of(own).source
        name = own.removeprefix(f"{directory}/") if own != directory else "*"
        argv = host_setup_script.sizes_argv(self._host.remote_dir, "/", "-")
        answer = self._ask(argv, f"checkpoints\t{directory}\t-\t{name}\n".encode())
        size = whole(answer.get("sizes", "").strip())
        if size is None or (name != "*" and size == 0):
            do = f"Set checkpoint in [{self._engine.name}] of cosmos.toml to a path on the host."
            return fail(f"there are no weights at {own}", do)
        return ok(own)

    def _judge(
        self, bad: Sequence[Checkpoint], pairs: Sequence[tuple[Checkpoint, int | None]]
    ) -> Finding:
        if not bad:
            total = sum(size or 0 for _, size in pairs)
            return ok(f"{len(pairs)} of {len(pairs)} files, {total / 1e9:.1f} GB of known size")
        names = _some([f"{file.repo}/{file.path}" for file in bad])
        found = f"{len(bad)} of {len(pairs)} files are missing or incomplete: {names}"
        do = self._download
        # A file that only some controls or operations need may be left out on purpose.
        return fail(found, do) if any(file.always for file in bad) else warn(found, do)

    def _line(self, file: Checkpoint) -> str:
        """Return a line for the host's script: target, directory, branch or -, path or `*`."""
        base, branch, path = file.place
        if "*" in path and not path.endswith("/*"):
            path = "*"
        return "\t".join((file.target, base, branch or "-", path)) + "\n"

    def _ask(self, argv: Sequence[str], given: bytes | None = None) -> dict[str, str]:
        done = self._host.connection.run(argv, timeout_s=ASK_S, input=given)
        return parts(done.stdout)


def _some(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _why(smoke: Smoke) -> str:
    """Return the reason why a smoke test has not passed."""
    if smoke.missing:
        return _some(smoke.missing)
    if smoke.exit_code:
        return host_orders.how_it_ended(smoke.exit_code)
    return "it did not end well"


def _right(file: Checkpoint, size: int, known: dict[str, dict[str, int]]) -> bool:
    """Whether a file has its published or recorded size, or any size if neither is known."""
    base, branch, path = file.place
    if "*" in path:
        return True
    recorded = known[file.target]
    key = posixpath.join(base, path)
    if branch is not None:  # the snapshot's name is not known here
        keys = [k for k in recorded if k.startswith(f"{base}/snapshots/") and k.endswith(path)]
        key = keys[0] if len(keys) == 1 else key
    wanted = file.size or recorded.get(key)
    return size == wanted if wanted is not None else size > 0
