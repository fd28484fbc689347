"""Verify or download the checkpoints of a manifest, where they are used.

    checkpoints.py MANIFEST.json verify [--deep] [--only transfer,edge]
    checkpoints.py MANIFEST.json download [--deep] [--only ...]

Prints `PROBLEM <path>: <what>` for each file that is not as it should be, and progress as
`[12/31] 45 % ...`. `download --deep` brings anew what has a wrong hash. Exit code 0 if all is well,
1 if anything is not, 2 for wrong usage. The result is `outputs/checkpoints.json` of the run folder
(COSMOS_RUN_DIR), or else the last line.

COSMOS_CHECKPOINTS, HF_HOME: the places. HF_ENDPOINT: a mirror of https://huggingface.co. The token
is HF_TOKEN or the content of the file HF_TOKEN_PATH, which is removed as soon as it has been read.
To a mirror by plain http it is not sent, unless that is on this machine: one PROBLEM says so, and
what needs no token is brought all the same.
Standard library only, Python 3.10 or newer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from checkpoints_download import download
from checkpoints_hub import Hub
from checkpoints_manifest import (
    Entry,
    Place,
    chosen,
    places_of,
    read_manifest,
    with_companions,
    write_whole,
)
from checkpoints_verify import Found, Item, items_of, verify

ENDPOINT = "https://huggingface.co"
RESULT = "checkpoints.json"

_lock = Lock()


def say(line: str) -> None:
    """One line of the log, also from several threads."""
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class TokenGone(Exception):
    """Somebody has removed the token's file before it was read."""


def take_token(environment: MutableMapping[str, str]) -> str | None:
    """The token, which leaves the environment and its file.

    Raises:
        ValueError: it cannot be read, or cannot be a token.
        TokenGone: its file is not there, and there is no other.
    """
    token = environment.pop("HF_TOKEN", "")
    if path := environment.pop("HF_TOKEN_PATH", ""):
        try:
            token = token or Path(path).read_text(encoding="utf-8")
            Path(path).unlink()
        except FileNotFoundError:
            if not token.strip():
                raise TokenGone from None
        except (OSError, ValueError) as e:
            raise ValueError(f"the token in {path} cannot be read: {e}") from None
    token = token.strip()
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("what was given as a token is none")
    return token or None


def main(argv: Sequence[str] | None = None) -> int:
    """What the command line says."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    try:
        token = take_token(os.environ)
        only = [word for words in given.only for word in words.split(",") if word]
        known = read_manifest(given.manifest)
        entries = chosen(known, only)
        places = places_of(entries, dict(os.environ))
        address = os.environ.get("HF_ENDPOINT") or ENDPOINT
        asked = given.action == "download"
        hub = Hub(address, token, pause_s=given.pause) if asked else None
    except TokenGone:
        say("PROBLEM HF_TOKEN: it was removed before it was read")
        return 1
    except ValueError as e:
        sys.stderr.write(f"checkpoints.py: {e}\n")
        return 2
    failed: list[Found] = []
    if hub:
        if hub.withholds:
            say(f"PROBLEM HF_TOKEN: not sent to {hub.host}: over http anybody could read it")
        whole = with_companions(entries, known, places)
        failed = download(whole, places, hub, threads=given.threads, say=say)
    found = _verified(entries, places, failed, given)
    if hub and given.deep:
        found = _repaired(entries, places, found, hub, given.threads)
    result = _result(given, found, time.monotonic() - began)
    _tell(result)
    return 0 if result["well"] else 1


def _verified(
    entries: Sequence[Entry],
    places: dict[str, Place],
    failed: Sequence[Found],
    given: argparse.Namespace,
) -> list[Found]:
    """What failed to come, and how all the others are."""
    told = {one.path for one in failed}
    items = [item for item in items_of(entries, places) if item.name not in told]
    # Where nothing was downloaded for want of room, that is the one thing to say.
    silent = any(one.state == "no_room" for one in failed)
    found = verify(
        items, deep=given.deep, threads=given.threads, say=(lambda _: None) if silent else say
    )
    return [*failed, *found]


def _repaired(
    entries: Sequence[Entry],
    places: dict[str, Place],
    found: Sequence[Found],
    hub: Hub,
    threads: int,
) -> list[Found]:
    """Bring anew what has another hash than it should; what is there stays until that is whole."""
    rotten = {one.path for one in found if one.state == "wrong_hash"}
    items = [item for item in items_of(entries, places) if item.name in rotten]
    if not items:
        return list(found)
    say(f"{len(items)} files have another content than they should: they are brought anew.")
    anew = {item.file for item in items if item.file}
    failed = download([_alone(item) for item in items], places, hub,
                      threads=threads, say=say, anew=anew)  # fmt: skip
    told = {one.path for one in failed}
    again = [item for item in items if item.name not in told]
    repaired = verify(again, deep=True, threads=threads, say=say)
    return [*failed, *repaired, *(one for one in found if one.path not in rotten)]


def _alone(item: Item) -> Entry:
    """The entry of one file only."""
    if not item.entry.several:
        return item.entry
    return replace(item.entry, path=item.path, exclude=(), size=None, md5=None)


def _result(given: argparse.Namespace, found: Sequence[Found], seconds: float) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for one in found:
        counts[one.state] = counts.get(one.state, 0) + 1
    return {
        "action": given.action,
        "deep": given.deep,
        "well": all(one.well for one in found),
        "counts": counts,
        "bytes": sum(one.size for one in found),
        "seconds": round(seconds, 1),
        "files": [one.as_dict() for one in found],
    }


def _tell(result: dict[str, Any]) -> None:
    counts = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in result["counts"].items())
    say(f"{len(result['files'])} files, {result['bytes'] / 1e9:.1f} GB: {counts or 'none'}.")
    text = json.dumps(result, sort_keys=True)
    if folder := os.environ.get("COSMOS_RUN_DIR"):
        write_whole(Path(folder) / "outputs" / RESULT, text + "\n")
    else:
        say(text)


def _parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("action", choices=("verify", "download"))
    parser.add_argument("--deep", action="store_true", help="compare hashes, not only sizes")
    parser.add_argument("--only", action="append", default=[], metavar="WORD,...",
                        help="operations and controls; default: all")  # fmt: skip
    threads = min(8, max(2, os.cpu_count() or 2))
    parser.add_argument("--threads", type=int, default=threads, help="files at a time")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds before the first retry")
    return parser


if __name__ == "__main__":
    sys.exit(main())
