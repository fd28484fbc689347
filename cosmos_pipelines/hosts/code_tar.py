"""Pack a model's code of this machine as a tar for a GPU host: a commit, or a directory as it is.

Shell and Python files get Unix line ends, so that a checkout of a Windows machine works too.
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
"""Files that a copy adds; a copy of a copy does not send those of its source."""
LEFT_OUT_ON_TOP: Final = frozenset({"checkpoints", "outputs"}) | OURS
"""Weights and results: a checkout that was used holds hundreds of GB of them."""
AS_COMMITTED: Final = (
    *("-c", "core.autocrlf=false", "-c", "core.eol=lf"),
    *("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false"),
)
"""Git options that override this machine's settings: Unix line ends, no large sample files."""
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
    """Yield a tar with the files of a commit; the last member has `token` in its name.

    Raises:
        InputError: git cannot make the archive, or a file cannot be sent.
    """
    argv = ["git", *AS_COMMITTED, "-C", str(source), "archive", "--format=tar", commit]
    tar, cut = _Tar(), ""
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stderr) as git,
    ):
        assert git.stdout is not None
        try:
            with tarfile.open(
                fileobj=git.stdout, mode="r|", encoding="utf-8", errors="surrogateescape"
            ) as given:
                for member in given:
                    if member.name not in OURS:
                        content = given.extractfile(member) if member.isreg() else None
                        yield from tar.add(member, content)
            git.stdout.read()  # the padding of the last block: git must not find the pipe closed
        except tarfile.TarError as e:
            cut = str(e)
        git.stdout.close()
        if git.wait() != 0 or cut:
            stderr.seek(0)
            message = " ".join(stderr.read().decode(errors="replace").split()) or cut
            raise InputError(f"git cannot archive {commit[:12]} of {source}: {message}")
    yield from tar.finish(commit, token)


def directory_tar(source: Path, token: str) -> Iterator[bytes]:
    """Yield a tar with the files of a directory, named by its content. `token`: see `commit_tar`.

    Raises:
        InputError: a file cannot be read or cannot be sent.
    """
    tar = _Tar()
    for path in _walk(source):
        name = path.relative_to(source).as_posix()
        try:
            member = _member(path, name)
            if member is None:
                continue
            if not member.isreg():
                yield from tar.add(member, None)
                continue
            with path.open("rb") as content:
                yield from tar.add(member, content)
        except OSError as e:
            raise InputError(f"{path} cannot be read: {e.strerror}.") from e
    yield from tar.finish(None, token)


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
    """Makes a tar piece by piece, and the checksums of its files."""

    def __init__(self) -> None:
        self._sums: list[str] = []

    def add(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> Iterator[bytes]:
        """Yield one member; a file with its content."""
        _check(member)
        entry = tarfile.TarInfo(member.name)
        entry.type, entry.linkname, entry.mode = member.type, member.linkname, member.mode & 0o755
        if content is None:
            yield _head(entry)
            if member.issym():
                self._sums.append(f"{UNSUMMED}{member.name}\n")
            return
        if member.name.endswith(TEXTS):
            text = with_lf(content.read())
            entry.size, content = len(text), io.BytesIO(text)
        else:
            entry.size = member.size
        yield _head(entry)
        digest, remaining = hashlib.sha256(), entry.size
        while remaining:
            chunk = content.read(min(CHUNK, remaining))
            if not chunk:
                raise InputError(f"{member.name} was changed while it was read.")
            digest.update(chunk)
            remaining -= len(chunk)
            yield chunk
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
        # sha256sum escapes a name with a backslash
        sum_ = UNSUMMED if "\\" in member.name else f"{digest.hexdigest()}  "
        self._sums.append(f"{sum_}{member.name}\n")

    def finish(self, commit: str | None, token: str) -> Iterator[bytes]:
        """Yield the last members: the checksums, the commit or content name, the end mark."""
        sums = "".join(self._sums).encode("utf-8", "surrogateescape")
        named = commit or f"{UNVERIFIED}:{hashlib.sha256(sums).hexdigest()[:16]}"
        for name, text in ((SUMS, sums), (COMMIT, named.encode()), (WHOLE + token, b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            yield _head(entry) + text + bytes(-len(text) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


def _check(member: tarfile.TarInfo) -> None:
    """Refuse names that the checksum file cannot hold, and links that lead out of the directory."""
    for name in (member.name, member.linkname):
        if set(name) & set("\n\r\0") or not _sendable(name):
            raise InputError(f"{name!a} cannot be sent: rename the file.")
    if member.issym():
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
        if linked.startswith(("/", "../")) or linked == "..":
            raise InputError(
                f"{member.name} is a link out of the directory that is sent: {member.linkname}.",
                hint="Remove the link, or put a copy of its target in its place.",
            )


def _sendable(name: str) -> bool:
    """Whether a name can be written as bytes; bytes that are not UTF-8 are sent as they are."""
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _head(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
