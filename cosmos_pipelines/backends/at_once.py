"""The same work for several places at the same time: one that is away holds up none."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from cosmos_pipelines.errors import CosmosError

T = TypeVar("T")

LOOK_S: Final = 0.02
"""Seconds between two looks whether all work has ended."""


def at_once(names: Sequence[str], do: Callable[[str], T]) -> dict[str, T | CosmosError]:
    """Call `do` for each name, each in a thread of its own; return the results by name.

    One place's CosmosError is its result and stops no other; any other exception is raised when all
    have ended. Work for one place alone is done in this thread. An interrupt of this thread is one
    of each place's work, whose end is waited for; a second one is not.
    """
    done: dict[str, T | CosmosError] = {}
    broken: list[BaseException] = []

    def work(name: str) -> None:
        try:
            done[name] = do(name)
        except CosmosError as e:
            done[name] = e
        except BaseException as e:  # noqa: BLE001 - raised below, in the thread that asked
            broken.append(e)

    if len(names) == 1:
        work(names[0])
    else:
        _each_in_a_thread(names, work)
    if broken:
        raise broken[0]
    return {name: done[name] for name in names}


def _each_in_a_thread(names: Sequence[str], work: Callable[[str], None]) -> None:
    threads = [
        threading.Thread(target=work, args=(name,), name=f"at-{name}", daemon=True)
        for name in names
    ]
    try:
        for thread in threads:
            thread.start()
        _wait_for(threads)
    except KeyboardInterrupt:
        for thread in threads:
            _interrupt(thread)
        _wait_for(threads)
        raise


def _wait_for(threads: Sequence[threading.Thread]) -> None:
    # `join`, interrupted, takes a thread that lives for one that has ended (bpo-45274)
    while any(thread.is_alive() for thread in threads):
        time.sleep(LOOK_S)


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in a thread, as Python does in the main one; not while C waits."""
    if thread.ident is not None:
        interrupt = ctypes.py_object(KeyboardInterrupt)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), interrupt)
