"""The part of the API for those who watch the hosts and the daemon: looks, stops, checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cosmos_pipelines.api.arguments import Record, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.catalog.records import iso
from cosmos_pipelines.errors import InputError, shown


class Hosts(Project):
    """Watch the hosts and the daemon of one project."""

    def watch_hosts(self) -> Iterator[Record]:
        """Yield what is known of the places where runs are executed, twice a second at least.

        `places`: as in `check_status`, with `history` of each GPU (seconds since 1970, load in
        percent, memory in MiB, degrees; of the last ten minutes), `orders` (their number),
        `answered_at` and `silent_since`. `left`: what was left behind, as in `check_status`. Each
        place is looked at every five seconds over one connection, until the iterator is closed.
        """
        from cosmos_pipelines.operate.host_watch import HostWatch

        with HostWatch(self.catalog, self.settings) as watch:
            while True:
                yield watch.news()

    def list_places(self, engine: str | None = None, *, look: bool = True) -> list[Record]:
        """Return where loads may run, in the order of the settings, each as it was seen last.

        `look`: look at all of them first, at the same time. Each has `name`, `kind`, `host`,
        `gpu_hour` (price of a GPU for an hour, in [queue] currency, or None), `labels`, `up` (None:
        not known), `gpus`, `engines` (why each cannot run there, or None), `looked_at`,
        `away_since`, `said`, `free_bytes` (room below its remote_dir, or None), and `refused`: why
        it takes no runs of `engine` (default: that of new videos) for any place; None: it does.

        Raises:
            UnknownId: there is no such engine.
        """
        from cosmos_pipelines.operate.place_looks import list_places, look_now

        chosen = self.settings.engine(engine or self.settings.execution.engine)
        if look:
            look_now(self.settings)
        return list_places(self.catalog, self.settings, chosen)

    def daemon_state(self) -> Record:
        """Return what Dagster's daemon, which starts what waits, left in its records.

        `alive`: whether it gave a sign of life lately; None: no daemon has ever run. `beat`: the
        last one. `sensor`: whether the sensor that starts what waits is "on" or switched "off" on
        Dagster's page; None: it was never there. `pauses`: those of the queue. `workers`: who works
        on it without the daemon, as in `look_at_queue`.

        Raises:
            CosmosError: Dagster's records cannot be read.
        """
        from cosmos_pipelines.operate.workers import living_workers
        from cosmos_pipelines.resources.daemon_side import ALIVE_S, daemon_side

        side = daemon_side(self.settings)
        alive = None
        if side.beat is not None:
            alive = (datetime.now(UTC) - side.beat).total_seconds() < ALIVE_S
        return {
            "alive": alive,
            "beat": side.beat and iso(side.beat),
            "sensor": None if side.queue_on is None else "on" if side.queue_on else "off",
            "pauses": [pause.as_dict() for pause in self.catalog.list_pauses()],
            "workers": living_workers(self.catalog),
        }

    def stop_runs(self, run_ids: Words, *, batch: bool = False) -> Record:
        """Stop active runs and cancel waiting ones, each as `kill` does.

        Returns: `stopped` (ids) and `refused` (id and error of each run that could not be stopped);
        one run that cannot be stopped leaves no other unstopped. Of runs that share a load, one
        stops all with `batch`; so a run that has ended meanwhile is not refused then.
        """
        from cosmos_pipelines.operate.kill import stop_each

        stopped, refused = stop_each(self.catalog, self.settings, run_ids, whole_batch=batch)
        told = [{"id": one, "error": e.message, "hint": e.hint} for one, e in refused.items()]
        return {"stopped": stopped, "refused": told}

    def queued_ids(self, tag: str) -> list[str]:
        """Return the ids of the waiting runs with a tag, newest first."""
        runs = self.catalog.list_runs("pending", tag=tag, limit=None)
        return [run.id for run in runs if run.queued_at is not None]

    def count_states(self, failed_since: str | None = None) -> Record:
        """Return the numbers of `running`, `waiting`, `failed` and `completed` runs.

        `failed_since`: a time (ISO 8601); only runs that failed after it are counted as failed.
        """
        since = None if failed_since is None else _moment(failed_since)
        counts = self.catalog.count_by_status()
        running = sum(counts[status] for status in ("uploading", "running", "downloading"))
        waiting = self.catalog.count_queued() if counts["pending"] else 0
        failed = self.catalog.count_failed(since) if counts["failed"] else 0
        others = {"completed": counts["completed"], "pending": counts["pending"]}
        return {"running": running, "waiting": waiting, "failed": failed, **others}

    def what_now(self) -> Record:
        """Return what somebody with an almost empty project does next.

        `step`: "scene" (render or prepare one), "prompt" (write one for `scene`), "order" (a video
        for `scene`), "look" (at the first video, `run`), or None: the project has all of it.
        """
        from cosmos_pipelines.operate.next_step import next_step

        return next_step(self.catalog)

    def last_doctor(self) -> Record | None:
        """Return `at` and `checks` of the last `check_and_keep`; None: it was never asked for."""
        from cosmos_pipelines.doctor.kept import last_result

        return last_result(self.settings)

    def check_and_keep(self, *, on_check: Callable[[Record], None] | None = None) -> Record:
        """Check as `doctor` does, and keep the result below the outputs for `last_doctor`."""
        from cosmos_pipelines.doctor.kept import examine_and_keep

        return examine_and_keep(self.settings, on_check)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{shown(text)} is no time.", hint="Write 2026-01-31T12:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
