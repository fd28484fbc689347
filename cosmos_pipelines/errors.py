"""What can go wrong, as one tree.

    CosmosError                 exit 1   anything that we say in one line
    ├── InputError              exit 2   bad input: usage, a file, a value (also a ValueError)
    │   ├── UnknownId           exit 2   no such prompt, run, scene, recipe; offers the nearest
    │   ├── CatalogAway         exit 2   the catalog's database cannot be reached or opened
    │   ├── EngineBroken        exit 2   an engine of another package that cannot be used
    │   ├── MediaError          exit 2   a picture or video that cannot be used
    │   └── SettingsError       exit 2   cosmos.toml or COSMOS_* environment
    ├── StateError              exit 3   right thing, wrong moment (upscaling a failed run)
    ├── DiskFull                exit 1   no room on this machine
    ├── RunFailed               exit 4   the GPU side: carries run id and error kind
    └── BackendError            exit 4   the place where orders run could not do it: carries a kind
        ├── OutputMissing       exit 4   an output is not there, or is not what was hashed there
        ├── GpusBusy            exit 4   others use the GPUs; nothing was started
        ├── Unreachable         exit 4   a host cannot be reached: name, route, power, time-out
        │   ├── Refused         exit 4   the host answers, its port is closed
        │   ├── LinkLost        exit 4   lost in the middle: what was asked may have happened
        │   └── NotUnderstood   exit 4   an answer that says nothing of what was asked
        └── NotAllowed          exit 4   a host does not let us do it
            ├── LoginRefused    exit 4   no key that we have is let in
            ├── ShellFailed     exit 4   the login shell there runs no program
            ├── HostKeyUnknown  exit 4   nobody has said yet that its key is the right one
            └── HostKeyChanged  exit 4   it shows another key than the one that is known

An error says what failed, for which thing, and what to do next. Errors are raised where the fact is
known and translated only at the doors: command line, Dagster asset, web page.
"""

from __future__ import annotations

import difflib
import errno
import re
import reprlib
import shlex
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final, Literal

ErrorKind = Literal[
    "validation",
    "unreachable",
    "launch_failed",
    "out_of_memory",
    "gpu_lost",
    "blocked",
    "model_failed",
    "output_missing",
    "timeout",
    "stalled",
    "cancelled",
    "lost",
    "disk_full",
    "parent_failed",
]

LONGEST_NAME: Final = 1000
"""Characters of a path that are told."""
_LONG_WORD: Final = re.compile(r"(\S{80})\S{1000,}")
"""What nobody has meant to type, and no error repeats; paths are shorter."""
MISTYPED: Final = 300
"""Characters of a word above which nobody looks for one like it."""
SHOWN: Final = 80
"""Characters of a value that an error repeats."""

_OF_INPUT: Final = (
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG,
    errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EEXIST, errno.ENOTEMPTY,
)  # fmt: skip
"""What the system says of a file that was named wrongly, or is not what it should be."""
_EXIT_BY_KIND: Final[dict[str, int]] = {"validation": 2, "disk_full": 1, "cancelled": 130}


def shown(value: object, *, quoted: bool = True) -> str:
    """A value as an error repeats it: its `repr`, or its text if not `quoted`; a long one is cut.

    What has no end of its own (a text of a megabyte, a list in itself) is never written out whole.
    """
    if isinstance(value, PurePath):
        return repr(named(value)) if quoted else named(value)
    try:
        if isinstance(value, str | bytes):
            text = repr(value[: SHOWN + 1]) if quoted else str(value[: SHOWN + 1])
        else:
            text = reprlib.repr(value) if quoted else str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = f"a {type(value).__name__} too long to write"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"


def named(path: object) -> str:
    """A file's name as an error tells it: whole, unless it is longer than any that is meant."""
    text = str(path)
    return text if len(text) <= LONGEST_NAME else f"{text[:100]}...{text[-100:]}"


def command(*words: object) -> str:
    """A command as the user can type it, between back quotes; a path with a blank is quoted."""
    return f"`{shlex.join(str(word) for word in words)}`"


