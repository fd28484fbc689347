"""What others have written is read within bounds, or refused in one line that names it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines import foreign
from cosmos_pipelines.errors import InputError, MediaError, nearest, shown


def refused(file: Path, most: int = foreign.MOST) -> str:
    """The line in which a file is refused; it names the file."""
    with pytest.raises(InputError) as e:
        foreign.read_text(file, most)
    said = str(e.value)
    assert str(file) in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"])
def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.txt").write_text(f"{mark}A wet street\n", encoding="utf-8")
    assert foreign.read_text(tmp_path / "a.txt") == "A wet street\n"
    (tmp_path / "a.json").write_text(f'{mark}{{"a": 1}}', encoding="utf-8")
    assert foreign.read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "a.toml").write_text(f"{mark}a = 1\n", encoding="utf-8")
    assert foreign.read_toml(tmp_path / "a.toml") == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", "is UTF-16 text, not UTF-8. Save it as UTF-8."),
        ("utf-16-le", "is UTF-16 text, not UTF-8. Save it as UTF-8."),
        ("utf-16-be", "is UTF-16 text, not UTF-8. Save it as UTF-8."),
        ("utf-32", "is UTF-32 text, not UTF-8. Save it as UTF-8."),
        ("latin-1", "byte 0xE9 in line 2 (Latin-1 or Windows-1252?). Save it as UTF-8."),
    ],
)
def test_another_encoding_is_told_with_the_name_and_what_to_do(
    tmp_path: Path, encoding: str, said: str
) -> None:
    (tmp_path / "prompt.txt").write_bytes("A street\nof caf\xe9s".encode(encoding))
    assert said in refused(tmp_path / "prompt.txt")


def test_a_binary_file_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(1, 128)))
    assert "no text" in refused(tmp_path / "a.png")


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "scene.json").open("wb") as f:
        f.truncate(8 << 30)  # no room is taken: it is a hole
    assert "too large: at most 4 MiB" in refused(tmp_path / "scene.json")
    (tmp_path / "b").write_bytes(b"x" * 2049)
    assert "at most 2 KiB" in refused(tmp_path / "b", 2048)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        assert "is a pipe (FIFO), not a file" in refused(tmp_path / "pipe")
        assert "is a socket or a device, not a file" in refused(tmp_path / "socket")
    assert "is a device, not a file" in refused(Path("/dev/zero"))
    assert "is a directory, not a file" in refused(tmp_path)
    assert "There is no" in refused(tmp_path / "nothing")
    assert "File name too long" in refused(tmp_path / ("x" * 300))
    (tmp_path / "plain").touch()
    assert "Not a directory" in refused(tmp_path / "plain" / "x")


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        foreign.read_text(tmp_path / "a\0b")
    with pytest.raises(InputError) as e:
        foreign.read_text(Path("x" * 100_000))
    assert len(str(e.value)) < 2000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "levels"),
        ('{"a":' * 100_000, "levels"),
        ("[" * 65 + "]" * 65, "levels"),
        ("1e999", "no number that can be used"),
        ("NaN", "NaN is no number"),
        ("-Infinity", "no number"),
        ("9" * 5000, "too many digits"),
        ("1" + "0" * 30, "too many digits"),
        ("{'a': 1}", "not valid JSON: Expecting property name"),
        ("", "not valid JSON"),
    ],
    ids=lambda x: x[:20],
)
def test_json_that_nobody_could_use_is_refused(text: str, said: str) -> None:
    with pytest.raises(MediaError, match=r"result\.json") as e:
        foreign.parse_json(text, "result.json", kind=MediaError)
    assert said in str(e.value)
    assert len(str(e.value)) < 300


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 100_000, "levels"),
        ("a = " + "[" * 70 + "]" * 70, "levels"),
        ("a = inf", "no number"),
        ("a = 1e999", "no number"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("a = " + "9" * 30, "more than 20 digits"),
        ("a = ", "not valid TOML: Invalid value (at end of document)"),
        (".".join("a" * 30_000) + " = 1", "key of more than 32 parts"),
        (".".join(["'a b'"] * 30_000) + " = 1", "key of more than 32 parts"),
        ("x = {" + " . ".join("a" * 30_000) + " = 1}", "key of more than 32 parts"),
        ("[" + ".".join("a" * 30_000) + "]", "key of more than 32 parts"),
    ],
    ids=lambda x: x[:20],
)
def test_toml_that_nobody_could_use_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"scene\.toml") as e:
        foreign.parse_toml(text, "scene.toml")
    assert said in str(e.value)
    assert len(str(e.value)) < 300


def test_a_text_with_many_dots_is_no_key() -> None:
    text = ".".join("a" * 2000)
    assert foreign.parse_toml(f'text = "{text}" # {text}', "scene.toml") == {"text": text}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(), x, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_any_json_within_the_bounds_is_read_as_it_was_written(value: Any) -> None:
    assert foreign.parse_json(json.dumps(value), "a") == value


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    for read in (foreign.decoded, foreign.parse_json):
        try:
            read(data, "a")
        except InputError as e:
            assert str(e).startswith("a ")


@given(st.text(max_size=300))
def test_any_text_is_toml_or_refused(text: str) -> None:
    try:
        foreign.parse_toml(text, "a")
    except InputError as e:
        assert str(e).startswith("a ")


def test_an_error_repeats_no_more_than_a_line() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in ("x" * 10**6, b"x" * 10**6, 10**5000, endless, [1] * 10**6, {1: {2: {3: 4}}}):
        assert 0 < len(shown(value)) <= 80
        assert 0 < len(shown(value, quoted=False)) <= 80
    assert shown("short") == "'short'"
    assert shown(Path("a/b")) == "'a/b'"


def test_nobody_looks_for_a_word_like_a_megabyte() -> None:
    assert nearest("x" * 10**6, ["x" * 10]) == []
    assert nearest("recpie", ["engine", "recipe", "backend"])[0] == "recipe"
