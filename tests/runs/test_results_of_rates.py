"""A received video is verified against the predicted rate, as its writer spells it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from cosmos_pipelines.errors import RunFailed
from cosmos_pipelines.operations.base import Expected
from cosmos_pipelines.runs.results import verify_video
from tests.models.running import clip


def verified(tmp_path: Path, written: str, predicted: str) -> None:
    video = clip(tmp_path / f"{written.replace('/', '_')}.mp4", 5, rate=written)
    expected = Expected(
        run_id="rs_1", name="rs_1.mp4", kind="video", width=64, height=36, frames=5, fps=predicted
    )
    verify_video("rs_1", expected, video)


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60000/1001", "15000/1001", "100/3"])
def test_two_decimals_of_the_writer_are_the_predicted_rate(tmp_path: Path, rate: str) -> None:
    verified(tmp_path, str(Fraction(f"{float(Fraction(rate)):.2f}")), rate)


def test_another_rate_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="fps 24 instead of 24000/1001"):
        verified(tmp_path, "24", "24000/1001")
