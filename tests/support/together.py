"""The same thing done by several processes at the same moment."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EIGHT = 8
MEET_S = 120


def together(act: str, *arguments: object, count: int = EIGHT) -> list[int]:
    """Exit codes of `count` processes that call `act` (`module:function`) with these arguments.

    Each is told its number first. They are forked once the module is imported, and start when all
    are there.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, act, str(count), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(done.stderr)  # shown with a test that fails
    return codes


def meet(place: Path, number: int, count: int = EIGHT) -> None:
    """Called by each of them: goes on when all have come to this place (a directory of its own).

    Raises:
        TimeoutError: another has failed before.
    """
    (place / str(number)).touch()
    until = time.monotonic() + MEET_S
    while len(list(place.iterdir())) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{number} is alone at {place} after {MEET_S} s")


def _main(act: str, count: str, *arguments: str) -> list[int]:
    module, _, name = act.partition(":")
    function = getattr(importlib.import_module(module), name)
    waiting, start = os.pipe()
    children = []
    for number in range(int(count)):
        if (child := os.fork()) == 0:
            os.close(start)
            os.read(waiting, 1)  # ends when nobody has the other side open any more
            os._exit(_code(function, number, arguments))
        children.append(child)
    os.close(start)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _code(function: object, number: int, arguments: tuple[str, ...]) -> int:
    assert callable(function)
    try:
        return int(function(number, *arguments) or 0)
    except BaseException:  # noqa: BLE001 - told by the exit code
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
