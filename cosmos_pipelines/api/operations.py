"""The part of the API for operating: status, doctor, hosts, logs, stopping runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from cosmos_pipelines.api.arguments import Id, Place, Record, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.errors import InputError, shown
from cosmos_pipelines.settings_tables import seconds_of


class Operations(Project):
    """Watch and stop the runs of one project, and set up its hosts."""

    def check_status(self, *, hosts: Words = ()) -> Record:
        """Return active runs and their places, queued runs, and what was left behind.

        `hosts`: ask only these hosts; default: all places, at the same time.
        """
        from cosmos_pipelines.operate.status import status

        return status(self.catalog, self.settings, hosts)

    def doctor(
        self,
        backend: str | None = None,
        *,
        hosts: Words = (),
        on_check: Callable[[Record], None] | None = None,
    ) -> list[Record]:
        """Check what runs need, here and on the GPU hosts; `on_check` gets each result at once.

        `hosts`: only these hosts; default: all of the settings.
        """
        from cosmos_pipelines.doctor.doctor import examine

        rows = []
        for checked in examine(self.settings, backend, hosts):
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
        host: str | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Record:
        """Set up a GPU host for an engine: code, image, smoke test.

        `host`: by default that of new runs. `source`: a checkout to copy, instead of
        cloning; `base`: another base image; `dockerfile`: the user's own, with build `arguments`;
        `image`: an image that is on the host already.
        """
        from cosmos_pipelines.hosts.arrive import SetupRequest
        from cosmos_pipelines.hosts.setup import set_up

        request = SetupRequest(
            source=None if source is None else Path(source),
            base=base,
            dockerfile=None if dockerfile is None else Path(dockerfile),
            image=image,
            arguments=arguments or {},
        )
        return set_up(self.settings, engine, request, on_line, host)

    def host_checkpoints(
        self,
        engine: str,
        action: Literal["verify", "download", "stop"] = "verify",
        *,
        deep: bool = False,
        only: Words = (),
        host: str | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Record:
        """Verify or download an engine's checkpoints on a GPU host, or stop that order.

        `host`: by default that of new runs.
        """
        from cosmos_pipelines.hosts.checkpoints import checkpoints, stop_checkpoints

        if action == "stop":
            return stop_checkpoints(self.settings, engine, host)
        return checkpoints(
            self.settings, engine, action, deep=deep, only=only, on_line=on_line, host=host
        )

    def hosts_meant(self, names: Words = (), *, every: bool = False) -> list[str]:
        """Return the hosts that a command means: those named, or all, or that of new runs.

        Raises:
            SettingsError: a name is no host of the settings.
        """
        from cosmos_pipelines.backends.registry import hosts_meant

        return hosts_meant(self.settings, names, every=every)

    def why(self, run_id: Id) -> Record:
        """Say why a run failed, or its state: the cause, the evidence, the next command."""
        from cosmos_pipelines.operate.why import explain

        return explain(self.catalog, self.settings, run_id)

    def get_active_operations(self) -> list[Record]:
        """Return the active runs."""
        return [run.as_dict() for run in self.catalog.active_runs()]

    def stream_logs(
        self, run_id: Id, follow: bool = False, *, tail: int | None = None
    ) -> Iterator[str]:
        """Yield the lines of a run's log; with `follow` until the run has ended.

        `tail`: begin with the last lines, so many. A carriage return (as of a progress bar) ends a
        line too, and a line of more than 64 Ki characters comes in parts.
        """
        from cosmos_pipelines.operate.logs import log_lines

        return log_lines(self.catalog, self.settings, run_id, follow=follow, tail=tail)

    def clean(self, *, older: str | None = None, dry_run: bool = False) -> Record:
        """Remove what no run has needed for this long, here, on the GPU host and of Dagster's.

        `older`: an age as "12h", "30d" or "8w"; default: as in cosmos.toml. Returns `kinds` (number
        and bytes of each kind in each place), `removed` and `problems`. `dry_run` removes nothing.

        Raises:
            InputError: `older` is no age.
        """
        from cosmos_pipelines.operate.clean import clean

        try:
            older_s = seconds_of(older or self.settings.clean.older)
        except ValueError as e:
            raise InputError(f"{shown(older)} {e}.") from None
        return clean(self.catalog, self.settings, older_s, dry_run=dry_run).as_dict()

    def stream_log_text(
        self, run_id: Id, follow: bool = False, *, tail: int | None = None
    ) -> Iterator[str]:
        """Yield a run's log as it was written, in pieces of any length; else as `stream_logs`."""
        from cosmos_pipelines.operate.logs import log_text

        return log_text(self.catalog, self.settings, run_id, follow=follow, tail=tail)

    def kill(
        self, run_id: Id | None = None, *, all: bool = False, batch: bool = False
    ) -> list[Record]:
        """Stop one run, or all active and queued runs; return the runs after the stop.

        A run that shares its model load with other runs is stopped only with `batch`, which stops
        all of these runs.
        """
        from cosmos_pipelines.operate.kill import kill

        stopped = kill(self.catalog, self.settings, run_id, all_runs=all, whole_batch=batch)
        return [run.as_dict() for run in stopped]

    def kill_stray(self) -> list[str]:
        """Stop the orders of this project that belong to no run; return their ids."""
        from cosmos_pipelines.operate.kill import kill_stray

        return kill_stray(self.catalog, self.settings)
