"""The files that an OpenColorIO config names: tables and grades of its spaces, looks and views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PyOpenColorIO as ocio


def files_named_in(file: Path) -> list[Path]:
    """The files that a config names and that are there, in the order of their paths.

    They are looked for as OpenColorIO does it: in the config's search path, with the variables of
    the environment. [] for a config that cannot be loaded: whoever uses it says why. What lies in
    an archive (`.ocioz`) is a part of that.
    """
    try:
        config = ocio.Config.CreateFromFile(str(file))
    except ocio.Exception:
        return []
    context, found = config.getCurrentContext(), set[Path]()
    for name in {one.getSrc() for one in _transforms(config) if _is_of_a_file(one)}:
        try:
            path = Path(context.resolveFileLocation(name))
        except ocio.Exception:
            continue
        if path.is_file():
            found.add(path)
    return sorted(found)


def _is_of_a_file(transform: Any) -> bool:
    return isinstance(transform, ocio.FileTransform)


def _transforms(config: Any) -> Iterator[Any]:
    """All transforms of a config, and those that they are made of."""
    spaces = config.getColorSpaces(ocio.SEARCH_REFERENCE_SPACE_ALL, ocio.COLORSPACE_ALL)
    for space in spaces:
        yield from _parts(space.getTransform(ocio.COLORSPACE_DIR_TO_REFERENCE))
        yield from _parts(space.getTransform(ocio.COLORSPACE_DIR_FROM_REFERENCE))
    for look in config.getLooks():
        yield from _parts(look.getTransform())
        yield from _parts(look.getInverseTransform())
    for view in config.getViewTransforms():
        yield from _parts(view.getTransform(ocio.VIEWTRANSFORM_DIR_TO_REFERENCE))
        yield from _parts(view.getTransform(ocio.VIEWTRANSFORM_DIR_FROM_REFERENCE))
    for named in config.getNamedTransforms(ocio.NAMEDTRANSFORM_ALL):
        yield from _parts(named.getTransform(ocio.TRANSFORM_DIR_FORWARD))
        yield from _parts(named.getTransform(ocio.TRANSFORM_DIR_INVERSE))


def _parts(transform: Any) -> Iterator[Any]:
    """A transform, or those of a group; nothing of None."""
    if isinstance(transform, ocio.GroupTransform):
        for one in transform:
            yield from _parts(one)
    elif transform is not None:
        yield transform
