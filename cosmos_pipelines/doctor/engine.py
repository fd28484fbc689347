"""Checks of what an engine needs on a GPU host besides Docker: code, set-up, checkpoints."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Final

from cosmos_pipelines.backends.ssh_docker.folder import Answer
from cosmos_pipelines.backends.ssh_docker.script import parts
from cosmos_pipelines.doctor.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.doctor.host import HostChecks
from cosmos_pipelines.doctor.image import ImageCheck
from cosmos_pipelines.engines import Engine
from cosmos_pipelines.engines.base import HostSetup
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.hosts import orders as host_orders
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.arrive import directories_of
from cosmos_pipelines.hosts.manifest import Checkpoint, Manifest
from cosmos_pipelines.hosts.records import Smoke, read_set_up, read_sizes

ASK_S: Final = 60.0
"""For one look at all checkpoints."""
SIZES: Final = ".cosmos-sizes.json"
"""In each place of checkpoints: sizes as they were when we downloaded."""
NAMED: Final = 3
"""Files that are told by name."""


class EngineChecks:
    """The checks of one engine; `host` has made its own before."""

    def __init__(
        self,
        host: HostChecks,
        image: ImageCheck,
        engine: Engine,
        setup: HostSetup,
        manifest: Callable[[], Manifest],
    ) -> None:
        """`manifest` may raise SettingsError."""
        self._host, self._image = host, image
        self._engine, self._setup = engine, setup
        self._manifest = manifest
        self._places = {d.name: d.source for d in directories_of(engine)}
        self._set_up = f"cosmos host setup {engine.name}"

    def checks(self) -> list[Check]:
        """All of them, in their order."""
        image, suffix = self._image.check().name, self._image.suffix
        return [
            Check(f"code{suffix}", self.code, ("write access",), "host"),
            Check(f"set-up{suffix}", self.set_up, ("write access", image), "host"),
            Check(f"checkpoints{suffix}", self.checkpoints, ("write access",), "host"),
        ]

    def code(self) -> Finding:
        """Whether the code is there, at the commit that we know."""
        where = self._places["code"]
        told = self._ask(host_setup_script.code_argv(self._host.remote_dir, where)).parts
        if "code" not in told:
            return fail(f"{where} is not there", self._set_up)
        commit, changed = told.get("commit", "").strip(), told.get("changed", "").split()
        if commit != self._setup.commit:
            shown = commit[:12] if len(commit) == 40 else commit
            said = f"{told['code']} is at {shown or 'no known commit'}"
            return warn(f"{said}, not at {self._setup.commit[:12]}", self._set_up)
        if changed:
            return warn(f"{told['code']} was changed: {' '.join(changed)}", self._set_up)
        return ok(f"{told['code']} is at {commit[:12]}")

    def set_up(self) -> Finding:
        """Whether the image that is there is the one that was set up and tested."""
        argv = host_setup_script.record_argv(self._host.remote_dir, self._engine.name)
        told = read_set_up(self._ask(argv).parts.get("record", ""))
        if told is None:
            return warn("it was never set up, or not by us", self._set_up)
        smoke = told.smoke or Smoke()
        if not smoke.passed:
            return fail(f"it does not import what it needs: {_why(smoke)}", self._set_up)
        there = self._image.digest
        if there and smoke.image_digest != there:
            return warn("another image was tested than the one that is there", self._set_up)
        return ok(f"the smoke test passed on {str(told.recorded_at)[:10]}")

    def checkpoints(self) -> Finding:
        """Whether they are there, by existence and size: one look for all of them."""
        needed = [one for one in self._manifest().files if one.needed]
        asked = "".join(self._line(one) for one in needed).encode()
        # One that the engine has not is asked for by none of its files.
        roots = [self._places.get(name, "-") for name in ("checkpoints", "huggingface")]
        argv = host_setup_script.sizes_argv(self._host.remote_dir, *roots)
        told = self._ask(argv, asked).parts
        sizes = [whole(word) for word in told.get("sizes", "").split()]
        known = {name: read_sizes(told.get(name, "")) for name in ("checkpoints", "huggingface")}
        pairs = list(zip(needed, sizes, strict=False))
        bad = [one for one, size in pairs if size is None or not _right(one, size, known)]
        return self._judge(bad, pairs)

    def _judge(
        self, bad: Sequence[Checkpoint], pairs: Sequence[tuple[Checkpoint, int | None]]
    ) -> Finding:
        if not bad:
            total = sum(size or 0 for _, size in pairs)
            return ok(f"{len(pairs)} of {len(pairs)} are there, {total / 1e9:.1f} GB of known size")
        names = _some([f"{one.repo}/{one.path}" for one in bad])
        said = f"{len(bad)} of {len(pairs)} are missing or not whole: {names}"
        do = f"cosmos host checkpoints {self._engine.name} --download"
        # What only some controls or operations need may well have been left out.
        return fail(said, do) if any(one.always for one in bad) else warn(said, do)

    def _line(self, one: Checkpoint) -> str:
        """As the host reads it: target, directory, branch or -, path or * for any file."""
        base, branch, path = one.place
        return "\t".join((one.target, base, branch or "-", "*" if "*" in path else path)) + "\n"

    def _ask(self, argv: Sequence[str], given: bytes | None = None) -> Answer:
        done = self._host.connection.run(argv, timeout_s=ASK_S, input=given)
        return Answer(self._host.target.host, parts(done.stdout))


def _some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _why(smoke: Smoke) -> str:
    """Why a smoke test has not passed."""
    if smoke.missing:
        return _some(smoke.missing)
    if smoke.exit_code:
        return host_orders.how_it_ended(smoke.exit_code)
    return "its smoke test has not ended well"


def _right(one: Checkpoint, size: int, known: dict[str, dict[str, int]]) -> bool:
    """Whether a file has its published or its recorded size, or any where neither is known."""
    base, branch, path = one.place
    if "*" in path:
        return True
    recorded = known[one.target]
    key = posixpath.join(base, path)
    if branch is not None:  # the snapshot's name is not known here
        keys = [k for k in recorded if k.startswith(f"{base}/snapshots/") and k.endswith(path)]
        key = keys[0] if len(keys) == 1 else key
    wanted = one.size or recorded.get(key)
    return size == wanted if wanted is not None else size > 0
