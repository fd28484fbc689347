"""What a GPU host keeps for us is read as what it should be, whatever stands there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.hosts.records import read_checkpoints, read_set_up, read_sizes

FOUND = {
    "action": "verify", "deep": False, "well": True, "counts": {"ok": 1}, "bytes": 3,
    "seconds": 0.5, "files": [{"path": "a/b", "state": "ok", "what": "", "size": 3}],
}  # fmt: skip


def test_what_was_written_comes_back() -> None:
    smoke = {"passed": True, "found": ["torch"], "missing": [], "exit_code": 0, "image_digest": "x"}
    told = {"engine": "cosmos3", "image_id": "i", "dockerfile": None, "smoke": smoke}
    found = read_set_up(json.dumps(told | {"recorded_at": "2026-01-01T00:00:00+00:00"}))
    assert found is not None
    assert found.smoke is not None
    assert (found.image_id, found.smoke.passed, found.smoke.image_digest) == ("i", True, "x")
    sizes = {"files": {"a/b": {"size": 3, "sha256": "x"}, "c": {}}, "listed": {}}
    assert read_sizes(json.dumps(sizes)) == {"a/b": 3}
    assert read_checkpoints(json.dumps(FOUND)) == FOUND


STRANGE: list[Any] = [
    "", "{", "3", "null", "[]", '"x"', "[" * 100_000, '{"files": 3}', '{"files": {"a": 3}}',
    '{"files": {"a": {"size": "3"}}}', '{"files": {"a": {"size": NaN}}}', '{"smoke": 3}',
    '{"smoke": {"passed": "yes"}}', '{"smoke": {"missing": 3}}', '{"recorded_at": 3}',
    '{"smoke": {"exit_code": 1e400}}',
]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE, ids=lambda x: x[:20])
def test_records_of_another_shape_say_nothing(text: str) -> None:
    assert read_sizes(text) == {}
    assert read_set_up(text) is None or '"files"' in text
    with pytest.raises(InputError, match=r"checkpoints\.json"):
        read_checkpoints(text)


@pytest.mark.parametrize("field", FOUND)
def test_each_field_of_the_checkpoints_has_its_type(field: str) -> None:
    for wrong in (None, "x", [3], {"a": "b"}):
        if field == "action" and wrong == "x":
            continue
        with pytest.raises(InputError, match=field):
            read_checkpoints(json.dumps(FOUND | {field: wrong}))


@given(st.text(max_size=100))
def test_any_text_is_read_or_says_nothing(text: str) -> None:
    read_set_up(text)
    read_sizes(text)
