"""A file of a hub, and whether a local file has the same content. Standard library only."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from checkpoints_hub import Facts
from checkpoints_verify import Item, blocks, new_hash


@dataclass(frozen=True)
class Wanted:
    """A file with the hub's facts."""

    item: Item
    facts: Facts

    @property
    def file(self) -> Path:
        """The file's path after the download."""
        assert self.item.file is not None
        return self.item.file

    @property
    def part(self) -> Path:
        """The file's path until the file is whole; another content has another name."""
        tag = "".join(c for c in self.facts.etag if c.isalnum())[:16] or "any"
        return self.file.with_name(f".{self.file.name}.{tag}.part")

    @property
    def there(self) -> bool:
        """Whether the file exists with the hub's size; False if the size is not known."""
        if not self.file.is_file() or self.facts.size is None:
            return False
        return self.file.stat().st_size == self.facts.size

    @property
    def has_come(self) -> bool:
        """Whether the file exists, with the hub's size if that is known."""
        return self.file.is_file() if self.facts.size is None else self.there

    @property
    def left(self) -> int:
        """Number of bytes that are not downloaded yet."""
        begun = self.part.stat().st_size if self.part.is_file() else 0
        return max((self.facts.size or 0) - begun, 0)


def wrong_content(want: Wanted, file: Path) -> str | None:
    """Return why the content is wrong; None if it agrees with the hub and the manifest."""
    size = file.stat().st_size
    entry = want.item.entry
    wanted = {**want.facts.hashes}
    if not entry.several:
        if entry.size is not None and size != entry.size:
            return f"the hub's file has {size} bytes instead of {entry.size}"
        if entry.md5:
            wanted["md5"] = entry.md5
    if want.facts.size is not None and size != want.facts.size:
        return f"the download has {size} bytes instead of {want.facts.size}"
    digests = {kind: new_hash(kind, size) for kind in wanted}
    for block in blocks(file):
        for digest in digests.values():
            digest.update(block)
    for kind, digest in digests.items():
        if digest.hexdigest() != wanted[kind]:
            return f"its {kind} is {digest.hexdigest()} instead of {wanted[kind]}"
    return None


def reuse(want: Wanted) -> bool:
    """Make the file a hard link to the same content of an older commit; False if none has it."""
    if not want.facts.hashes:
        return False
    for old in want.item.place.older(want.item.entry, want.item.path):
        with suppress(OSError):  # then the file is downloaded
            if old == want.file or old.stat().st_size != want.facts.size:
                continue
            if wrong_content(want, old):
                continue
            want.file.parent.mkdir(parents=True, exist_ok=True)
            link = want.file.with_name(f".{want.file.name}.{uuid.uuid4().hex}.part")
            os.link(old.resolve(), link)
            link.replace(want.file)
            link.unlink(missing_ok=True)  # `link` remains if both were the same file before
            want.part.unlink(missing_ok=True)
            return True
    return False
