"""The part of the API for executing what waits in the queue, where no daemon lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosmos_pipelines.api.project import Project


class Working(Project):
    """Work on the queue of one project."""

    def work_queue(
        self, *, until_empty: bool = True, on_news: Callable[[str], Any] | None = None
    ) -> None:
        """Execute what waits in the queue, as the daemon of `cosmos ui` does.

        With `until_empty` until nothing is left that could be started now; else for ever. `on_news`
        is told of each load that starts or ends. Any number of processes may do so at one time.

        Raises:
            KeyboardInterrupt: after what runs was stopped and recorded.
        """
        from cosmos_pipelines.worker import Worker

        tell = on_news or (lambda _: None)
        Worker(self.catalog, self.settings, tell).work(until_empty=until_empty)
