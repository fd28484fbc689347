"""The same work for several places at the same time: one that is away holds up none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from cosmos_pipelines.errors import CosmosError

T = TypeVar("T")


def at_once(names: Sequence[str], do: Callable[[str], T]) -> dict[str, T | CosmosError]:
    """Call `do` for each name, each in a thread of its own; return the results by name.

    One place's CosmosError is its result and stops no other; any other exception is raised when all
    have ended. Work for one place alone is done in this thread, where an interrupt reaches it.
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
        threads = [
            threading.Thread(target=work, args=(name,), name=f"at-{name}", daemon=True)
            for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if broken:
        raise broken[0]
    return {name: done[name] for name in names}
