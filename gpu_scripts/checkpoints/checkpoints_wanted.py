"""A file that a hub has, and whether what lies here is its content. Standard library only."""

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
    def has_come(self) -> bool:
        """Whether it is there now; a size that nobody tells cannot be wrong."""
        return self.file.is_file() if self.facts.size is None else self.there

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        begun = self.part.stat().st_size if self.part.is_file() else 0
        return max((self.facts.size or 0) - begun, 0)


def wrong_content(one: Wanted, file: Path) -> str | None:
    """Why the content is not what it should be; None if it is, as far as anyone has said."""
    size = file.stat().st_size
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
    for block in blocks(file):
        for digest in digests.values():
            digest.update(block)
    for kind, digest in digests.items():
        if digest.hexdigest() != wanted[kind]:
            return f"its {kind} is {digest.hexdigest()} instead of {wanted[kind]}"
    return None


def reuse(one: Wanted) -> bool:
    """Have it as a hard link to the same content of an older commit; whether there was one."""
    if not one.facts.hashes:
        return False
    for old in one.item.place.older(one.item.entry, one.item.path):
        with suppress(OSError):  # then it is fetched
            if old == one.file or old.stat().st_size != one.facts.size:
                continue
            if wrong_content(one, old):
                continue
            one.file.parent.mkdir(parents=True, exist_ok=True)
            link = one.file.with_name(f".{one.file.name}.{uuid.uuid4().hex}.part")
            os.link(old.resolve(), link)
            link.replace(one.file)
            link.unlink(missing_ok=True)  # still there where both were the same file already
            one.part.unlink(missing_ok=True)
            return True
    return False
