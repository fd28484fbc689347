"""What others have written: read with bounds, decoded and parsed, or refused in one line. The one
place that does so.

A file of a scene, a host's answer, a text that somebody pastes: nobody vouches for its size, its
encoding or its shape. What comes out of here is text, or JSON values (finite numbers, at most
`DEEPEST` levels); what they mean is checked by whoever asked, with a model of `frozen`.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final, NoReturn

from cosmos_pipelines.errors import InputError, command, named, shown

MOST: Final = 4 << 20
"""Bytes of a file or an answer, where whoever asks does not say."""
DEEPEST: Final = 64
"""Levels of lists and objects in each other. Python's own parsers fail at about a thousand."""
LONGEST_SECRET: Final = 64 << 10
"""Bytes of a file that holds a token; a token has some dozens."""
LONGEST_NUMBER: Final = 20
"""Digits of a whole number: 64 bits."""
LONGEST_KEY: Final = 32
"""Parts of a TOML key with dots; the time that Python's parser takes grows with their square."""

_NOT_FILES: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_NO_SUCH: Final = (errno.ENXIO, errno.ENODEV)
"""What opening a socket, or a device that is not there, says."""

_MARKS: Final = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_SAVE: Final = "Save it as UTF-8."

_TOML_TEXTS: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL
)
_TOML_KEY: Final = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{LONGEST_KEY}}}")


def expanded(path: str | Path) -> Path:
    """A path as a user writes it; `~` of nobody stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError then


def absolute(path: str | Path, *, kind: type[InputError] = InputError) -> Path:
    """Where a path leads, links followed; a loop of links leads nowhere and stays as it is.

    Raises:
        InputError: of `kind`; it cannot be the name of a file.
    """
    try:
        return Path(os.path.realpath(expanded(path)))  # `resolve` raises RuntimeError for a loop
    except (OSError, ValueError):
        raise kind(f"{shown(path)} cannot be the name of a file.") from None


def is_utf8(path: str | Path) -> bool:
    """Whether a file's name can be written as text; names of older systems may not be."""
    try:
        str(path).encode()
        return True
    except UnicodeEncodeError:
        return False


def as_text(words: str) -> str:
    """Words with names of files in them as they can be written: `\\udce9` for what is no UTF-8."""
    return words.encode("utf-8", "backslashreplace").decode()


def what_it_is(mode: int) -> str | None:
    """What has this mode (`st_mode`) if it is no file that can be read to its end; else None."""
    return next((name for is_one, name in _NOT_FILES if is_one(mode)), None)


