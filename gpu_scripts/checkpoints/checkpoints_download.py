"""Download the files of a manifest from a hub; an interrupted download is resumed.

A file is written to `.<name>.<hash>.part`, compared with the size and hash of the hub and of the
manifest, and only then gets its name. Standard library only.
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
BUSY = "another process downloads this file; waiting for that process"
ASKING = 8
"""Number of files about which the hub is asked at a time, before the download."""


def download(
    entries: Sequence[Entry],
    places: dict[str, Place],
    hub: Hub,
    *,
    threads: int,
    say: Say,
    replaced: Collection[Path] = (),
) -> list[Found]:
    """Download the missing files; return and log the failures, and continue with the other files.

    The commit of a branch in the cache changes only when all files of the branch are complete.
    `replaced`: existing files that are downloaded again, because their content is wrong.
    """
    failed: list[Found] = []
    broken: set[Branch] = set()

    def fail(item: Item, why: Exception) -> None:
        failed.append(Found(item.name, "failed", str(why)))
        broken.add(_branch(item))
        say(f"PROBLEM {item.name}: {why}")

    wanted = _ask(_expand(entries, places, hub, fail), hub, fail)
    missing = [want for want in wanted if want.file in replaced or not want.there]
    missing = _without_reused(missing, threads, say)
    for want in wanted:
        if want not in missing:
            want.item.place.note(want.file, _record(want))
    say(f"{len(missing)} of {len(wanted)} files are to be downloaded, "
        f"{gigabytes(sum(want.left for want in missing))} GB.")  # fmt: skip
    full = _full_disks(missing)
    for disk in full:
        failed.append(disk)
        say(f"PROBLEM {disk.path}: {disk.what}")
    if not full:
        _fetch_all(missing, hub, threads, say, fail, replaced)
    broken |= {_branch(want.item) for want in wanted if not want.has_come}
    if not replaced:
        for want in wanted:
            if _branch(want.item) not in broken:
                want.item.place.keep_commit(want.item.entry)
    return failed


Fail = Callable[[Item, Exception], None]
Branch = tuple[str, str, str]


def _branch(item: Item) -> Branch:
    return item.entry.target, item.entry.repo, item.entry.at


def _without_reused(missing: Sequence[Wanted], threads: int, say: Say) -> list[Wanted]:
    """Return the missing files that no older commit has with the same content."""
    with ThreadPoolExecutor(threads) as pool:
        reused = list(pool.map(reuse, missing))
    if any(reused):
        say(f"{sum(reused)} files are the same as at an older commit.")
    return [want for want, is_here in zip(missing, reused, strict=True) if not is_here]


def _expand(entries: Iterable[Entry], places: dict[str, Place], hub: Hub, fail: Fail) -> list[Item]:
    """Return the files of the entries; patterns are compared with the hub's list of files."""
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
            place.set_commit(entry, commit)
            paths = [path for path in listed if entry.has(path)]
        for path in paths:
            key = (entry.target, entry.repo, entry.at, path)
            found.setdefault(key, Item(entry, place, path, None))
    return list(found.values())


def _ask(items: Sequence[Item], hub: Hub, fail: Fail) -> list[Wanted]:
    """Ask the hub for the facts of each file; return the files with facts and target path."""

    def ask(item: Item) -> Wanted | Exception:
        try:
            facts = hub.facts(item.entry, item.path)
            expected = None if item.entry.several else item.entry.size
            if None not in (expected, facts.size) and expected != facts.size:
                return Refused(f"the hub's file has {facts.size} bytes instead of {expected}")
            base = item.place.base(item.entry, facts.commit)
            if base is None or not stays_inside(item.path):
                return Refused(f"{hub.host} does not give the file's commit, or the path is wrong")
            return Wanted(Item(item.entry, item.place, item.path, base / item.path), facts)
        except (Refused, Passing, OSError) as e:
            return e

    with ThreadPoolExecutor(ASKING) as pool:
        answers = list(pool.map(ask, items))
    wanted = []
    for item, answer in zip(items, answers, strict=True):
        if isinstance(answer, Exception):
            fail(item, answer)
        elif answer.facts.commit and not item.place.set_commit(item.entry, answer.facts.commit):
            why = f"{item.entry.at} moved to another commit during the request: try again"
            fail(item, Refused(why))
        else:
            wanted.append(answer)
    return wanted


