"""Has a model's code on a GPU host: kept, fetched there, or copied from this machine.

A new one is made beside the old one, which is kept until the new one has its name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.ssh_docker.folder import LOOK_S
from cosmos_pipelines.errors import BackendError, InputError, StateError
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.hosts import code_tar
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.arrive import Arrived, Setting
from cosmos_pipelines.hosts.lines import stream_lines
from cosmos_pipelines.remote.docker import answers as docker_answers
from cosmos_pipelines.remote.ssh.streams import feed

COPY_S: Final = 300.0
"""Seconds that the host may take to have written what came."""
CODE_BYTES: Final = 128 << 20
"""About what a model's code has; decides how it is sent."""


def has_own_code(at: Setting) -> bool:
    """Whether the code is a directory of the user's own, which we never write."""
    return at.directories["code"] != f"engines/{at.engine}/code"


def have_code(at: Setting, arrived: Arrived, source: Path | None) -> str:
    """Have the code there; its commit, or what its content is called.

    Raises:
        StateError: containers use the code that would be replaced.
        BackendError: it cannot be had.
        InputError: `source` cannot be used.
    """
    wanted = at.setup.commit
    if has_own_code(at):
        return _own_code(at, arrived, source)
    source = absolute(source) if source is not None else None
    if source is not None and not source.is_dir():
        raise InputError(f"{source} is no directory.")
    another = source is not None and not code_tar.has_commit(source, wanted)
    if arrived.commit == wanted and not arrived.changed and not another:
        at.tell(f"code: {wanted[:12]} is there, unchanged.")
        return wanted
    if arrived.code:
        why = f"changed: {arrived.changed}" if arrived.changed else arrived.commit[:12]
        at.tell(f"code: what is there ({why or 'no commit'}) will be replaced.")
        _refuse_in_use(at)
    return _clone(at, arrived.root) if source is None else _copy(at, arrived.root, source)


def _own_code(at: Setting, arrived: Arrived, source: Path | None) -> str:
    where = f"{at.directories['code']} on {at.host.host}"
    if source is not None:
        raise InputError(
            f"The code of {at.engine} is a directory of yours, {where}.",
            hint=f"Take `code` out of [{at.engine}] in cosmos.toml to have it copied.",
        )
    if arrived.code is None:
        raise BackendError(
            "launch_failed",
            f"There is no directory {where}.",
            hint=f"Put the code there, or take `code` out of [{at.engine}] in cosmos.toml.",
        )
    at.tell(f"code: yours, {arrived.code}, at {arrived.commit[:12] or 'no known commit'}.")
    if arrived.commit != at.setup.commit or arrived.changed:
        at.tell(f"warning: it is not {at.setup.commit[:12]}, which is the one that we know.")
    return arrived.commit or code_tar.UNVERIFIED


def _refuse_in_use(at: Setting) -> None:
    """Before anything is sent; the host looks again when it replaces the code."""
    done = at.host.connection.run(host_setup_script.users(at.engine), timeout_s=LOOK_S)
    if done.exit_code != 0:
        raise _no_docker(at, done.stderr.decode(errors="replace"))
    words = [line.partition(" ") for line in done.stdout.decode(errors="replace").splitlines()]
    using = [name for name, _, operation in words if name and operation != "checkpoints"]
    if using:
        raise _in_use(at, using)


def _in_use(at: Setting, using: Sequence[str]) -> StateError:
    return StateError(
        f"The code of {at.engine} on {at.host.host} is used by {', '.join(using)}.",
        hint="Wait for them, or stop them: see `cosmos status`.",
    )


def _no_docker(at: Setting, said: str) -> BackendError:
    return docker_answers.parse_problem(said).error(at.host.host)


def _check_replaced(at: Setting, code: int, said: str) -> None:
    """Raise why the code that is there was left there, if that is why a script ended."""
    if code == host_setup_script.IN_USE:
        raise _in_use(at, said.split())
    if code == host_setup_script.NO_DOCKER:
        raise _no_docker(at, said)


def _clone(at: Setting, root: str) -> str:
    url, commit = at.setup.repository, at.setup.commit
    at.tell(f"code: fetching {commit[:12]} of {url} ...")
    argv = host_setup_script.clone(root, at.engine, url, commit, uuid.uuid4().hex)
    code, last = stream_lines(at.host.connection, argv, at.tell)
    if code == 0:
        at.tell(f"code: {commit[:12]} is there.")
        return commit
    _check_replaced(at, code, last)
    hint = f"Or copy a checkout of yours: `cosmos host setup {at.engine} --from DIR`."
    why = f"the code cannot be written: {last or f'exit code {code}'}"
    if code == host_setup_script.NO_GIT:
        why, hint = "git is not installed", f"`sudo apt-get install git` there. {hint}"
    elif code in (host_setup_script.NO_COMMIT, host_setup_script.WRONG):
        why = f"the commit {commit[:12]} cannot be had of {url}: {last}"
    raise BackendError("launch_failed", f"On {at.host.host} {why.rstrip('.')}.", hint=hint)


def _copy(at: Setting, root: str, source: Path) -> str:
    """Send a commit of a repository, or a directory as it is, which nobody can vouch for."""
    commit, token = at.setup.commit, uuid.uuid4().hex
    parts: Iterator[bytes]
    if code_tar.has_commit(source, commit):
        at.tell(f"code: sending {commit[:12]} of {source} ...")
        parts = code_tar.commit_tar(source, commit, token)
        if (source / ".gitmodules").exists():
            at.tell("warning: its submodules are not sent.")
    else:
        at.tell(
            f"warning: {source} is no repository that has {commit[:12]}: it is sent as it is, "
            "and its commit cannot be verified."
        )
        parts = code_tar.directory_tar(source, token)
    argv = host_setup_script.take(root, at.engine, token)
    done = feed(at.host.connection, argv, parts, amount=CODE_BYTES, end_s=COPY_S)
    said = done.stderr.decode(errors="replace").strip()
    _check_replaced(at, done.exit_code, said.rpartition("\n")[2])
    if done.exit_code == host_setup_script.WRONG:
        raise BackendError(
            "launch_failed",
            f"The copy to {at.host.host} ended early; the code there is as it was.",
            hint="Start the command again.",
        )
    named = at.host.answered(done).part("commit").strip()
    at.tell(f"code: {named[:28]} is there.")
    return named
