"""Each pattern has a real line of NVIDIA's code, and each line is understood."""

from __future__ import annotations

import re
from typing import Any

from cosmos_pipelines.engines import engine_named
from cosmos_pipelines.engines.gpu_faults import GPU_FAULTS
from tests.engines.nvidia_lines import ALL, FAILURES, MARKS, NO_FAILURES
from tests.engines.test_cosmos import says


def says_of(name: str) -> dict[str, Any]:
    return says(engine_named(name))


def first(patterns: list[str], line: str) -> str | None:
    """The pattern that `model_run.py` finds first in a line, its white space cut off."""
    return next((p for p in patterns if re.search(p, line.strip())), None)


def test_every_pattern_is_the_first_that_fits_some_real_line() -> None:
    of_drivers = {pattern for _, pattern, _ in GPU_FAULTS}  # see test_cosmos_lines.py
    for name in ALL:
        said = says_of(name)
        failures = [pattern for _, pattern, _ in said["failures"]]
        fit = {first(failures, line) for engines, _, line in FAILURES if name in engines}
        assert set(failures) - of_drivers - fit == set(), name
        for what in ("loaded", "begins", "chunk", "step"):
            lines = [line for engine, mark, _, line in MARKS if (engine, mark) == (name, what)]
            assert set(said[what]) == {first(said[what], line) for line in lines}, (name, what)


def test_every_real_line_of_a_failure_is_understood_and_no_other_is() -> None:
    for engines, place, line in FAILURES:
        for name in engines:
            failures = [pattern for _, pattern, _ in says_of(name)["failures"]]
            assert first(failures, line), (name, place)
            assert not first(says_of(name)["ignores"], line), (name, place)
    for engines, place, line in NO_FAILURES:
        assert all(first(says_of(name)["ignores"], line) for name in engines), place
