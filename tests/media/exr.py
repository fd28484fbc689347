"""Write pictures with OpenImageIO, as renderers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio


def write_picture(
    path: Path,
    values: np.ndarray[Any, Any],
    *,
    channels: Sequence[str] = (),
    kind: str = "",
    **attributes: Any,
) -> Path:
    """Write (height, width, channels) values; the suffix decides the format. Returns `path`.

    `attributes`: names with `__` for a colon, so that `oiio__ColorSpace` is `oiio:ColorSpace`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, count = values.shape
    spec = oiio.ImageSpec(width, height, count, kind or str(values.dtype))
    if channels:
        spec.channelnames = tuple(channels)
    for name, value in attributes.items():
        _set(spec, name.replace("__", ":"), value)
    out = oiio.ImageOutput.create(str(path))
    assert out, oiio.geterror()
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(values), out.geterror()
    out.close()
    return path


def write_parts(
    path: Path, parts: Mapping[str, tuple[Sequence[str], np.ndarray[Any, Any]]]
) -> Path:
    """Write an EXR of several parts: name -> channels, (height, width, channels) float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    specs = []
    for name, (channels, values) in parts.items():
        spec = oiio.ImageSpec(values.shape[1], values.shape[0], values.shape[2], "float")
        spec.channelnames = tuple(channels)
        spec.attribute("oiio:subimagename", name)
        specs.append(spec)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)), out.geterror()
    for n, (spec, (_, values)) in enumerate(zip(specs, parts.values(), strict=True)):
        if n:
            assert out.open(str(path), spec, "AppendSubimage"), out.geterror()
        assert out.write_image(values), out.geterror()
    out.close()
    return path


def _set(spec: Any, name: str, value: Any) -> None:
    if isinstance(value, tuple):
        spec.attribute(name, f"float[{len(value)}]", value)
    else:
        spec.attribute(name, value)
