"""Call a function in several processes at the same moment."""

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
    """Return the exit codes of `count` processes that call `act` (`module:function`).

    The arguments are the process's number, then `arguments`. The processes are forked after the
    import of the module, and start when all processes exist.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, act, str(count), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(done.stderr)  # pytest shows it for a failed test
    return codes


def meet(place: Path, number: int, count: int = EIGHT) -> None:
    """Wait until `count` processes have called this with the same directory (used only for this).

    Raises:
        TimeoutError: another process failed before.
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
            os.nice(10)  # the tests beside this one have time-outs
            os.close(start)
            os.read(waiting, 1)  # returns when no process has the other end open
            os._exit(_code(function, number, arguments))
        children.append(child)
    os.close(start)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _code(function: object, number: int, arguments: tuple[str, ...]) -> int:
    assert callable(function)
    try:
        return int(function(number, *arguments) or 0)
    except BaseException:  # noqa: BLE001 - the exit code shows the failure
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
