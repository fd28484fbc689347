"""Brings the files of a manifest from a hub: only these, each resumed where it stopped.

A file is written to `.<name>.<its hash>.part`, compared with what the hub and the manifest say of
it, and only then gets its name. Standard library only.
"""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

from checkpoints_hub import Facts, Hub, Passing, Refused
from checkpoints_manifest import Entry, Place
from checkpoints_names import stays_inside
from checkpoints_verify import BLOCK, Found, Item, Meter, Say, blocks, gigabytes, new_hash

MARGIN = 1 << 30
"""Bytes that stay free on the disk."""
ASKING = 8
"""Files that are asked for at a time before anything is downloaded."""


@dataclass(frozen=True)
class Wanted:
    """A file with what the hub says of it."""

    item: Item
    facts: Facts

    @property
    def file(self) -> Path:
        """Where it shall be."""
        assert self.item.file is not None
        return self.item.file

    @property
    def part(self) -> Path:
        """Where it is until it is whole: another content has another name."""
        tag = "".join(c for c in self.facts.etag if c.isalnum())[:16] or "any"
        return self.file.with_name(f".{self.file.name}.{tag}.part")

    @property
    def there(self) -> bool:
        """Whether it has been brought before, as far as its size tells."""
        if not self.file.is_file() or self.facts.size is None:
            return False
        return self.file.stat().st_size == self.facts.size

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        begun = self.part.stat().st_size if self.part.is_file() else 0
        return max((self.facts.size or 0) - begun, 0)


def download(
    entries: Sequence[Entry], places: dict[str, Place], hub: Hub, *, threads: int, say: Say
) -> list[Found]:
    """Bring what is missing; what could not be had is returned and told, the rest goes on."""
    failed: list[Found] = []

    def fail(name: str, why: Exception) -> None:
        failed.append(Found(name, "failed", str(why)))
        say(f"PROBLEM {name}: {why}")

    wanted = _ask(_expand(entries, places, hub, fail), hub, fail)
    missing = [one for one in wanted if not one.there]
    for one in wanted:
        if one.there:
            one.item.place.note(one.file, _record(one))
    say(f"{len(missing)} of {len(wanted)} files are to be downloaded, "
        f"{gigabytes(sum(one.left for one in missing))} GB.")  # fmt: skip
    short = _short_of_room(missing)
    for disk in short:
        failed.append(disk)
        say(f"PROBLEM {disk.path}: {disk.what}")
    if not short:
        _fetch_all(missing, hub, threads, say, fail)
    return failed


Fail = Callable[[str, Exception], None]


def _expand(entries: Iterable[Entry], places: dict[str, Place], hub: Hub, fail: Fail) -> list[Item]:
    """The files that the entries stand for; patterns are compared with the hub's list."""
    found: dict[tuple[str, str, str, str], Item] = {}
    lists: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for entry in sorted(entries, key=lambda e: e.several):
        place = places[entry.target]
        paths = [entry.path]
        if entry.several:
            try:
                if (entry.repo, entry.at) not in lists:
                    lists[entry.repo, entry.at] = hub.files(entry)
                commit, listed = lists[entry.repo, entry.at]
            except (Refused, Passing) as e:
                fail(Item(entry, place, entry.path, None).name, e)
                continue
            place.note_listed(entry, listed)
            place.set_commit(entry, commit)
            paths = [path for path in listed if entry.has(path)]
        for path in paths:
            key = (entry.target, entry.repo, entry.at, path)
            found.setdefault(key, Item(entry, place, path, None))
    return list(found.values())


def _ask(items: Sequence[Item], hub: Hub, fail: Fail) -> list[Wanted]:
    """What the hub says of each, and where it therefore belongs."""

    def ask(item: Item) -> Wanted | Exception:
        try:
            facts = hub.facts(item.entry, item.path)
            base = item.place.base(item.entry, facts.commit)
            if base is None or not stays_inside(item.path):
                return Refused(f"{hub.host} does not tell where it belongs")
            return Wanted(Item(item.entry, item.place, item.path, base / item.path), facts)
        except (Refused, Passing, OSError) as e:
            return e

    with ThreadPoolExecutor(ASKING) as pool:
        answers = list(pool.map(ask, items))
    for item, answer in zip(items, answers, strict=True):
        if isinstance(answer, Exception):
            fail(item.name, answer)
        elif answer.facts.commit:
            item.place.set_commit(item.entry, answer.facts.commit)
    return [answer for answer in answers if isinstance(answer, Wanted)]


