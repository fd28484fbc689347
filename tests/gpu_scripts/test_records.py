"""What stands beside checkpoints or in a run folder is anybody's: it is read, or says nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_scripts.checkpoints.checkpoint_places import SCRIPTS

sys.path.append(str(SCRIPTS.parent / "checkpoints"))
sys.path.append(str(SCRIPTS.parent / "model"))
sys.path.append(str(SCRIPTS.parent / "preview"))

from checkpoints_manifest import Place, read_manifest
from model_needs import Refused, sizes_of
from model_request import read_fields
from preview_common import BadRequest, read_request

STRANGE = ["", "{", "3", "null", "[]", "[" * 100_000, '{"files": 3}', '{"files": [3]}',
           '{"files": {"a": 3}}', '{"files": {"a": {"size": 1e400}}}', '{"listed": 3}',
           '{"files": {"a": {"size": "x"}}, "listed": {"r@main": 3}}',
           '{"samples": 3}']  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=lambda x: x[:20])
def test_a_record_of_another_shape_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / ".cosmos-sizes.json").write_text(text)
    place = Place("checkpoints", tmp_path)
    assert place.known(tmp_path / "a") == {}
    assert sizes_of(tmp_path) == {}
    place.note(tmp_path / "a", {"size": 3})
    assert Place("checkpoints", tmp_path).known(tmp_path / "a") == {"size": 3}


@pytest.mark.parametrize("text", STRANGE, ids=lambda x: x[:20])
def test_a_manifest_or_request_of_another_shape_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    refusals: dict[Any, Any] = {
        read_manifest: ValueError,
        read_fields: Refused,
        lambda file: read_request(file, "transfer", ("run_id",)): BadRequest,
    }
    for read, error in refusals.items():
        try:
            read(tmp_path / "x.json")
        except error as e:
            assert str(e)


def test_what_was_recorded_is_known(tmp_path: Path) -> None:
    files = {"a": {"size": 3, "sha256": "x", "more": []}}
    (tmp_path / ".cosmos-sizes.json").write_text(json.dumps({"files": files}))
    assert Place("checkpoints", tmp_path).known(tmp_path / "a") == {"size": 3, "sha256": "x"}
    assert sizes_of(tmp_path) == {"a": 3}
