"""Pictures that are needed a second time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.media.kept_pictures import keeping, packed


def test_kept_pictures_come_again_in_order_and_leave_nothing(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(i).integers(0, 256, (36, 64, 3), "u1") for i in range(4)]
    cut = [p[:30, :50] for p in pictures]
    with keeping(tmp_path) as kept:
        for p in cut:
            kept.add(packed(p))
        for _ in range(2):
            assert all(np.array_equal(a, b) for a, b in zip(kept.again(), cut, strict=True))
    assert list(tmp_path.iterdir()) == []


def test_kept_pictures_leave_nothing_where_encoding_fails(tmp_path: Path) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(RuntimeError), keeping(tmp_path) as kept:
        kept.add(packed(picture))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
