"""The entries of a manifest of checkpoints, the places of the files, and the record of each place.

Standard library only, Python 3.10 or newer. Two places: the checkpoint directory, where a file is
`<repo>/<path>`, and the cache of Hugging Face, where a file is
`hub/models--<org>--<name>/snapshots/<commit>/<path>`: libraries that load a model by a repository's
name read this cache.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from checkpoints_lock import alone_in
from checkpoints_names import COMMIT, is_repo, is_revision, shown, stays_inside

MAIN = "main"
RECORD = ".cosmos-sizes.json"
"""File in each place: sizes and hashes at the time of the download."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Entry:
    """One line of a manifest: a file of a repository, or several files if the path has a `*`."""

    repo: str
    path: str
    target: str
    """`checkpoints` or `huggingface`."""
    needed_for: tuple[str, ...] = ()
    """Operations; empty: the file is known, but no order of this project needs it."""
    control: str | None = None
    """The only control or variant that needs the file; None: all need the file."""
    optional: bool = False
    """Whether the file is left out unless its control is named."""
    size: int | None = None
    md5: str | None = None
    revision: str | None = None
    """Branch, tag or commit; None: the main branch."""
    gated: bool = False
    exclude: tuple[str, ...] = ()
    into: str | None = None
    """Directory below the place, if it is not the usual directory."""
    cache: str | None = None
    """Directory below the place that a library uses as a cache instead of `hub`."""
    guardrail: bool = False
    """Whether the file only judges prompts and results: no pixel depends on it."""

    @property
    def several(self) -> bool:
        """Whether the path is a pattern."""
        return "*" in self.path

    @property
    def cached(self) -> bool:
        """Whether the files are in the layout of the cache of Hugging Face."""
        return (self.target == "huggingface" or self.cache is not None) and not self.into

    @property
    def at(self) -> str:
        """The revision to ask the hub for."""
        return self.revision or MAIN

    def has(self, path: str) -> bool:
        """Whether a file of the repository belongs to this entry."""
        if not self.several:
            return path == self.path
        return fnmatchcase(path, self.path) and not any(fnmatchcase(path, x) for x in self.exclude)


