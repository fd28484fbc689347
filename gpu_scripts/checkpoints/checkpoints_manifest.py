"""What a manifest of checkpoints says, where its files lie, and what was recorded of them.

Standard library only, Python 3.10 or newer. Two places: the checkpoint directory, where a file is
`<repo>/<path>`, and the cache of Hugging Face, where it is
`hub/models--<org>--<name>/snapshots/<commit>/<path>`: from there libraries take what they load by a
repository's name.
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
"""In each place: sizes and hashes as they were when we downloaded."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Entry:
    """One line of a manifest: a file of a repository, or with `*` in its path several."""

    repo: str
    path: str
    target: str
    """`checkpoints` or `huggingface`."""
    needed_for: tuple[str, ...] = ()
    """Operations; without any it is known, but nothing that we order needs it."""
    control: str | None = None
    """The one control or variant that needs it; None: all do."""
    optional: bool = False
    """Left out unless its control is named."""
    size: int | None = None
    md5: str | None = None
    revision: str | None = None
    """Branch, tag or commit; None: the main branch."""
    gated: bool = False
    exclude: tuple[str, ...] = ()
    into: str | None = None
    """Directory below the place that it goes to, where that is not the usual one."""

    @property
    def several(self) -> bool:
        """Whether its path is a pattern."""
        return "*" in self.path

    @property
    def at(self) -> str:
        """What to ask the hub for."""
        return self.revision or MAIN

    def has(self, path: str) -> bool:
        """Whether a file of the repository is one of its files."""
        if not self.several:
            return path == self.path
        return fnmatchcase(path, self.path) and not any(fnmatchcase(path, x) for x in self.exclude)


