"""A model's code of this machine as a tar for a GPU host: a commit, or a directory as it is.

Shell and Python files get Unix line ends, so that a checkout made on Windows breaks nothing.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.resources.host_setup_script import COMMIT, SUMS
from cosmos_pipelines.resources.parcel import with_lf

UNVERIFIED: Final = "unverified"
TEXTS: Final = (".sh", ".py")
LEFT_OUT: Final = frozenset({".git", ".venv", "__pycache__", "node_modules", ".DS_Store"})
LEFT_OUT_ON_TOP: Final = frozenset({"checkpoints", "outputs"})
"""Weights and results: a checkout that was used holds hundreds of GB of them."""
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


def commit_tar(source: Path, commit: str) -> Iterator[bytes]:
    """The files of a commit.

    Raises:
        InputError: git cannot make it.
    """
    argv = ["git", "-C", str(source), "archive", "--format=tar", commit]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as git:
        assert git.stdout is not None
        assert git.stderr is not None
        made = _Tar()
        with tarfile.open(fileobj=git.stdout, mode="r|") as given:
            for member in given:
                yield from made.add(member, given.extractfile(member) if member.isreg() else None)
        said = git.stderr.read().decode(errors="replace").strip()
        if git.wait() != 0:
            raise InputError(f"git cannot archive {commit[:12]} of {source}: {said}")
        yield from made.finish(commit)


def directory_tar(source: Path) -> Iterator[bytes]:
    """The files of a directory; it is called by their content.

    Raises:
        InputError: one cannot be read.
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
    yield from made.finish(None)


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
        made = tarfile.TarInfo(member.name)
        made.type, made.linkname, made.mode = member.type, member.linkname, member.mode & 0o755
        if content is None:
            yield _head(made)
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
        if not set(member.name) & set("\\\n\r"):  # sha256sum writes those in a way of its own
            self._sums.append(f"{digest.hexdigest()}  {member.name}\n")

    def finish(self, commit: str | None) -> Iterator[bytes]:
        """The sums, then what the whole is called, which says that all has come."""
        sums = "".join(self._sums).encode()
        named = commit or f"{UNVERIFIED}:{hashlib.sha256(sums).hexdigest()[:16]}"
        for name, text in ((SUMS, sums), (COMMIT, named.encode())):
            made = tarfile.TarInfo(name)
            made.size = len(text)
            yield _head(made) + text + bytes(-len(text) % tarfile.BLOCKSIZE)
        yield bytes(2 * tarfile.BLOCKSIZE)


def _head(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
