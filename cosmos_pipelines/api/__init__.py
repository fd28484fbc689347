"""`CosmosAPI`: the one front door for code, command line and page. Thin on purpose.

Every method takes and returns plain values; errors are those of `cosmos_pipelines.errors`. Dagster
is imported only by the methods that execute something: it costs a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from cosmos_pipelines.api.arguments import Id, Place, Record, Words
from cosmos_pipelines.api.front_door import front_door
from cosmos_pipelines.api.runs import Making, OnLine

__all__ = ["CosmosAPI", "OnLine", "Record"]


@front_door
class CosmosAPI(Making):
    """Scenes, prompts, recipes and runs of one project, and what goes on with them.

    Wherever an id is wanted, a record that has it will do. None is as good as nothing.

    Args:
        home: the project's directory; default: `COSMOS_HOME`, else the nearest cosmos.toml upwards.

    Every method raises:
        InputError: an argument is missing, unknown or of another kind; it is named.
    """

    def check_status(self) -> Record:
        """What runs where, what waits, what was left behind."""
        from cosmos_pipelines.operate.status import status

        return status(self.catalog, self.settings)

    def doctor(
        self, backend: str | None = None, *, on_check: Callable[[Record], None] | None = None
    ) -> list[Record]:
        """Check everything that runs need, here and on the GPU host; `on_check` is told each."""
        from cosmos_pipelines.doctor.doctor import examine

        rows = []
        for checked in examine(self.settings, backend):
            rows.append(checked.as_dict())
            if on_check:
                on_check(rows[-1])
        return rows

    def host_setup(
        self,
        engine: str,
        *,
        source: Place | None = None,
        base: str | None = None,
        dockerfile: Place | None = None,
        image: str | None = None,
        arguments: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Record:
        """Make the GPU host ready for an engine: code, image, smoke test.

        `source`: a checkout to copy instead of cloning; `base`: another base image; `dockerfile`:
        one of your own, with build `arguments`; `image`: one that is there already.
        """
        from cosmos_pipelines.hosts.arrive import Wish
        from cosmos_pipelines.hosts.setup import set_up

        wish = Wish(
            source=None if source is None else Path(source),
            base=base,
            dockerfile=None if dockerfile is None else Path(dockerfile),
            image=image,
            arguments=arguments or {},
        )
        return set_up(self.settings, engine, wish, on_line)

    def host_checkpoints(
        self,
        engine: str,
        action: Literal["verify", "download", "stop"] = "verify",
        *,
        deep: bool = False,
        only: Words = (),
        on_line: Callable[[str], None] | None = None,
    ) -> Record:
        """Verify or download an engine's checkpoints on the GPU host, or stop what does so."""
        from cosmos_pipelines.hosts.checkpoints import checkpoints, stop_checkpoints

        if action == "stop":
            return stop_checkpoints(self.settings, engine)
        return checkpoints(self.settings, engine, action, deep=deep, only=only, on_line=on_line)

    def why(self, run_id: Id) -> Record:
        """Why a run failed (or what it does): the cause, the evidence, the next command."""
        from cosmos_pipelines.operate.why import explain

        return explain(self.catalog, self.settings, run_id)

    def get_active_operations(self) -> list[Record]:
        """Runs in work now."""
        return [run.as_dict() for run in self.catalog.active_runs()]

    def stream_logs(self, run_id: Id, follow: bool = False) -> Iterator[str]:
        """The lines of a run's log; with `follow` until the run has ended."""
        from cosmos_pipelines.operate.logs import log_lines

        return log_lines(self.catalog, self.settings, run_id, follow=follow)

    def kill(
        self, run_id: Id | None = None, *, all: bool = False, batch: bool = False
    ) -> list[Record]:
        """Stop one run, or all that are active or queued; returns them as they then are.

        A run that shares its model load with others is stopped only with `batch`, which stops
        them all.
        """
        from cosmos_pipelines.operate.kill import kill

        stopped = kill(self.catalog, self.settings, run_id, all_runs=all, whole_batch=batch)
        return [run.as_dict() for run in stopped]

    def kill_orphans(self) -> list[str]:
        """Stop the orders of this project that no run owns; returns their ids."""
        from cosmos_pipelines.operate.kill import kill_orphans

        return kill_orphans(self.catalog, self.settings)

    def recover(self, *, on_line: OnLine | None = None) -> list[Record]:
        """Adopt and finish the runs whose process died."""
        from cosmos_pipelines.runs.lost import orphans

        return self.execute_runs([run.id for run in orphans(self.catalog)], on_line=on_line)