def read_manifest(file: Path) -> list[Entry]:
    """The entries of a manifest. Raises ValueError if it is none."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["files"]
        return [_entry(row) for row in rows]
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise ValueError(f"{file} cannot be read: {e}") from e


def _entry(row: dict[str, Any]) -> Entry:
    tuples = {key: tuple(row.get(key) or ()) for key in ("needed_for", "exclude")}
    entry = Entry(**(row | tuples))
    if entry.target not in ("checkpoints", "huggingface"):
        raise ValueError(f"{entry.repo}: the target {entry.target!r} is neither place")
    if not is_repo(entry.repo):
        raise ValueError(f"the repository {shown(entry.repo)} is not OWNER/NAME")
    if not is_revision(entry.at):
        raise ValueError(f"{entry.repo}: {shown(entry.at)} is no branch, tag or commit")
    for path in (entry.path, *([entry.into] if entry.into else [])):
        if not stays_inside(path):
            raise ValueError(f"{entry.repo}: the path {shown(path)} leads elsewhere")
    return entry


def chosen(entries: Sequence[Entry], only: Iterable[str] = ()) -> list[Entry]:
    """The entries for some operations and controls; none named means all of them.

    Raises:
        ValueError: a word is neither.
    """
    operations = {word for entry in entries for word in entry.needed_for}
    controls = {entry.control for entry in entries if entry.control}
    wanted = set(only)
    if unknown := wanted - operations - controls:
        known = ", ".join(sorted(operations | controls))
        raise ValueError(f"there is no {', '.join(sorted(unknown))} here; known: {known}")
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
    """The entries, and others of the same branches that the cache has: a branch moves as a whole.

    Who brings one file of a branch that has moved must not lose the others of it.
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
    """One of the two places, with its record."""

    def __init__(self, target: str, root: Path) -> None:
        self.target, self.root = target, root
        self._lock = threading.Lock()
        self._meant: dict[tuple[str, str], str] = {}
        """What branches and tags mean at the hub, by repository."""
        self._record: dict[str, dict[str, Any]] = {"files": {}, "listed": {}}
        self._read()

    def base(self, entry: Entry, commit: str | None = None) -> Path | None:
        """The directory of a repository's files; None if it is not known at which commit."""
        if entry.into:
            return self.root / entry.into
        if self.target == "checkpoints":
            return self.root / entry.repo
        commit = commit or self.commit(entry)
        return self._repository(entry) / "snapshots" / commit if commit else None

    def commit(self, entry: Entry) -> str | None:
        """The commit whose files the cache has for this entry's revision."""
        if _COMMIT.fullmatch(entry.at):
            return entry.at
        if meant := self._meant.get((entry.repo, entry.at)):
            return meant
        return self._kept(entry)

    def _kept(self, entry: Entry) -> str | None:
        try:
            said = (self._repository(entry) / "refs" / entry.at).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return said.strip() if COMMIT.fullmatch(said.strip()) else None

    def mean(self, entry: Entry, commit: str) -> bool:
        """Let a branch or tag mean this commit for this process; False if it means another."""
        return self._meant.setdefault((entry.repo, entry.at), commit) == commit

    def keep_commit(self, entry: Entry) -> None:
        """Let it mean that in the cache, from where libraries load."""
        meant = self._meant.get((entry.repo, entry.at))
        usual = self.target == "huggingface" and not entry.into
        if usual and meant and not _COMMIT.fullmatch(entry.at) and self._kept(entry) != meant:
            write_whole(self._repository(entry) / "refs" / entry.at, meant)

    def older(self, entry: Entry, path: str) -> list[Path]:
        """The files of this path at all commits that the cache has."""
        if self.target != "huggingface" or entry.into:
            return []
        snapshots = self._repository(entry) / "snapshots"
        if not snapshots.is_dir():
            return []
        files = (snapshot / path for snapshot in sorted(snapshots.iterdir()))
        return [file for file in files if file.is_file()]

    def has_any(self, entry: Entry) -> bool:
        """Whether the commit that a branch means in the cache has files of this entry."""
        commit = self._kept(entry)
        base = self.base(entry, commit) if commit else None
        if base is None or _COMMIT.fullmatch(entry.at) or self.target != "huggingface":
            return False
        if not entry.several:
            return (base / entry.path).is_file()
        files = (p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
        return any(entry.has(path) for path in files)

    def _repository(self, entry: Entry) -> Path:
        return self.root / "hub" / f"models--{entry.repo.replace('/', '--')}"

    def known(self, file: Path) -> dict[str, Any]:
        """What was recorded of a file: size, and sha256 or git (the hash of a git blob)."""
        facts = self._record["files"].get(self._key(file))
        types = {"size": int, "sha256": str, "git": str}
        known = facts.items() if isinstance(facts, dict) else ()
        return {name: value for name, value in known if isinstance(value, types.get(name, ()))}

    def note(self, file: Path, facts: dict[str, Any]) -> None:
        """Record a file's facts."""
        if self._record["files"].get(self._key(file)) != facts:
            self._save("files", self._key(file), facts)

    def listed(self, entry: Entry) -> list[str] | None:
        """The files of an entry's repository as they were listed; None if they never were."""
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
        # none yet, or none that can be used
        with suppress(OSError, ValueError, AttributeError, TypeError, RecursionError):
            read = json.loads((self.root / RECORD).read_text(encoding="utf-8"))
            for part in self._record:
                self._record[part] |= dict(read.get(part) or {})

    def _save(self, part: str, key: str, value: object) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock, alone_in(self.root):
            self._read()  # what others have noted meanwhile
            self._record[part][key] = value
            write_whole(self.root / RECORD, json.dumps(self._record, indent=1, sort_keys=True))


def write_whole(file: Path, text: str) -> None:
    """Write a text file; it appears with all its content or not at all."""
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
    """The places that these entries need: COSMOS_CHECKPOINTS, HF_HOME.

    Raises:
        ValueError: one is not set.
    """
    names = {"checkpoints": "COSMOS_CHECKPOINTS", "huggingface": "HF_HOME"}
    needed = sorted({entry.target for entry in entries})
    if missing := [names[target] for target in needed if not environment.get(names[target])]:
        raise ValueError(f"set {' and '.join(missing)}")
    return {target: Place(target, Path(environment[names[target]])) for target in needed}
