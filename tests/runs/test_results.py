"""What a result may be, before it comes home."""

from __future__ import annotations

import pytest

from cosmos_pipelines.errors import RunFailed
from cosmos_pipelines.operations.base import Expected
from cosmos_pipelines.runs.results import check_size

VIDEO = Expected(run_id="rs_1", name="a.mp4", kind="video", width=1280, height=704, frames=121)
TEXT = Expected(run_id="rs_1", name="a.txt", kind="text")


@pytest.mark.parametrize(
    ("expected", "size"), [(VIDEO, 0), (VIDEO, 700_000_000), (VIDEO, None), (TEXT, 9000)]
)
def test_a_result_of_a_possible_size_is_collected(expected: Expected, size: int | None) -> None:
    check_size("rs_1", expected, size)


@pytest.mark.parametrize(("expected", "size"), [(VIDEO, 3 * 10**12), (TEXT, 400_000_000)])
def test_a_result_that_cannot_be_so_large_is_refused_before_it_comes(
    expected: Expected, size: int
) -> None:
    with pytest.raises(RunFailed, match=f"has {size} bytes; at most") as e:
        check_size("rs_1", expected, size)
    assert e.value.kind == "output_missing"
