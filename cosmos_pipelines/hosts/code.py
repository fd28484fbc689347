"""Install a model's code on a GPU host: keep it, fetch it there, or copy it from this machine.

New code is written beside the old code, which is kept until the new code has taken its name.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.ssh.folder import LOOK_S
from cosmos_pipelines.errors import BackendError, InputError, StateError
from cosmos_pipelines.foreign import absolute
from cosmos_pipelines.hosts import code_tar
from cosmos_pipelines.hosts import setup_script as host_setup_script
from cosmos_pipelines.hosts.arrive import Arrived, EngineOnHost
from cosmos_pipelines.hosts.lines import stream_lines
from cosmos_pipelines.remote.docker.problems import parse_problem
from cosmos_pipelines.remote.ssh.streams import feed

COPY_S: Final = 300.0
"""Seconds that the host may take to write the last files."""
CODE_BYTES: Final = 128 << 20
"""The usual size of a model's code; decides how the code is sent."""


def has_own_code(target: EngineOnHost) -> bool:
    """Whether the code is the user's own directory, which a set-up never writes."""
    return target.directories["code"] != f"engines/{target.engine}/code"


def have_code(target: EngineOnHost, arrived: Arrived, source: Path | None) -> str:
    """Install the code on the host; return its commit, or the name of its content.

    Raises:
        StateError: containers use the code that would be replaced.
        BackendError: the code cannot be fetched, copied or used.
        InputError: `source` cannot be used.
    """
    wanted = target.setup.commit
    if has_own_code(target):
        return _own_code(target, arrived, source)
    source = absolute(source) if source is not None else None
    if source is not None and not source.is_dir():
        raise InputError(f"{source} is not a directory.")
    another = source is not None and not code_tar.has_commit(source, wanted)
    if arrived.commit == wanted and not arrived.changed and not another:
        target.tell(f"code: {wanted[:12]} is there, unchanged.")
        return wanted
    if arrived.code:
        why = f"changed: {arrived.changed}" if arrived.changed else arrived.commit[:12]
        target.tell(f"code: the installed code ({why or 'no commit'}) will be replaced.")
        _refuse_in_use(target)
    return _clone(target, arrived.root) if source is None else _copy(target, arrived.root, source)


def _own_code(target: EngineOnHost, arrived: Arrived, source: Path | None) -> str:
    where = f"{target.directories['code']} on {target.host.host}"
    if source is not None:
        raise InputError(
            f"The code of {target.engine} is your own directory, {where}.",
            hint=f"Remove `code` from [{target.engine}] in cosmos.toml to copy the code.",
        )
    if arrived.code is None:
        raise BackendError(
            "launch_failed",
            f"There is no directory {where}.",
            hint=f"Put the code there, or remove `code` from [{target.engine}] in cosmos.toml.",
        )
    commit = arrived.commit[:12] or "no known commit"
    target.tell(f"code: your directory {arrived.code}, at {commit}.")
    if arrived.commit != target.setup.commit or arrived.changed:
        target.tell(f"warning: the code is not at {target.setup.commit[:12]}, the tested commit.")
    return arrived.commit or code_tar.UNVERIFIED


def _refuse_in_use(target: EngineOnHost) -> None:
    """Raise StateError if containers use the code; the script that replaces it checks again."""
    done = target.host.connection.run(host_setup_script.users(target.engine), timeout_s=LOOK_S)
    if done.exit_code != 0:
        raise _docker_error(target, done.stderr.decode(errors="replace"))
    words = [line.partition(" ") for line in done.stdout.decode(errors="replace").splitlines()]
    using = [name for name, _, operation in words if name and operation != "checkpoints"]
    if using:
        raise _in_use_error(target, using)


def _in_use_error(target: EngineOnHost, using: Sequence[str]) -> StateError:
    return StateError(
        f"The code of {target.engine} on {target.host.host} is used by {', '.join(using)}.",
        hint="Wait for these containers, or stop them: see `cosmos status`.",
    )


def _docker_error(target: EngineOnHost, stderr: str) -> BackendError:
    return parse_problem(stderr).error(target.host.host)


def _check_replaced(target: EngineOnHost, code: int, stderr: str) -> None:
    """Raise the error if a script ended because the old code could not be replaced."""
    if code == host_setup_script.IN_USE:
        raise _in_use_error(target, stderr.split())
    if code == host_setup_script.NO_DOCKER:
        raise _docker_error(target, stderr)


def _clone(target: EngineOnHost, root: str) -> str:
    url, commit = target.setup.repository, target.setup.commit
    target.tell(f"code: fetching {commit[:12]} of {url} ...")
    argv = host_setup_script.clone(root, target.engine, url, commit, uuid.uuid4().hex)
    code, last = stream_lines(target.host.connection, argv, target.tell)
    if code == 0:
        target.tell(f"code: {commit[:12]} is there.")
        return commit
    _check_replaced(target, code, last)
    hint = f"Or copy your own checkout: `cosmos host setup {target.engine} --from DIR`."
    why = f"the code cannot be written: {last or f'exit code {code}'}"
    if code == host_setup_script.NO_GIT:
        why, hint = "git is not installed", f"Run `sudo apt-get install git` there. {hint}"
    elif code in (host_setup_script.NO_COMMIT, host_setup_script.WRONG):
        why = f"the commit {commit[:12]} cannot be fetched from {url}: {last}"
    raise BackendError("launch_failed", f"On {target.host.host} {why.rstrip('.')}.", hint=hint)


def _copy(target: EngineOnHost, root: str, source: Path) -> str:
    """Send a commit of a repository, or a directory, whose content cannot be verified."""
    commit, token = target.setup.commit, uuid.uuid4().hex
    parts: Iterator[bytes]
    if code_tar.has_commit(source, commit):
        target.tell(f"code: sending {commit[:12]} of {source} ...")
        parts = code_tar.commit_tar(source, commit, token)
        if (source / ".gitmodules").exists():
            target.tell(f"warning: the submodules of {source} are not sent.")
    else:
        target.tell(
            f"warning: {source} has no commit {commit[:12]}: the directory is sent as it is, "
            "and its commit cannot be verified."
        )
        parts = code_tar.directory_tar(source, token)
    argv = host_setup_script.take(root, target.engine, token)
    done = feed(target.host.connection, argv, parts, amount=CODE_BYTES, end_s=COPY_S)
    stderr = done.stderr.decode(errors="replace").strip()
    _check_replaced(target, done.exit_code, stderr.rpartition("\n")[2])
    if done.exit_code == host_setup_script.WRONG:
        raise BackendError(
            "launch_failed",
            f"The copy to {target.host.host} ended early; the code on the host is unchanged.",
            hint="Start the command again.",
        )
    sent = target.host.answered(done).part("commit").strip()
    target.tell(f"code: {sent[:28]} is there.")
    return sent
