"""The OpenColorIO config by which colours are read and shown, and the names in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import PyOpenColorIO as ocio

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.media.colour.named import config_named
from cosmos_pipelines.media.files import saying_why_not_read

_SRGB: Final = ("srgb - display", "srgb")


class Colours:
    """A config as loaded: its spaces, displays and views, by the names that people type."""

    def __init__(self, config: Any, name: str) -> None:
        self.config, self.name = config, name

    @classmethod
    def load(cls, asked: str | None) -> Colours:
        """The config asked for (a file or `ocio://...`), else that of $OCIO, else the built-in one.

        Raises:
            MediaError: there is no such config, or it cannot be used.
        """
        named = config_named(asked)
        try:
            if named.startswith("ocio://"):
                config = ocio.Config.CreateFromBuiltinConfig(named)
            else:
                with saying_why_not_read(Path(named)):
                    Path(named).stat()
                ocio.ClearAllCaches()  # a table that was read before may be another now
                config = ocio.Config.CreateFromFile(named)
            config.validate()
        except ocio.Exception as e:
            by = "asked for" if asked else "of the variable OCIO"
            raise MediaError(
                f"The OpenColorIO config {named}, {by}, cannot be used: {first_line(e)}.",
                hint="Name another one, or leave it out.",
            ) from None
        config.setProcessorCacheFlags(ocio.PROCESSOR_CACHE_OFF)
        return cls(config, named.removeprefix("ocio://"))

    def space(self, wanted: str) -> str:
        """The colour space of that name or alias, as the config writes it.

        Raises:
            MediaError: there is none; the nearest ones are named.
        """
        if (found := self.space_if_there(wanted)) is not None:
            return found
        known = list(self.config.getColorSpaceNames())
        aliases = [a for n in known for a in self.config.getColorSpace(n).getAliases()]
        raise MediaError(
            f"There is no colour space {wanted!r} in the OpenColorIO config {self.name}.",
            hint=_nearest(wanted, [*known, *aliases], known),
        )

    def space_if_there(self, wanted: str) -> str | None:
        """As `space`; None where there is none."""
        found = self.config.getColorSpace(wanted)
        return None if found is None else str(found.getName())

    def is_data(self, space: str) -> bool:
        """Whether values of a space are no colours."""
        return bool(self.config.getColorSpace(space).isData())

    def display(self) -> str:
        """The display for which a video is made: that of sRGB, else the config's own default."""
        there = {name.lower(): name for name in self.config.getDisplays()}
        found = next((there[name] for name in _SRGB if name in there), None)
        return found or str(self.config.getDefaultDisplay())

    def view(self, wanted: str | None) -> str:
        """A view of that display by its name; the config's default where none is wanted.

        Raises:
            MediaError: there is none; the nearest ones are named.
        """
        display = self.display()
        if wanted is None:
            return str(self.config.getDefaultView(display))
        views = [str(view) for view in self.config.getViews(display)]
        found = {view.lower(): view for view in views}.get(wanted.lower())
        if found is None:
            raise MediaError(
                f"There is no view {wanted!r} of the display {display} in the OpenColorIO config "
                f"{self.name}.",
                hint=_nearest(wanted, views, views),
            )
        return found


def first_line(error: Exception) -> str:
    """What OpenColorIO says first, without a full stop."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")


def _nearest(wanted: str, names: Iterable[str], all_: Iterable[str]) -> str:
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wanted.lower(), lower, n=3, cutoff=0.5)
    said = [lower[name] for name in near] or list(all_)[:12]
    listed = ", ".join(map(repr, said))
    return f"Did you mean {listed}?" if near else f"It has {listed}."
