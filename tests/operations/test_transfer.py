"""Transfers: the weights that a scene leaves open."""

from __future__ import annotations

import pytest

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations import ControlWeights, Transfer


@pytest.mark.parametrize(
    ("passes", "computed", "weights"),
    [
        ({"color"}, {"vis", "edge"}, {"vis": 0.5, "edge": 0.5}),
        ({"depth"}, {"vis", "edge", "seg"}, {"vis": 0.3333, "edge": 0.3333, "depth": 0.3333}),
        ({"color", "depth"}, (), {"depth": 1.0}),
    ],
)
def test_open_weights_are_equal_over_what_the_scene_has_or_is_usually_computed(
    passes: set[str], computed: set[str], weights: dict[str, float]
) -> None:
    assert Transfer().for_scene(passes, computed).weights == ControlWeights(**weights)


def test_a_scene_that_nothing_can_steer_is_refused() -> None:
    with pytest.raises(InputError, match="no pass for a control"):
        Transfer().for_scene({"color"}, ())