def nearest(wanted: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Those of `known` that look most like `wanted`, which nobody has mistyped if it is long."""
    if len(wanted) > MISTYPED:
        return []
    return difflib.get_close_matches(wanted, list(known), n=n, cutoff=0.5)


class CosmosError(Exception):
    """Base of all errors that are told to the user in one line."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = _LONG_WORD.sub(r"\1...", message)
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(CosmosError, ValueError):
    """The input is wrong; nothing has been started or written."""

    exit_code = 2


class UnknownId(InputError):
    """There is no `kind` called `wanted`; the closest of `known` are offered."""

    def __init__(
        self, kind: str, wanted: str, known: Iterable[str] = (), *, see: str | None = None
    ) -> None:
        near = nearest(wanted, known)
        see = see or f"See `cosmos list {kind}s`."
        hint = f"Did you mean {', '.join(near)}?" if near else see
        super().__init__(f"There is no {kind} {shown(wanted)}.", hint=hint)
        self.near = near


class CatalogAway(InputError):
    """The database of the catalog cannot be reached or opened: its URL is wrong, or it is down."""


class EngineBroken(InputError):
    """The engine `name` is there, but cannot be used; `package` (name and version) brings it."""

    def __init__(self, name: str, package: str, reason: str) -> None:
        whose = f" of the package {package}" if package else ""
        super().__init__(
            f"The engine {name!r}{whose} cannot be used: {reason}.",
            hint="Repair or uninstall that package; `cosmos doctor` looks at it."
            if package
            else "Install Cosmos Pipelines again.",
        )


class MediaError(InputError):
    """A picture, sequence or video cannot be used."""


class SettingsError(InputError):
    """A setting has a wrong name or value."""


class StateError(CosmosError):
    """The thing exists but is not in a state in which this can be done."""

    exit_code = 3


class DiskFull(CosmosError):
    """No room is left on this machine; nothing half-written was kept."""


class RunFailed(CosmosError):
    """A run ended without a verified result."""

    def __init__(
        self, run_id: str, kind: ErrorKind, message: str, *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id
        self.kind = kind

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return exit_code_of(self.kind)


class BackendError(CosmosError):
    """The place where orders are executed could not do what it was asked."""

    def __init__(self, kind: ErrorKind, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return exit_code_of(self.kind)


class OutputMissing(BackendError):
    """An output does not exist there, or its content is not what was hashed when it was made."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("output_missing", message, hint=hint)


class GpusBusy(BackendError):
    """The GPUs, or the places for orders, are in use: nothing was started, and it may pass.

    `users`: who uses which, without figures that change; the same as long as the same ones do.
    """

    def __init__(self, message: str, users: tuple[str, ...]) -> None:
        super().__init__("launch_failed", message)
        self.users = users


class Unreachable(BackendError):
    """A host cannot be reached; nothing was asked of it. It may pass by itself."""

    def __init__(self, host: str, message: str, *, hint: str | None = None) -> None:
        super().__init__("unreachable", message, hint=hint)
        self.host = host


class Refused(Unreachable):
    """The host answers, but nothing listens on its port."""


class LinkLost(Unreachable):
    """The connection was lost, or an answer did not come; what was asked may have happened."""


class NotUnderstood(Unreachable):
    """A host answered something else than it was asked. It says nothing about what was asked for.

    The shell printed something as well, a program could not be started, the carrier may not be
    used now. What was asked may have happened.
    """


class NotAllowed(BackendError):
    """A host does not let us in, or not do something; trying again changes nothing."""

    def __init__(self, host: str, message: str, *, hint: str | None = None) -> None:
        super().__init__("launch_failed", message, hint=hint)
        self.host = host


class LoginRefused(NotAllowed):
    """None of the keys that we have is let in."""


class ShellFailed(NotAllowed):
    """The login shell has not started the program: nothing was done."""


class HostKeyUnknown(NotAllowed):
    """The host's key is in none of the known_hosts files."""


class HostKeyChanged(NotAllowed):
    """The host shows another key than the one in known_hosts."""


def of_file(error: OSError) -> CosmosError | None:
    """What the system refused of a file that somebody has named, as ours; None if none is named.

    Where a place knows more of the file, it says so itself (`files`, `foreign`, `media.files`).
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = "" if error.filename is None else f"{named(error.filename)}: "
        return DiskFull(f"{where}no room left on this machine.", hint="Free some and do it again.")
    if error.filename is None or error.strerror is None:
        return None
    said = f"{named(error.filename)}: {error.strerror}."
    return InputError(said) if error.errno in _OF_INPUT else CosmosError(said)


def exit_code_of(kind: str | None) -> int:
    """The process exit code for a run's `error_kind` (None: completed)."""
    return 0 if kind is None else _EXIT_BY_KIND.get(kind, 4)
