"""The CPU program for enhance, and its rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.engines.preview import MAX_TEXT
from cosmos_pipelines.operations import Enhance, Job, Video
from gpu_scripts.preview.preview_words import MAX_LENGTH, Seen, rewritten
from tests.support.preview_orders import made
from tests.support.videos import measured, write_scene, write_video

DAY = Seen(brightness=0.7, contrast=0.1, saturation=0.4, hue=210, wide=True)
NIGHT = Seen(brightness=0.1, contrast=0.3, saturation=0.02, hue=30, wide=False)


def job(name: str, video: Video, text: str = "A house on a plain", **settings: int) -> Job:
    operation = Enhance.parse(settings)
    return Job(run_id=f"rs_{name}", operation=operation, text=text, inputs={"color": video})


@pytest.fixture(scope="module")
def color(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return measured(write_scene(tmp_path_factory.mktemp("scene"), frames=3) / "color.mp4")


def test_a_prompt_becomes_a_fuller_prompt(color: Video, tmp_path: Path) -> None:
    done = made([job("a", color)], tmp_path / "run")
    assert done.exit_code == 0, done.log
    text = done.output("rs_a").read_text().strip()
    assert text.startswith("A house on a plain. ")
    assert text.count(".") >= 4


def test_the_same_prompt_picture_and_seed_give_the_same_text(color: Video, tmp_path: Path) -> None:
    jobs = [job("a", color, seed=3), job("b", color, seed=3), job("c", color, seed=4)]
    done = made(jobs, tmp_path / "run")
    a, b, c = (done.output(f"rs_{name}").read_text() for name in "abc")
    assert a == b != c


def test_the_picture_is_looked_at(tmp_path: Path) -> None:
    shades = {
        "dark": np.full((48, 96, 3), 20, np.uint8),
        "blue": np.full((48, 96, 3), (130, 180, 250), np.uint8),
    }
    videos = {n: measured(write_video(tmp_path / f"{n}.mp4", [p])) for n, p in shades.items()}
    done = made([job(n, v, "A ball") for n, v in videos.items()], tmp_path / "run")
    dark, blue = (done.output(f"rs_{n}").read_text() for n in shades)
    assert "almost neutral palette" in dark
    assert "shadow" in dark
    assert "steel blue" in blue


def test_a_colour_pass_that_cannot_be_read_fails_only_its_sample(
    color: Video, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    bad = color.model_copy(update={"path": str(broken), "sha256": "b" * 64})
    done = made([job("bad", bad), job("good", color)], tmp_path / "run")
    assert done.exit_code == 1
    assert done.outputs() == ["rs_good.txt"]
    assert "FAILED rs_bad: cannot read color-bbbbbbbbbbbbbbbb.mp4" in done.log


def test_words_on_light_go_before_what_the_picture_shows() -> None:
    assert "warm sunlight" in rewritten("A street at sunset", NIGHT, 1)
    assert "warm sunlight" not in rewritten("A street", NIGHT, 1)


def test_a_text_without_latin_letters_is_kept() -> None:
    assert rewritten("夜の東京。", DAY, 1).startswith("夜の東京。 ")


TEXTS = st.text(min_size=1, max_size=300).filter(str.strip)


@given(TEXTS, st.sampled_from([DAY, NIGHT, None]), st.integers(0, 2**31 - 1))
def test_the_result_is_another_text_that_keeps_the_users_words(
    text: str, seen: Seen | None, seed: int
) -> None:
    result = rewritten(text, seen, seed)
    assert result != text
    assert " ".join(text.split())[1:] in result
    assert result == rewritten(text, seen, seed)


def test_an_enhanced_prompt_can_be_enhanced_again_and_again() -> None:
    text = "A street"
    for _ in range(60):
        longer = rewritten(text, DAY, 1)
        assert longer != text
        text = longer
    assert len(text) <= MAX_LENGTH


def test_the_longest_prompt_that_is_accepted_stays_below_the_limit() -> None:
    text = "x" * MAX_TEXT
    assert len(text) < len(rewritten(text, DAY, 1)) <= MAX_LENGTH