def _full_disks(missing: Sequence[Wanted]) -> list[Found]:
    """Return the disks without room for the missing files; both places may be on one disk."""
    need: dict[int, int] = {}
    roots: dict[int, Path] = {}
    for want in missing:
        root = want.item.place.root
        root.mkdir(parents=True, exist_ok=True)
        device = root.stat().st_dev
        need[device] = need.get(device, 0) + want.left
        roots.setdefault(device, root)
    full = []
    for device, root in roots.items():
        free = max(shutil.disk_usage(root).free - MARGIN, 0)
        if need[device] > free:
            what = f"{gigabytes(need[device])} GB are needed, {gigabytes(free)} GB can be used"
            full.append(Found(str(root), "no_room", f"no space left: {what}"))
    return full


def _fetch_all(
    missing: Sequence[Wanted],
    hub: Hub,
    threads: int,
    say: Say,
    fail: Fail,
    replaced: Collection[Path],
) -> None:
    meter = Meter(len(missing), sum(want.left for want in missing), say)
    disk_full = Event()

    def fetch(want: Wanted) -> None:
        try:
            if disk_full.is_set():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left = want.left
            with alone_with(want.part, lambda: say(f"{want.item.name}: {BUSY}")) as part:
                if want.there and want.file not in replaced:  # downloaded meanwhile
                    want.part.unlink()
                    meter.add(left, want.item.name)
                else:
                    _fetch(want, part, hub, meter)
            want.item.place.note(want.file, _record(want))
        except (Refused, Passing) as e:
            fail(want.item, e)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                disk_full.set()
            fail(want.item, OSError(f"cannot be written: {e.strerror or e}"))
        meter.finish(want.item.name)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fetch, missing))


def _record(want: Wanted) -> dict[str, Any]:
    """Return the facts to record: size, and the hub's hash, which a downloaded file had."""
    size = want.facts.size if want.facts.size is not None else want.file.stat().st_size
    return {"size": size, **want.facts.hashes}


def _fetch(want: Wanted, part: IO[bytes], hub: Hub, meter: Meter) -> None:
    """Download the whole file and compare its content. Raises Refused, Passing, OSError."""
    tries = hub.tries
    while True:
        before = want.left
        try:
            _read_on(want, part, hub, meter)
            break
        except Passing:
            tries = hub.tries if want.left < before else tries - 1
            if tries <= 0:
                raise
            sleep(min(hub.pause_s * 2 ** (hub.tries - tries), 60))
    if wrong := wrong_content(want, want.part):
        want.part.unlink()
        raise Refused(wrong)
    want.part.replace(want.file)
    directory = os.open(want.file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read_on(want: Wanted, part: IO[bytes], hub: Hub, meter: Meter) -> None:
    """Download the bytes from the end of the part file to the end of the file."""
    size = want.facts.size
    begun = want.part.stat().st_size
    if begun and (size is None or begun > size):
        part.truncate(0)
        begun = 0
    if begun and begun == size:
        return
    with hub.open(want.item.entry, want.item.path, begun) as answer:
        if answer.status != 206:  # the server does not resume
            part.truncate(0)
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
            raise Passing(f"{hub.host} sent another part of the file")
        try:
            with _passing(hub):
                while block := answer.read(BLOCK):
                    part.write(block)
                    meter.add(len(block), want.item.name)
        finally:
            part.flush()
        os.fsync(part.fileno())
        cut = bool(answer.length)
    if cut or (size is not None and want.part.stat().st_size < size):
        raise Passing(f"{hub.host} ended in the middle of the file")


@contextmanager
def _passing(hub: Hub) -> Iterator[None]:
    """Turn a broken connection into Passing; raise other errors, as a full disk, as they are."""
    try:
        yield
    except (http.client.HTTPException, ssl.SSLError, ConnectionError, TimeoutError) as e:
        raise Passing(f"the connection to {hub.host} broke: {e}") from None
