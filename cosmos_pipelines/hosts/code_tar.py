"""A model's code of this machine as a tar for a GPU host: a commit, or a directory as it is.

Shell and Python files get Unix line ends, so that a checkout made on Windows breaks nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cosmos_pipelines.backends.tar_bundle import with_lf
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.hosts.setup_script import COMMIT, SUMS, UNSUMMED, WHOLE

UNVERIFIED: Final = "unverified"
TEXTS: Final = (".sh", ".py")
LEFT_OUT: Final = frozenset({".git", ".venv", "__pycache__", "node_modules", ".DS_Store"})
OURS: Final = frozenset({COMMIT, SUMS})
"""What we write on top of a copy; a copy of a copy has them of its source."""
LEFT_OUT_ON_TOP: Final = frozenset({"checkpoints", "outputs"}) | OURS
"""Weights and results: a checkout that was used holds hundreds of GB of them."""
AS_COMMITTED: Final = (
    *("-c", "core.autocrlf=false", "-c", "core.eol=lf"),
    *("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"),
)
"""Whatever this machine's git is set to: no other line ends, no large files of samples."""
CHUNK: Final = 1 << 20


def has_commit(source: Path, commit: str) -> bool:
    """Whether a directory is the top of a git repository that has this commit."""
    if not (source / ".git").exists():
        return False
    argv = ["git", "-C", str(source), "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def commit_tar(source: Path, commit: str, token: str) -> Iterator[bytes]:
    """The files of a commit; `token` names the last member, which says that all has come.

    Raises:
        InputError: git cannot make it, or something in it cannot be sent.
    """
    argv = ["git", *AS_COMMITTED, "-C", str(source), "archive", "--format=tar", commit]
    made, cut = _Tar(), ""
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=words) as git,
    ):
        assert git.stdout is not None
        try:
            with tarfile.open(
                fileobj=git.stdout, mode="r|", encoding="utf-8", errors="surrogateescape"
            ) as given:
                for member in given:
                    if member.name not in OURS:
                        content = given.extractfile(member) if member.isreg() else None
                        yield from made.add(member, content)
            git.stdout.read()  # what fills its last block: it must not find the pipe closed
        except tarfile.TarError as e:
            cut = str(e)
        git.stdout.close()
        if git.wait() != 0 or cut:
            words.seek(0)
            said = " ".join(words.read().decode(errors="replace").split()) or cut
            raise InputError(f"git cannot archive {commit[:12]} of {source}: {said}")
    yield from made.finish(commit, token)


def directory_tar(source: Path, token: str) -> Iterator[bytes]:
    """The files of a directory; it is called by their content. `token`: see `commit_tar`.

    Raises:
        InputError: one cannot be read, or cannot be sent.
    """
    made = _Tar()
    for path in _walk(source):
        name = path.relative_to(source).as_posix()
        try:
            member = _member(path, name)
            if member is None:
                continue
            if not member.isreg():
                yield from made.add(member, None)
                continue
            with path.open("rb") as content:
                yield from made.add(member, content)
        except OSError as e:
            raise InputError(f"{path} cannot be read: {e.strerror}.") from e
    yield from made.finish(None, token)


def _walk(source: Path) -> Iterator[Path]:
    for top, directories, names in os.walk(source):
        here = Path(top)
        hidden = LEFT_OUT | (LEFT_OUT_ON_TOP if here == source else frozenset())
        links = [d for d in directories if (here / d).is_symlink()]
        directories[:] = sorted(d for d in directories if d not in hidden and d not in links)
        yield from (here / name for name in sorted({*names, *links} - hidden))


def _member(path: Path, name: str) -> tarfile.TarInfo | None:
    facts = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if facts.st_mode & 0o100 else 0o644
    if stat.S_ISLNK(facts.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        return member
    member.size = facts.st_size
    return member if stat.S_ISREG(facts.st_mode) else None


class _Tar:
    """A tar as it is made, piece by piece, with the sums of what it holds."""

    def __init__(self) -> None:
        self._sums: list[str] = []

    def add(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> Iterator[bytes]:
        """One member; a file with its content."""
        _check(member)
        made = tarfile.TarInfo(member.name)
        made.type, made.linkname, made.mode = member.type, member.linkname, member.mode & 0o755
        if content is None:
            yield _head(made)
            if member.issym():
                self._sums.append(f"{UNSUMMED}{member.name}\n")
            return
        if member.name.endswith(TEXTS):
            text = with_lf(content.read())
            made.size, content = len(text), io.BytesIO(text)
        else:
            made.size = member.size
        yield _head(made)
        digest, left = hashlib.sha256(), made.size
        while left:
            chunk = content.read(min(CHUNK, left))
            if not chunk:
                raise InputError(f"{member.name} was changed while it was read.")
            digest.update(chunk)
            left -= len(chunk)
            yield chunk
        yield bytes(-made.size % tarfile.BLOCKSIZE)
        # sha256sum writes a name with a backslash in a way of its own
        sum_ = UNSUMMED if "\\" in member.name else f"{digest.hexdigest()}  "
        self._sums.append(f"{sum_}{member.name}\n")

    def finish(self, commit: str | None, token: str) -> Iterator[bytes]:
        """The sums, what the whole is called, and what says that all has come."""
        sums = "".join(self._sums).encode("utf-8", "surrogateescape")
        named = commit or f"{UNVERIFIED}:{hashlib.sha256(sums).hexdigest()[:16]}"
        for name, text in ((SUMS, sums), (COMMIT, named.encode()), (WHOLE + token, b"")):
            made = tarfile.TarInfo(name)
            made.size = len(text)
            yield _head(made) + text + bytes(-len(text) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


def _check(member: tarfile.TarInfo) -> None:
    """Refuse names that a list cannot hold, and links that lead out of what is sent."""
    for name in (member.name, member.linkname):
        if set(name) & set("\n\r\0") or not _sendable(name):
            raise InputError(f"{name!a} cannot be sent: nobody could write such a name.")
    if member.issym():
        there = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
        if there.startswith(("/", "../")) or there == "..":
            raise InputError(
                f"{member.name} is a link that leads out of what is sent: {member.linkname}.",
                hint="Remove it, or have a copy of what it leads to in its place.",
            )


def _sendable(name: str) -> bool:
    """Whether it has bytes; those that are no UTF-8 are sent as they are."""
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _head(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