def _short_of_room(missing: Sequence[Wanted]) -> list[Found]:
    """Disks that have no room for what is to come; both places may be on the same one."""
    need: dict[int, int] = {}
    roots: dict[int, Path] = {}
    for one in missing:
        root = one.item.place.root
        root.mkdir(parents=True, exist_ok=True)
        device = root.stat().st_dev
        need[device] = need.get(device, 0) + one.left
        roots.setdefault(device, root)
    short = []
    for device, root in roots.items():
        free = max(shutil.disk_usage(root).free - MARGIN, 0)
        if need[device] > free:
            what = f"{gigabytes(need[device])} GB are to come, {gigabytes(free)} GB can be used"
            short.append(Found(str(root), "no_room", f"no space left: {what}"))
    return short


def _fetch_all(missing: Sequence[Wanted], hub: Hub, threads: int, say: Say, fail: Fail) -> None:
    meter = Meter(len(missing), sum(one.left for one in missing), say)
    full = Event()

    def fetch(one: Wanted) -> None:
        try:
            if full.is_set():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _fetch(one, hub, meter)
            one.item.place.note(one.file, _record(one))
        except (Refused, Passing) as e:
            fail(one.item.name, e)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                full.set()
            fail(one.item.name, OSError(f"cannot be written: {e.strerror or e}"))
        meter.finish(one.item.name)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fetch, missing))


def _record(one: Wanted) -> dict[str, Any]:
    """What is kept of it; the hash is the hub's, compared with the content where we brought it."""
    size = one.facts.size if one.facts.size is not None else one.file.stat().st_size
    return {"size": size, **one.facts.hashes}


def _fetch(one: Wanted, hub: Hub, meter: Meter) -> None:
    """The file, whole and compared. Raises Refused, Passing, OSError."""
    one.file.parent.mkdir(parents=True, exist_ok=True)
    tries = hub.tries
    while True:
        before = one.left
        try:
            _read_on(one, hub, meter)
            break
        except Passing:
            tries = hub.tries if one.left < before else tries - 1
            if tries <= 0:
                raise
            sleep(min(hub.pause_s * 2 ** (hub.tries - tries), 60))
    if wrong := _wrong(one):
        one.part.unlink()
        raise Refused(wrong)
    one.part.replace(one.file)
    directory = os.open(one.file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_on(one: Wanted, hub: Hub, meter: Meter) -> None:
    """Bytes from where the part ends to the end of the file."""
    size = one.facts.size
    begun = one.part.stat().st_size if one.part.is_file() else 0
    if begun and (size is None or begun > size):
        one.part.unlink()
        begun = 0
    if begun and begun == size:
        return
    with hub.open(one.item.entry, one.item.path, begun) as answer, one.part.open("ab") as part:
        if answer.status != 206:  # the server does not resume
            part.truncate(0)
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
            raise Passing(f"{hub.host} sent another part of the file")
        with _passing(hub):
            while block := answer.read(BLOCK):
                part.write(block)
                meter.add(len(block), one.item.name)
        part.flush()
        os.fsync(part.fileno())
        cut = bool(answer.length)
    if cut or (size is not None and one.part.stat().st_size < size):
        raise Passing(f"{hub.host} ended in the middle of the file")


@contextmanager
def _passing(hub: Hub) -> Iterator[None]:
    """A link that breaks may come back; a full disk will not."""
    try:
        yield
    except (http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as e:
        raise Passing(f"the connection to {hub.host} broke: {e}") from None


def _wrong(one: Wanted) -> str | None:
    """Why the content is not what it should be; None if it is, as far as anyone has said."""
    size = one.part.stat().st_size
    entry = one.item.entry
    wanted = {**one.facts.hashes}
    if not entry.several:
        if entry.size is not None and size != entry.size:
            return f"the hub's file has {size} bytes instead of {entry.size}"
        if entry.md5:
            wanted["md5"] = entry.md5
    if one.facts.size is not None and size != one.facts.size:
        return f"{size} bytes came instead of {one.facts.size}"
    digests = {kind: new_hash(kind, size) for kind in wanted}
    for block in blocks(one.part):
        for digest in digests.values():
            digest.update(block)
    for kind, digest in digests.items():
        if digest.hexdigest() != wanted[kind]:
            return f"its {kind} is {digest.hexdigest()} instead of {wanted[kind]}"
    return None
