"""Where engines come from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cosmos_pipelines.engines import ENGINES, engine_named, label_of
from cosmos_pipelines.engines.registry import OURS, TAKEN
from cosmos_pipelines.errors import UnknownId
from cosmos_pipelines.settings import Settings


def test_ours_come_first_and_in_their_order() -> None:
    names = [entry.name for entry in OURS]
    assert ENGINES.names()[: len(names)] == [*ENGINES][: len(names)] == names
    assert [engine_named(name).name for name in names] == names


def test_no_engine_can_have_the_name_of_another_setting() -> None:
    assert set(Settings.model_fields) == TAKEN


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownId, match="Did you mean cosmos_transfer1"):
        engine_named("cosmos_tranfer1")
    assert label_of("cosmos_tranfer1") == "cosmos_tranfer1"
    assert "cosmos_tranfer1" not in ENGINES


def test_an_engine_is_loaded_when_it_is_asked_for() -> None:
    program = (
        "import sys\n"
        "from cosmos_pipelines.engines import ENGINES\n"
        "ENGINES['preview']\n"
        "print([m for m in sys.modules if m.startswith('cosmos_pipelines.engines.cosmos')])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert done.stdout == b"[]\n"
