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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import sleep
from typing import IO, Any

from checkpoints_hub import Hub, Passing, Refused
from checkpoints_lock import alone_with
from checkpoints_manifest import Entry, Place
from checkpoints_names import stays_inside
from checkpoints_verify import BLOCK, Found, Item, Meter, Say, gigabytes
from checkpoints_wanted import Wanted, reuse, wrong_content

MARGIN = 1 << 30
"""Bytes that stay free on the disk."""
BUSY = "another process brings it; waiting for that one"
ASKING = 8
"""Files that are asked for at a time before anything is downloaded."""


def download(
    entries: Sequence[Entry],
    places: dict[str, Place],
    hub: Hub,
    *,
    threads: int,
    say: Say,
    anew: Collection[Path] = (),
) -> list[Found]:
    """Bring what is missing; what could not be had is returned and told, the rest goes on.

    What a branch means in the cache changes when all of these files are there, not before.
    `anew`: files that are brought although they are there, because their content is wrong.
    """
    failed: list[Found] = []
    broken: set[Branch] = set()

    def fail(item: Item, why: Exception) -> None:
        failed.append(Found(item.name, "failed", str(why)))
        broken.add(_branch(item))
        say(f"PROBLEM {item.name}: {why}")

    wanted = _ask(_expand(entries, places, hub, fail), hub, fail)
    missing = [one for one in wanted if one.file in anew or not one.there]
    missing = _without_reused(missing, threads, say)
    for one in wanted:
        if one not in missing:
            one.item.place.note(one.file, _record(one))
    say(f"{len(missing)} of {len(wanted)} files are to be downloaded, "
        f"{gigabytes(sum(one.left for one in missing))} GB.")  # fmt: skip
    short = _short_of_room(missing)
    for disk in short:
        failed.append(disk)
        say(f"PROBLEM {disk.path}: {disk.what}")
    if not short:
        _fetch_all(missing, hub, threads, say, fail, anew)
    broken |= {_branch(one.item) for one in wanted if not one.has_come}
    if not anew:
        for one in wanted:
            if _branch(one.item) not in broken:
                one.item.place.keep_commit(one.item.entry)
    return failed


Fail = Callable[[Item, Exception], None]
Branch = tuple[str, str, str]


def _branch(item: Item) -> Branch:
    return item.entry.target, item.entry.repo, item.entry.at


def _without_reused(missing: Sequence[Wanted], threads: int, say: Say) -> list[Wanted]:
    """Those that no older commit has with the same content."""
    with ThreadPoolExecutor(threads) as pool:
        reused = list(pool.map(reuse, missing))
    if any(reused):
        say(f"{sum(reused)} files are the same as at an older commit.")
    return [one for one, is_here in zip(missing, reused, strict=True) if not is_here]


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
                fail(Item(entry, place, entry.path, None), e)
                continue
            place.note_listed(entry, listed)
            place.mean(entry, commit)
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
            told = None if item.entry.several else item.entry.size
            if None not in (told, facts.size) and told != facts.size:
                return Refused(f"the hub's file has {facts.size} bytes instead of {told}")
            base = item.place.base(item.entry, facts.commit)
            if base is None or not stays_inside(item.path):
                return Refused(f"{hub.host} does not tell where it belongs")
            return Wanted(Item(item.entry, item.place, item.path, base / item.path), facts)
        except (Refused, Passing, OSError) as e:
            return e

    with ThreadPoolExecutor(ASKING) as pool:
        answers = list(pool.map(ask, items))
    wanted = []
    for item, answer in zip(items, answers, strict=True):
        if isinstance(answer, Exception):
            fail(item, answer)
        elif answer.facts.commit and not item.place.mean(item.entry, answer.facts.commit):
            fail(item, Refused(f"{item.entry.at} has moved while it was asked: ask again"))
        else:
            wanted.append(answer)
    return wanted


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


def _fetch_all(
    missing: Sequence[Wanted],
    hub: Hub,
    threads: int,
    say: Say,
    fail: Fail,
    anew: Collection[Path],
) -> None:
    meter = Meter(len(missing), sum(one.left for one in missing), say)
    full = Event()

    def fetch(one: Wanted) -> None:
        try:
            if full.is_set():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left = one.left
            with alone_with(one.part, lambda: say(f"{one.item.name}: {BUSY}")) as part:
                if one.there and one.file not in anew:  # the other has brought it
                    one.part.unlink()
                    meter.add(left, one.item.name)
                else:
                    _fetch(one, part, hub, meter)
            one.item.place.note(one.file, _record(one))
        except (Refused, Passing) as e:
            fail(one.item, e)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                full.set()
            fail(one.item, OSError(f"cannot be written: {e.strerror or e}"))
        meter.finish(one.item.name)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fetch, missing))


def _record(one: Wanted) -> dict[str, Any]:
    """What is kept of it; the hash is the hub's, compared with the content where we brought it."""
    size = one.facts.size if one.facts.size is not None else one.file.stat().st_size
    return {"size": size, **one.facts.hashes}


def _fetch(one: Wanted, part: IO[bytes], hub: Hub, meter: Meter) -> None:
    """The file, whole and compared. Raises Refused, Passing, OSError."""
    tries = hub.tries
    while True:
        before = one.left
        try:
            _read_on(one, part, hub, meter)
            break
        except Passing:
            tries = hub.tries if one.left < before else tries - 1
            if tries <= 0:
                raise
            sleep(min(hub.pause_s * 2 ** (hub.tries - tries), 60))
    if wrong := wrong_content(one, one.part):
        one.part.unlink()
        raise Refused(wrong)
    one.part.replace(one.file)
    directory = os.open(one.file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_on(one: Wanted, part: IO[bytes], hub: Hub, meter: Meter) -> None:
    """Bytes from where the part ends to the end of the file."""
    size = one.facts.size
    begun = one.part.stat().st_size
    if begun and (size is None or begun > size):
        part.truncate(0)
        begun = 0
    if begun and begun == size:
        return
    with hub.open(one.item.entry, one.item.path, begun) as answer:
        if answer.status != 206:  # the server does not resume
            part.truncate(0)
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
            raise Passing(f"{hub.host} sent another part of the file")
        try:
            with _passing(hub):
                while block := answer.read(BLOCK):
                    part.write(block)
                    meter.add(len(block), one.item.name)
        finally:
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
