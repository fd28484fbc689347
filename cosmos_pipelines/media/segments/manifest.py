"""The manifest of a Cryptomatte: the names of its ids, in the picture or in a file beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosmos_pipelines.errors import MediaError, named, shown
from cosmos_pipelines.foreign import parse_json, read_json
from cosmos_pipelines.media.readers.layers import PictureFacts
from cosmos_pipelines.media.readers.picture import read_facts

if TYPE_CHECKING:
    from cosmos_pipelines.media.segments.cryptomatte import Cryptomatte

MOST_BYTES: Final = 16 << 20
"""Of a manifest: 32,000 names make two million."""
_FILE: Final = re.compile("cryptomatte/[^/]{1,64}/manif_file")


def names_in(path: Path, matte: Cryptomatte) -> tuple[dict[int, str], str | None]:
    """The names of the ids by the manifest, and in words what is wrong with that.

    Raises:
        MediaError: the manifest is no JSON of names and ids, or is said to lie somewhere else than
            in the picture's directory.
    """
    what = f"The manifest of {matte.name} in {path}"
    if not matte.manif_file:
        text = matte.manifest
        return (
            (_names(parse_json(text, what, most=MOST_BYTES, kind=MediaError), what), None)
            if (text)
            else ({}, f"{matte.name} has no manifest: its segments are named by their ids")
        )
    file = _beside(path, matte.manif_file)
    if not os.path.lexists(file):
        return {}, f"there is no {file}: its segments are named by their ids"
    return _names(read_json(file, MOST_BYTES, kind=MediaError), str(file)), None


def manifests_beside(facts: PictureFacts, files: Iterable[Path]) -> tuple[Path, ...]:
    """The manifests that lie beside pictures, as each of them names its own.

    `facts`: of the first of `files`; where it names none, the headers of the others are not read.
    What is missing or lies elsewhere is left out, and what cannot be read: `names_in` tells it.
    """
    if not _said(facts):
        return ()
    found = {(path, one) for path in files for one in _said_in(path, facts)}
    return tuple(sorted(set(_there(found))))


def _said_in(path: Path, first: PictureFacts) -> set[str]:
    try:
        return _said(first if path == first.path else read_facts(path))
    except MediaError:
        return set()


def _said(facts: PictureFacts) -> set[str]:
    """The names of manifests in a picture's header."""
    written = facts.attributes.items()
    return {str(value) for key, value in written if value and _FILE.fullmatch(key)}


def _there(found: Iterable[tuple[Path, str]]) -> Iterator[Path]:
    for picture, said in found:
        try:
            file = _beside(picture, said)
        except MediaError:
            continue
        if file.is_file():
            yield file


def _beside(path: Path, said: str) -> Path:
    """The file that a picture says its manifest is in: below the directory of the picture."""
    root = path.parent.resolve()
    try:
        file = (root / said).resolve()
    except (OSError, ValueError, RuntimeError):
        file = root
    if "\\" in said or file == root or not file.is_relative_to(root):
        raise MediaError(
            f"{path} names a manifest outside of its directory ({shown(said)}), which is not read.",
            hint="Put it beside the picture.",
        )
    return file


def _names(value: Any, what: str) -> dict[int, str]:
    if not isinstance(value, dict):
        raise MediaError(f"{named(what)} is no JSON object of names and ids.")
    names: dict[int, str] = {}
    for name, written in sorted(value.items()):
        if not isinstance(written, str) or not re.fullmatch("[0-9a-fA-F]{1,8}", written):
            raise MediaError(
                f"{named(what)}: the id of {shown(name)} is {shown(written)}, not 8 hex digits."
            )
        names.setdefault(int(written, 16), name)
    return names
