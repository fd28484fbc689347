"""A recipe that is made while the page is open: the form of a sweep offers it within seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from loguru import logger

from cosmos_pipelines.api import CosmosAPI

ASK_S: Final = 2.0
"""Seconds between two looks at the recipes."""


@contextmanager
def following_recipes(api: CosmosAPI, reload: Callable[[], None]) -> Iterator[None]:
    """Call `reload` in a thread of its own whenever other recipes are there, inside the block."""
    ending = threading.Event()
    known = _names(api)

    def follow() -> None:
        nonlocal known
        while not ending.wait(ASK_S):
            try:
                now = _names(api)
                if now != known:
                    known = now
                    reload()
            except Exception as e:  # noqa: BLE001 - the next look may be better
                logger.warning("The page's form of a sweep may lack recipes: {}", e)

    thread = threading.Thread(target=follow, name="recipes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _names(api: CosmosAPI) -> list[tuple[str, str]]:
    return [(recipe["name"], recipe["model_type"]) for recipe in api.list_recipes()]
