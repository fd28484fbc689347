"""The hosts and Dagster's daemon, looked at once for all open pages, while one is open."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from loguru import logger

from cosmos_pipelines.api import CosmosAPI
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.page.feed import Feed

LINGER_S: Final = 15.0
"""Seconds for which the connections are kept after the last page was closed: it may be reloaded."""
DAEMON_S: Final = 10.0
"""Seconds between two looks at what the daemon left."""
STARTS_S: Final = 40.0
"""Seconds within which a daemon that starts with this server gives its first sign of life."""
AGAIN_S: Final = 5.0
ENDING_S: Final = 5.0
"""Seconds for which the server waits for looks at its end."""


class HostsNews:
    """What is known of the hosts and the daemon; `cosmos:hosts` tells pages that it is another."""

    def __init__(self, api: CosmosAPI, feed: Feed) -> None:
        self._api, self._feed = api, feed
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._daemon_at = -DAEMON_S
        self.known: dict[str, Any] | None = None
        """As `CosmosAPI.watch_hosts` yields; None: not looked at yet."""
        self.daemon: dict[str, Any] | None = None
        """As `CosmosAPI.daemon_state`; None: unknown."""

    def wake(self) -> None:
        """Look from now on, until no page is open any more; returns at once."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._follow, name="hosts", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Look no more: the server ends. A look that is under way is waited for, not for long."""
        self._ended.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(ENDING_S)

    def look_at_daemon(self) -> None:
        """Look at what the daemon left, now."""
        self._daemon_at = time.monotonic()
        try:
            state = self._api.daemon_state()
        except CosmosError as e:
            logger.warning("The state of Dagster's daemon is not known: {}", e)
            state = None
        except Exception:  # noqa: BLE001 - the next look may be better
            logger.exception("The state of Dagster's daemon is not known.")
            state = None
        young = time.monotonic() - self._began < STARTS_S
        if state is not None and not state["alive"] and young:
            state = {**state, "alive": True}  # it may be starting with us
        before, self.daemon = self.daemon, state
        if state != before:
            self._tell()

    def brief(self) -> dict[str, Any]:
        """What the strip says: mean `load` of all GPUs, their number, the `silent` hosts, and
        whether the daemon is `alive`, its `sensor` on, the `pauses` of the queue, and the `workers`
        without the daemon.
        """
        places = self.known["places"] if self.known else []
        gpus = [gpu for place in places for gpu in place["gpus"]]
        loads = [gpu["load_percent"] for gpu in gpus if gpu["load_percent"] is not None]
        silent = [p["name"] if p["host"] else "this machine" for p in places if p["silent_since"]]
        load = round(sum(loads) / len(loads)) if loads else None
        unknown: dict[str, Any] = {
            "alive": True,
            "sensor": None,
            "beat": None,
            "pauses": [],
            "workers": [],
        }
        daemon = self.daemon or unknown
        brief = {"load": load, "gpus": len(gpus), "silent": silent}
        return brief | {name: daemon[name] for name in unknown}

    def _follow(self) -> None:
        until, heard = time.monotonic() + LINGER_S, False
        while time.monotonic() < until and not self._ended.is_set():
            try:
                for known in self._api.watch_hosts():
                    if self._ended.is_set():
                        return
                    others, self.known = known != self.known, known
                    if others or self._feed.listening > heard:  # it heard nothing before
                        self._tell()
                    heard = self._feed.listening
                    if time.monotonic() - self._daemon_at > DAEMON_S:
                        self.look_at_daemon()
                    if self._feed.listening:
                        until = time.monotonic() + LINGER_S
                    elif time.monotonic() > until:
                        return
            except CosmosError as e:  # the feed says so on every page, if it is the catalog
                logger.warning("The hosts were not looked at: {}", e)
                self._ended.wait(AGAIN_S)
            except Exception:  # noqa: BLE001 - the next look may be better
                logger.exception("The hosts were not looked at.")
                self._ended.wait(AGAIN_S)

    def _tell(self) -> None:
        self._feed.tell("hosts", self.brief())