def read_manifest(file: Path) -> list[Entry]:
    """Return the entries of a manifest. Raises ValueError if the file is not a manifest."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["files"]
        return [_entry(row) for row in rows]
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise ValueError(f"{file} cannot be read: {e}") from e


def _entry(row: dict[str, Any]) -> Entry:
    tuples = {key: tuple(row.get(key) or ()) for key in ("needed_for", "exclude")}
    entry = Entry(**(row | tuples))
    if entry.target not in ("checkpoints", "huggingface"):
        known = "checkpoints or huggingface"
        raise ValueError(f"{entry.repo}: the target {entry.target!r} is not {known}")
    if not is_repo(entry.repo):
        raise ValueError(f"the repository {shown(entry.repo)} is not OWNER/NAME")
    if not is_revision(entry.at):
        raise ValueError(f"{entry.repo}: {shown(entry.at)} is not a branch, tag or commit")
    for path in filter(None, (entry.path, entry.into, entry.cache)):
        if not stays_inside(path):
            problem = f"the path {shown(path)} leads out of the directory"
            raise ValueError(f"{entry.repo}: {problem}")
    return entry


def chosen(entries: Sequence[Entry], only: Iterable[str] = ()) -> list[Entry]:
    """Return the entries for some operations and controls; no word means all entries.

    Raises:
        ValueError: a word is neither an operation nor a control.
    """
    operations = {word for entry in entries for word in entry.needed_for}
    controls = {entry.control for entry in entries if entry.control}
    wanted = set(only)
    if unknown := wanted - operations - controls:
        known = ", ".join(sorted(operations | controls))
        raise ValueError(f"the manifest has no {', '.join(sorted(unknown))}; known: {known}")
    for_operations, for_controls = wanted & operations or operations, wanted & controls or controls
    return [
        entry
        for entry in entries
        if for_operations & set(entry.needed_for)
        and (entry.control is None or entry.control in for_controls)
        and (not entry.optional or entry.control in wanted)
    ]


def with_companions(
    entries: Sequence[Entry], all_of_them: Iterable[Entry], places: dict[str, Place]
) -> list[Entry]:
    """Return the entries, and the other entries of the same branches that the cache has.

    A branch moves as a whole: a download of one file at the branch's new commit must not lose the
    other files of this branch.
    """
    branches = {(entry.target, entry.repo, entry.at) for entry in entries}
    return [
        *entries,
        *(
            entry
            for entry in all_of_them
            if entry not in entries
            and not entry.into
            and (entry.target, entry.repo, entry.at) in branches
            and places[entry.target].has_any(entry)
        ),
    ]


class Place:
    """A place of files (checkpoint directory or cache) with its record."""

    def __init__(self, target: str, root: Path) -> None:
        self.target, self.root = target, root
        self._lock = threading.Lock()
        self._commits: dict[tuple[str, str], str] = {}
        """The commit of each branch and tag at the hub, by repository and revision."""
        self._record: dict[str, dict[str, Any]] = {"files": {}, "listed": {}}
        self._read()

    def base(self, entry: Entry, commit: str | None = None) -> Path | None:
        """Return the directory of a repository's files; None if the commit is not known."""
        if entry.into:
            return self.root / entry.into
        if not entry.cached:
            return self.root / entry.repo
        commit = commit or self.commit(entry)
        return self._repository(entry) / "snapshots" / commit if commit else None

    def commit(self, entry: Entry) -> str | None:
        """Return the commit whose files the cache has for this entry's revision."""
        if _COMMIT.fullmatch(entry.at):
            return entry.at
        if commit := self._commits.get((entry.repo, entry.at)):
            return commit
        return self._kept(entry)

    def _kept(self, entry: Entry) -> str | None:
        try:
            text = (self._repository(entry) / "refs" / entry.at).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return text.strip() if COMMIT.fullmatch(text.strip()) else None

    def set_commit(self, entry: Entry, commit: str) -> bool:
        """Set the commit of a branch or tag for this process; False if another commit is set."""
        return self._commits.setdefault((entry.repo, entry.at), commit) == commit

    def keep_commit(self, entry: Entry) -> None:
        """Write the commit of the entry's branch into the cache, where libraries read it."""
        commit = self._commits.get((entry.repo, entry.at))
        if (
            entry.cached
            and commit
            and not _COMMIT.fullmatch(entry.at)
            and self._kept(entry) != commit
        ):
            write_whole(self._repository(entry) / "refs" / entry.at, commit)

    def older(self, entry: Entry, path: str) -> list[Path]:
        """Return the files of this path at all commits in the cache."""
        if not entry.cached:
            return []
        snapshots = self._repository(entry) / "snapshots"
        if not snapshots.is_dir():
            return []
        files = (snapshot / path for snapshot in sorted(snapshots.iterdir()))
        return [file for file in files if file.is_file()]

    def has_any(self, entry: Entry) -> bool:
        """Whether the cache's commit of a branch has files of this entry."""
        commit = self._kept(entry)
        base = self.base(entry, commit) if commit else None
        if base is None or _COMMIT.fullmatch(entry.at) or not entry.cached:
            return False
        if not entry.several:
            return (base / entry.path).is_file()
        files = (p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
        return any(entry.has(path) for path in files)

    def _repository(self, entry: Entry) -> Path:
        return self.root / (entry.cache or "hub") / f"models--{entry.repo.replace('/', '--')}"

    def known(self, file: Path) -> dict[str, Any]:
        """Return the recorded facts of a file: size, and sha256 or git (the hash of a git blob)."""
        facts = self._record["files"].get(self._key(file))
        types = {"size": int, "sha256": str, "git": str}
        known = facts.items() if isinstance(facts, dict) else ()
        return {name: value for name, value in known if isinstance(value, types.get(name, ()))}

    def note(self, file: Path, facts: dict[str, Any]) -> None:
        """Record a file's facts."""
        if self._record["files"].get(self._key(file)) != facts:
            self._save("files", self._key(file), facts)

    def listed(self, entry: Entry) -> list[str] | None:
        """Return the recorded list of a repository's files; None if there is no list."""
        found = self._record["listed"].get(f"{entry.repo}@{entry.at}")
        if not isinstance(found, list):
            return None
        return [path for path in map(str, found) if stays_inside(path)]

    def note_listed(self, entry: Entry, paths: Sequence[str]) -> None:
        """Record which files a repository has."""
        self._save("listed", f"{entry.repo}@{entry.at}", sorted(paths))

    def _key(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def _read(self) -> None:
        # no record yet, or an unusable record
        with suppress(OSError, ValueError, AttributeError, TypeError, RecursionError):
            read = json.loads((self.root / RECORD).read_text(encoding="utf-8"))
            for part in self._record:
                self._record[part] |= dict(read.get(part) or {})

    def _save(self, part: str, key: str, value: object) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock, alone_in(self.root):
            self._read()  # with the notes of other processes
            self._record[part][key] = value
            write_whole(self.root / RECORD, json.dumps(self._record, indent=1, sort_keys=True))


def write_whole(file: Path, text: str) -> None:
    """Write a text file; the file appears with all its content or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def places_of(entries: Iterable[Entry], environment: dict[str, str]) -> dict[str, Place]:
    """Return the places that these entries need: COSMOS_CHECKPOINTS, HF_HOME.

    Raises:
        ValueError: a needed variable is not set.
    """
    names = {"checkpoints": "COSMOS_CHECKPOINTS", "huggingface": "HF_HOME"}
    needed = sorted({entry.target for entry in entries})
    if missing := [names[target] for target in needed if not environment.get(names[target])]:
        raise ValueError(f"set {' and '.join(missing)}")
    return {target: Place(target, Path(environment[names[target]])) for target in needed}
