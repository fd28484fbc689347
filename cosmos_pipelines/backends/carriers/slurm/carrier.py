"""The carrier that runs orders as jobs of a Slurm cluster. Pure: see `Carrier`.

A job is never started again by Slurm (--no-requeue), and its script and run.sh refuse a second
start. A job whose node was lost counts as running while its processes beat: see `shell`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final, cast, get_args

from loguru import logger

from cosmos_pipelines.backends.carriers.base import (
    WORDS,
    Ask,
    Carried,
    Carrier,
    ListedOrder,
    OrderPaths,
    Start,
    State,
)
from cosmos_pipelines.backends.carriers.container import container_name, image_of
from cosmos_pipelines.backends.carriers.slurm.checks import SlurmChecks
from cosmos_pipelines.backends.carriers.slurm.job import options_of, script_of
from cosmos_pipelines.backends.carriers.slurm.scripts import Scripts
from cosmos_pipelines.backends.carriers.slurm.words import ended_by, facts_of, refusal, why_waiting
from cosmos_pipelines.backends.run_folder import can_be_order
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.foreign import whole
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.gpu import Gpu
from cosmos_pipelines.settings_hosts import Place, Slurm, slurm_seconds

SPARE_S: Final = 300
"""Seconds that a job may take besides its order: to start a container, to write the record."""


class SlurmCarrier(Carrier):
    """Runs orders as jobs of a cluster, as set in `[hosts.NAME.slurm]` of the settings."""

    noun: ClassVar[str] = "Slurm job"
    elsewhere: ClassVar[bool] = True

    def __init__(self, place: Place, scripts: Scripts | None = None) -> None:
        self.place, self.slurm = place, place.slurm or Slurm()
        self.scripts = scripts or Scripts(place.remote.remote_dir, self.slurm.bin or "")

    @property
    def _table(self) -> str:
        return f"[hosts.{self.place.name}.slurm]"

    def name_of(self, order_id: str) -> str:
        """See `Carrier.name_of`; the job's name in Slurm has a token besides."""
        return container_name(order_id)

    def needs(self, order: Order) -> list[str]:
        """See `Carrier.needs`: sbatch, the partition, and the image if it is a file."""
        return self.scripts.needs(self.slurm.partition or "", self._image(order))

    def _image(self, order: Order) -> str:
        if self.slurm.images == "none":
            return ""
        return image_of(self.place.docker, order.engine, order.image)

    def prepare(self, order: Order, host: str, answer: str | None, stderr: str) -> Start:
        """See `Carrier.prepare`; tells a time limit that is shorter than what the order may take.

        Slurm accepts a job that asks for more time than its partition gives, and never starts it.
        """
        if answer is None:
            raise self.error(host, stderr)
        most = slurm_seconds(facts_of(answer).get("MaxTime", "")) or float("inf")
        wanted = slurm_seconds(self.slurm.time_limit or "") or order.timeout_s + SPARE_S
        limit_s = min(wanted, most)
        if limit_s < order.timeout_s:
            logger.warning(
                "Slurm on {host} will end {id} after {limit:.0f} min, before the {own:.0f} min "
                "that it may take here: {why}",
                host=host, id=order.id, limit=limit_s / 60, own=order.timeout_s / 60,
                why=f"the MaxTime of its partition is {facts_of(answer).get('MaxTime')}"
                if most <= wanted else f"time_limit in {self._table}",
            )  # fmt: skip
        return partial(self._start, order, limit_s)

    def _start(self, order: Order, limit_s: float, places: OrderPaths) -> list[str]:
        token = uuid.uuid4().hex[:12]
        script = script_of(
            order, self.slurm, self.place.docker, self._image(order), places,
            token=token, beat_s=self.scripts.beat_s,
        )  # fmt: skip
        return self.scripts.start(
            self.name_of(order.id),
            places.project,
            order.id,
            ",".join(order.run_ids),
            token,
            script,
            *options_of(order, self.slurm, limit_s),
        )

    def look(self, name: str) -> list[str]:
        """See `Carrier.look`."""
        return self.scripts.look(name)

    def read(self, answer: str) -> Carried:
        """See `Carrier.read`."""
        found = dict(line.split(" ", 1) for line in answer.splitlines() if " " in line)
        state, job = found.get("state", ""), found.get("job", "")
        if state not in get_args(State):
            raise BackendError("launch_failed", f"Slurm's job cannot be read: {answer[:200]!r}.")
        facts = facts_of(found.get("slurm", ""))
        age = whole(found.get("age", ""))
        marks = {"container_id": job} if job else {}
        return Carried(
            order_id=found.get("order"),
            state=cast(State, state),
            marks={**marks, "container_name": container_name(found.get("order", ""))},
            running_s=float(age or 0) if state in ("queued", "running") else None,
            waits=why_waiting(job, facts) if state == "queued" else None,
            ended_by=ended_by(job, facts) if state == "ended" else None,
        )

    def is_absent(self, stderr: str) -> bool:
        """See `Carrier.is_absent`."""
        return "no such job: " in stderr

    def error(self, host: str, stderr: str, order: Order | None = None) -> BackendError:  # noqa: ARG002
        """See `Carrier.error`: a controller that does not answer may do so later."""
        return refusal(host, self._table, stderr)

    def state(self, name: str) -> list[str]:
        """See `Carrier.state`."""
        return self.scripts.state(name)

    def wait(self, name: str) -> list[str]:
        """See `Carrier.wait`."""
        return self.scripts.wait(name)

    def stop(self, name: str, grace_s: float) -> list[str]:
        """See `Carrier.stop`."""
        return self.scripts.stop(name, round(grace_s))

    def kill(self, name: str) -> list[str]:
        """See `Carrier.kill`."""
        return self.scripts.kill(name)

    def remove(self, name: str) -> list[str]:
        """See `Carrier.remove`."""
        return self.scripts.remove(name)

    def words(self, name: str, lines: int = WORDS) -> list[str]:
        """See `Carrier.words`."""
        return self.scripts.words(name, lines)

    def running(self, project: str) -> list[str]:
        """See `Carrier.running`; jobs that wait count too."""
        return self.scripts.running(project)

    def list_orders(self) -> list[str]:
        """See `Carrier.list_orders`."""
        return self.scripts.list_orders()

    def read_orders(self, answer: str) -> list[ListedOrder]:
        """See `Carrier.read_orders`."""
        orders = []
        for line in answer.splitlines():
            state, order_id, project, runs, at = [*line.split("|"), *[""] * 5][:5]
            if state not in get_args(State) or not can_be_order(order_id):
                orders.append(ListedOrder("", "", "running"))  # nothing is known of it
                continue
            ended = whole(at)
            orders.append(
                ListedOrder(
                    order_id,
                    project,
                    cast(State, state),
                    None if ended is None else datetime.fromtimestamp(ended, UTC),
                    tuple(run for run in runs.split(",") if run),
                )
            )
        return orders

    def marks(self, name: str, carried: Carried | None) -> Mapping[str, str]:
        """See `Carrier.marks`."""
        return carried.marks if carried else {"container_name": name}

    def uses(self, order: Order, gpu: Gpu) -> bool:  # noqa: ARG002
        """See `Carrier.uses`: those of the login node are not the cluster's."""
        return False

    def facts(self, name: str | None) -> Mapping[str, list[str]]:
        """See `Carrier.facts`."""
        return {"slurm.txt": self.scripts.facts(name or "")}

    def examination(
        self,
        host: str,
        user: Callable[[], str],  # noqa: ARG002
        ask: Ask,
        *,
        needs_gpu: bool,
    ) -> SlurmChecks:
        """See `Carrier.examination`."""
        return SlurmChecks(self.place, self.scripts, host, ask, needs_gpu=needs_gpu)
