"""No name leads out of the directory on the host."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.remote.files.confine import confine, host_directory

PIECES = st.lists(
    st.sampled_from(["..", ".", "a", "b c", "/", "\\", "C:", "~", "$(id)", "'", "\0", "\n", ""])
    | st.text(max_size=3)
).map("".join)


@given(PIECES)
@example("..\\x")
@example("a/../..")
def test_whatever_is_given_it_stays_below_or_is_refused(name: str) -> None:
    try:
        path = confine("/home/me/cosmos", name)
    except InputError:
        return
    assert PurePosixPath(path).is_relative_to("/home/me/cosmos")
    assert path != "/home/me/cosmos"
    assert ".." not in path.split("/")
    assert path.isprintable() or not any(ord(c) < 32 for c in path)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_ .,'\"$-]{1,8}", fullmatch=True), min_size=1))
def test_plain_names_are_taken_as_they_are_with_either_separator(parts: list[str]) -> None:
    parts = [p for p in parts if p not in (".", "..")] or ["a"]
    wanted = "/data/" + "/".join(parts)
    assert confine("/data", "/".join(parts)) == wanted
    assert confine("/data/", "\\".join(parts)) == wanted


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc", "\\etc", "a/../../b", "C:\\x", "a\nb", "a\0"]
)
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="leads out of /data"):
        confine("/data", name)


@given(PIECES)
def test_a_directory_is_absolute_and_plain_or_refused(given_text: str) -> None:
    try:
        path = host_directory(given_text)
    except InputError:
        return
    assert str(PurePosixPath(path)) == path
    assert path.startswith("/")
    assert len(path) > 1
    assert ".." not in path.split("/")
    assert host_directory(path) == path.strip() or path != path.strip()


@pytest.mark.parametrize("given_text", ["", "/", "cosmos", "C:\\cosmos", "/a/..", "~/cosmos"])
def test_directories_that_are_none_of_ours_are_refused(given_text: str) -> None:
    with pytest.raises(InputError, match="absolute path"):
        host_directory(given_text)
