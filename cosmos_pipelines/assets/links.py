"""Links in what Dagster's page shows: to its own partitions, and to the review page.

Links to partitions begin with `/`, as they are on the page that shows them. Links to the review
page do so too, except on a page of Dagster's that `cosmos ui` does not serve: there they begin with
the `address` of `[ui]`, and without one there are none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import dagster as dg

from cosmos_pipelines.settings import Settings, under_another_page

INLINE: Final = 1000
"""Characters from which on Dagster's page folds Markdown."""
_MARKS: Final = re.compile(r"([\\`*\[\]<>&!|~#(){}])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLANKS: Final = re.compile(r"\s+")


@dataclass(frozen=True)
class Links:
    """Makes the links of one project, for the page that this process belongs to."""

    address: str | None
    """What URLs of the review page begin with; None: they would lead nowhere."""

    @classmethod
    def of(cls, settings: Settings) -> Links:
        """The links that work where this process records something."""
        return cls(settings.ui.address if under_another_page() else "")

    def review(self, path: str, **filters: str) -> str | None:
        """The URL of a screen below /cosmos/, or of the wall with these filters."""
        if self.address is None:
            return None
        query = f"?{urlencode(filters)}" if filters else ""
        return f"{self.address}/cosmos/{path}{query}"

    def run(self, run_id: str, partition: tuple[dg.AssetKey, str] | None = None) -> Any:
        """A run's id as a link to its screen, and to its partition."""
        return self._both(run_id, self.review(f"run/{quote(run_id, safe='')}"), partition)

    def prompt(self, prompt_id: str, partition: tuple[dg.AssetKey, str]) -> Any:
        """A prompt's id as a link to its screen, and to its partition."""
        return self._both(prompt_id, self.review(f"prompt/{quote(prompt_id, safe='')}"), partition)

    def scene(self, key: str, partition: tuple[dg.AssetKey, str]) -> Any:
        """A scene's key as a link to the wall of what was made of it, and to its partition."""
        return self._both(key, self.review("", scene=key), partition)

    def wall(self, text: str, **filters: str) -> Any:
        """A text as a link to the wall with these filters."""
        return self._both(text, self.review("", **filters), None)

    def log(self, run_id: str) -> Any | None:
        """A link to the log of a run; None: there is no page for it."""
        url = self.review(f"run/{quote(run_id, safe='')}#log")
        return url and dg.MetadataValue.md(link("log", url))

    def partition(self, text: str, partition: tuple[dg.AssetKey, str]) -> Any:
        """A text as a link to a partition on Dagster's page alone."""
        return self._both(text, None, partition)

    def list_of(self, values: list[Any]) -> Any:
        """Several of the above as one value."""
        return dg.MetadataValue.md(", ".join(_markdown(value) for value in values))

    def _both(self, text: str, page: str | None, partition: tuple[dg.AssetKey, str] | None) -> Any:
        beside = partition_url(*partition) if partition else None
        if page is None and beside is None:
            return dg.MetadataValue.text(text)
        made = link(text, page or str(beside))
        if page and beside:
            made += f" ({link('partition', beside)})"
        return dg.MetadataValue.md(made) if len(made) < INLINE else dg.MetadataValue.text(text)


def partition_url(asset: dg.AssetKey, key: str) -> str:
    """The URL of a partition on Dagster's page."""
    name = "/".join(quote(part, safe="") for part in asset.path)
    return f"/assets/{name}?{urlencode({'view': 'partitions', 'partition': key})}"


def link(text: str, url: str) -> str:
    """A link in Markdown; `text` is not read as Markdown."""
    return f"[{_escaped(text)}]({url})"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", _BLANKS.sub(" ", text))


def _markdown(value: Any) -> str:
    if isinstance(value, dg.MarkdownMetadataValue):
        return str(value.md_str)
    return _escaped(str(value.value))