def read_bytes(file: Path, most: int = MOST, *, kind: type[InputError] = InputError) -> bytes:
    """A file's content. A pipe or a device is not waited for.

    Raises:
        InputError: of `kind`; it is missing, no file, has more than `most` bytes, or may not be
            read.
    """
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if what := what_it_is(os.fstat(opened).st_mode):
                raise kind(f"{named(file)} is {what}, not a file.")
            with os.fdopen(opened, "rb", closefd=False) as f:
                data = f.read(most + 1)
        finally:
            os.close(opened)
    except (OSError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        _unreadable(file, e, kind)
    if len(data) > most:
        raise too_large(str(file), most, kind)
    return data


def too_large(what: str, most: int, kind: type[InputError] = InputError) -> InputError:
    """The error for more than `most` bytes."""
    limit = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
    return kind(
        f"{named(what)} is too large: at most {limit} are read.",
        hint="Is it the right file?",
    )


def read_text(file: Path, most: int = MOST, *, kind: type[InputError] = InputError) -> str:
    """A file's text, without the byte order mark that some editors put first.

    Raises:
        InputError: of `kind`; see `read_bytes` and `decoded`.
    """
    return decoded(read_bytes(file, most, kind=kind), str(file), kind=kind)


def read_secret(file: Path) -> str:
    """The token that a file holds, which only its owner may read.

    Raises:
        InputError: it cannot be read, others can read it, or it is empty.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as e:
        raise InputError(f"The token file {named(file)} cannot be read: {e.strerror}.") from None
    if mode & 0o077:
        raise InputError(
            f"Other users can read {named(file)} (mode {mode:o}).",
            hint=f"{command('chmod', '600', file)}.",
        )
    if not (token := read_text(file, LONGEST_SECRET).strip()):
        raise InputError(f"The token file {named(file)} is empty.")
    return token


def read_stream(opened: int, what: str, most: int = MOST) -> str:
    """The text that comes through an open pipe or terminal, to its end.

    Raises:
        InputError: it is closed, has more than `most` bytes, or is no text.
    """
    try:
        with os.fdopen(opened, "rb", closefd=False) as f:
            data = f.read(most + 1)
    except OSError as e:
        raise InputError(f"{what} cannot be read: {e.strerror}.") from None
    if len(data) > most:
        raise too_large(what, most)
    return decoded(data, what)


def decoded(data: bytes, what: str, *, kind: type[InputError] = InputError) -> str:
    """UTF-8 as text, without byte order marks at its start. `what`: what people call it.

    Raises:
        InputError: of `kind`; it is in another encoding, or no text.
    """
    what = named(what)
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            raise kind(f"{what} is {encoding} text, not UTF-8.", hint=_SAVE)
    if b"\0" in data:
        if len(data) % 2 == 0 and _every_other(data[:4096]):
            raise kind(f"{what} is UTF-16 text, not UTF-8.", hint=_SAVE)
        raise kind(f"{what} is no text: it holds zero bytes.")
    try:
        return data.decode().lstrip("\ufeff")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise kind(
            f"{what} is no UTF-8 text: byte 0x{data[e.start]:02X} in line {line} "
            "(Latin-1 or Windows-1252?).",
            hint=_SAVE,
        ) from None


def _every_other(data: bytes) -> bool:
    """Whether most of every second byte is zero, as in UTF-16 of Western texts."""
    return any(data[start::2].count(0) * 4 >= len(data) for start in (0, 1))


def parse_json(
    text: str | bytes, what: str, *, most: int = MOST, kind: type[InputError] = InputError
) -> Any:
    """JSON as Python values: numbers finite and of 64 bits, at most `DEEPEST` levels.

    A text of more than `most` characters is refused: its values may take 25 times as much memory.

    Raises:
        InputError: of `kind`; it is no such JSON. Says where.
    """
    if isinstance(text, bytes):
        text = decoded(text, what, kind=kind)
    if len(text) > most:
        raise too_large(what, most, kind)
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise _too_deep(what, kind) from None
    except ValueError as e:
        raise kind(f"{named(what)} is not valid JSON: {e}.") from None
    return _checked(value, what, kind)


def read_json(file: Path, most: int = MOST, *, kind: type[InputError] = InputError) -> Any:
    """The JSON in a file: see `read_text` and `parse_json`."""
    return parse_json(read_text(file, most, kind=kind), str(file), most=most, kind=kind)


def parse_toml(text: str, what: str, *, kind: type[InputError] = InputError) -> dict[str, Any]:
    """TOML as Python values, within the same bounds as JSON; times are values of `datetime`.

    Raises:
        InputError: of `kind`; it is no such TOML. Says where.
    """
    if _TOML_KEY.search(_TOML_TEXTS.sub("s", text)):
        name = named(what)
        raise kind(f"{name} has a key of more than {LONGEST_KEY} parts.")
    try:
        value = tomllib.loads(text, parse_float=_finite)
    except RecursionError:
        raise _too_deep(what, kind) from None
    except ValueError as e:
        raise kind(f"{named(what)} is not valid TOML: {e}.") from None
    found: dict[str, Any] = _checked(value, what, kind)
    return found


def read_toml(
    file: Path, most: int = MOST, *, kind: type[InputError] = InputError
) -> dict[str, Any]:
    """The TOML in a file: see `read_text` and `parse_toml`."""
    return parse_toml(read_text(file, most, kind=kind), str(file), kind=kind)


def whole(word: str) -> int | None:
    """The number that ASCII digits say, of 19 at most; None for any other word.

    (`str.isdigit` takes `²` as well, which `int` refuses.)
    """
    return int(word) if re.fullmatch(r"[0-9]{1,19}", word) else None


def _checked(value: Any, what: str, kind: type[InputError]) -> Any:
    """`value` if it is not too deep, no whole number in it too long, and every text is text."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise _too_deep(what, kind)
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += (*one.keys(), *one.values())
            elif isinstance(one, list):
                below += one
            elif isinstance(one, int) and abs(one) >= 10**LONGEST_NUMBER:
                raise kind(f"{named(what)} has a number of more than "
                           f"{LONGEST_NUMBER} digits.")  # fmt: skip
            elif isinstance(one, str) and not is_utf8(one):
                raise kind(f"{named(what)} has half of a character (a lone surrogate) in "
                           f"{shown(as_text(one))}.")  # fmt: skip
        level = below
    return value


def _too_deep(what: str, kind: type[InputError]) -> InputError:
    return kind(f"{named(what)} has more than {DEEPEST} levels of lists and objects.")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number that can be used")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shown(text, quoted=False)} is no number that can be used")
    return number


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER + 1:
        raise ValueError(f"{shown(text, quoted=False)} has too many digits")
    return int(text)


def _unreadable(file: Path, error: Exception, kind: type[InputError]) -> NoReturn:
    name = named(file)
    if isinstance(error, FileNotFoundError):
        raise kind(f"There is no {name}.") from None
    if isinstance(error, PermissionError):
        raise kind(
            f"{name} cannot be read: permission denied.", hint="Change its permissions."
        ) from None
    if isinstance(error, OSError) and error.errno in _NO_SUCH:
        raise kind(f"{name} is a socket or a device, not a file.") from None
    reason = getattr(error, "strerror", None) or "its name cannot be one of a file"
    raise kind(f"{name} cannot be read: {reason}.") from None
