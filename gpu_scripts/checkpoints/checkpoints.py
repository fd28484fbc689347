"""Verify or download the checkpoints of a manifest on the machine that uses the checkpoints.

    checkpoints.py MANIFEST.json verify [--deep] [--only transfer,edge]
    checkpoints.py MANIFEST.json download [--deep] [--only ...]

Prints `PROBLEM <path>: <problem>` for each missing or wrong file, and progress as
`[12/31] 45 % ...`. `download --deep` downloads files with a wrong hash again. Exit code 0: all
files are right; 1: a file has a problem; 2: wrong usage. The result is `outputs/checkpoints.json`
of the run folder (COSMOS_RUN_DIR), or else the last line.

COSMOS_CHECKPOINTS, HF_HOME: the two places. HF_ENDPOINT: a mirror of https://huggingface.co. The
token is HF_TOKEN or the content of the file HF_TOKEN_PATH; the file is removed after the reading.
The token is not sent to a mirror over plain http, unless the mirror is on this machine: one PROBLEM
line says so, and the files that need no token are downloaded all the same.
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
    """Write one line of the log; several threads may call this."""
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class TokenGone(Exception):
    """The token's file was removed before this program read the file."""


def take_token(environment: MutableMapping[str, str]) -> str | None:
    """Return the token; remove it from the environment, and remove its file.

    Raises:
        ValueError: the token cannot be read, or the text cannot be a token.
        TokenGone: the token's file does not exist, and HF_TOKEN is empty.
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
        raise ValueError("the token has spaces, control characters or characters outside ASCII")
    return token or None


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
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
        say("PROBLEM HF_TOKEN: the token's file was removed before it was read")
        return 1
    except ValueError as e:
        sys.stderr.write(f"checkpoints.py: {e}\n")
        return 2
    failed: list[Found] = []
    if hub:
        if hub.withholds:
            say(f"PROBLEM HF_TOKEN: not sent to {hub.host}: anybody could read it over http")
        whole = with_companions(entries, known, places)
        failed = download(whole, places, hub, threads=given.threads, say=say)
    found = _verified(entries, places, failed, given)
    if hub and given.deep:
        found = _repaired(entries, places, found, hub, given.threads)
    result = _result(given, found, time.monotonic() - began)
    _report(result)
    return 0 if result["well"] else 1


def _verified(
    entries: Sequence[Entry],
    places: dict[str, Place],
    failed: Sequence[Found],
    given: argparse.Namespace,
) -> list[Found]:
    """Return the failed downloads, and the results of the check of all other files."""
    failed_paths = {found.path for found in failed}
    items = [item for item in items_of(entries, places) if item.name not in failed_paths]
    # If the disk has no room for the download, the log shows only this problem.
    silent = any(found.state == "no_room" for found in failed)
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
    """Download files with a wrong hash again; the old file stays until the new file is whole."""
    damaged = {result.path for result in found if result.state == "wrong_hash"}
    items = [item for item in items_of(entries, places) if item.name in damaged]
    if not items:
        return list(found)
    say(f"{len(items)} files have a wrong hash: they are downloaded again.")
    replaced = {item.file for item in items if item.file}
    failed = download([_alone(item) for item in items], places, hub,
                      threads=threads, say=say, replaced=replaced)  # fmt: skip
    failed_paths = {found.path for found in failed}
    downloaded = [item for item in items if item.name not in failed_paths]
    repaired = verify(downloaded, deep=True, threads=threads, say=say)
    return [*failed, *repaired, *(result for result in found if result.path not in damaged)]


def _alone(item: Item) -> Entry:
    """Return an entry for one file only."""
    if not item.entry.several:
        return item.entry
    return replace(item.entry, path=item.path, exclude=(), size=None, md5=None)


def _result(given: argparse.Namespace, found: Sequence[Found], seconds: float) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for file in found:
        counts[file.state] = counts.get(file.state, 0) + 1
    return {
        "action": given.action,
        "deep": given.deep,
        "well": all(file.well for file in found),
        "counts": counts,
        "bytes": sum(file.size for file in found),
        "seconds": round(seconds, 1),
        "files": [file.as_dict() for file in found],
    }


def _report(result: dict[str, Any]) -> None:
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
