"""Cryptomattes as a renderer writes them, by the specification 1.2.0 of Psyop."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from cosmos_pipelines.media.pixels import Array


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32."""

    def rotated(x: int, by: int) -> int:
        return (x << by | x >> (32 - by)) & 0xFFFFFFFF

    def mixed(k: int) -> int:
        return rotated(k * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF

    h = seed
    whole = len(data) & ~3
    for (k,) in struct.iter_unpack("<I", data[:whole]):
        h = (rotated(h ^ mixed(k), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    if tail := data[whole:]:
        h ^= mixed(int.from_bytes(tail, "little"))
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


def id_of(name: str) -> int:
    """The bits of a name's float: neither zero, subnormal, infinite nor no number."""
    bits = murmur3_32(name.encode())
    return bits ^ 1 << 23 if bits >> 23 & 255 in (0, 255) else bits


def ranked(masks: Mapping[str, Array], levels: int = 6) -> Array:
    """(height, width, 2 * levels) float32: id and coverage, the largest coverage first."""
    names = list(masks)
    cover = np.stack([masks[name] for name in names]).astype(np.float32)
    order = np.argsort(-cover, axis=0, kind="stable")[:levels]
    ids = np.array([id_of(name) for name in names], np.uint32)
    share = np.take_along_axis(cover, order, 0)
    out = np.zeros((*cover.shape[1:], 2 * levels), np.float32)
    best = np.where(share > 0, ids[order], np.uint32(0))
    out[..., 0 : 2 * len(order) : 2] = np.moveaxis(best.view(np.float32), 0, -1)
    out[..., 1 : 2 * len(order) : 2] = np.moveaxis(share, 0, -1)
    return out


def metadata(name: str, **facts: str) -> dict[str, str]:
    """What a file says of one cryptomatte; `manifest`, `manif_file` or neither."""
    key = f"{id_of(name):08x}"[:7]
    told = {"name": name, "hash": "MurmurHash3_32", "conversion": "uint32_to_float32", **facts}
    return {f"cryptomatte/{key}/{one}": value for one, value in told.items()}


def manifest(names: Sequence[str]) -> str:
    """The JSON of names and ids."""
    return json.dumps({name: f"{id_of(name):08x}" for name in names})


def write(
    path: Path,
    mattes: Mapping[str, Array],
    attributes: Mapping[str, str] | None = None,
    *,
    kind: str = "float",
    compression: str = "zip",
    channels: str = "RGBA",
) -> None:
    """Write an EXR with a beauty layer and the ranks of each cryptomatte in NAME00, NAME01, ..."""
    beauty = np.full((*next(iter(mattes.values())).shape[:2], 3), 0.5, np.float32)
    values, names = [beauty], ["R", "G", "B"]
    for name, pairs in mattes.items():
        for level in range(pairs.shape[2] // 4):
            values.append(pairs[..., 4 * level : 4 * level + 4])
            names += [f"{name}{level:02d}.{c}" for c in channels]
    pixels = np.concatenate(values, axis=2)
    spec: Any = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.channelnames = tuple(names)
    spec.attribute("compression", compression)
    for one, value in (attributes or {}).items():
        spec.attribute(one, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    out.close()
