"""The Slurm checks of `cosmos doctor` on a login node: commands, partition, options, the disk."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from cosmos_pipelines.backends.carriers.base import Ask, CarrierChecks
from cosmos_pipelines.backends.carriers.container import image_of
from cosmos_pipelines.backends.carriers.slurm.job import options_of
from cosmos_pipelines.backends.carriers.slurm.scripts import Scripts
from cosmos_pipelines.backends.carriers.slurm.words import facts_of, refusal, why_waiting
from cosmos_pipelines.backends.checks import Check, Finding, fail, ok, warn
from cosmos_pipelines.errors import BackendError
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.remote.ssh.connection import Completed
from cosmos_pipelines.settings_hosts import Place, Slurm, slurm_seconds

TRIAL_S: Final = 12
"""Seconds that the tiny job of a check may take; a program of doctor has 20."""


class SlurmChecks(CarrierChecks):
    """See `CarrierChecks`."""

    def __init__(
        self, place: Place, scripts: Scripts, host: str, ask: Ask, *, needs_gpu: bool
    ) -> None:
        self._place, self._slurm = place, place.slurm or Slurm()
        self._scripts, self._host, self._ask = scripts, host, ask
        self._needs_gpu = needs_gpu

    def checks(self) -> list[Check]:
        """See `CarrierChecks.checks`."""
        return [
            Check("Slurm", self.partition, ("login",), "host"),
            Check("Slurm job", self.options, ("Slurm",), "host"),
            Check("shared folder", self.shared, ("Slurm job",), "host"),
        ]

    def partition(self) -> Finding:
        """Whether sbatch and the partition are there, and how long the partition's jobs may be."""
        done = self._ask(self._scripts.needs(self._slurm.partition or "", ""))
        if done.exit_code != 0:
            raise self._refused(done)
        facts = facts_of(done.stdout.decode(errors="replace"))
        name, most = facts.get("PartitionName", "?"), facts.get("MaxTime", "?")
        found = f"partition {name}, {facts.get('TotalNodes', '?')} nodes, jobs of at most {most}"
        if facts.get("State", "UP") != "UP":
            do = f"Ask the site's admin, or set another partition in {self._table}."
            return fail(f"the partition {name} is {facts['State']}", do)
        limit_s, most_s = slurm_seconds(self._slurm.time_limit or ""), slurm_seconds(most)
        if limit_s and most_s and limit_s > most_s:
            return warn(
                f"{found}, less than time_limit = {self._slurm.time_limit}",
                f"Jobs ask for {most} only; set time_limit in {self._table} to that, "
                "or another partition.",
            )
        return ok(found)

    def options(self) -> Finding:
        """Whether Slurm would take a job with the options of the settings."""
        limit_s = slurm_seconds(self._slurm.time_limit or "") or 3600.0
        order = _trial_order(gpus=1 if self._needs_gpu else 0)
        done = self._ask(self._scripts.trial(*options_of(order, self._slurm, limit_s)))
        if done.exit_code != 0:
            raise self._refused(done)
        return ok(f"Slurm takes a job{' with a GPU' if self._needs_gpu else ''}")

    def shared(self) -> Finding:
        """Whether a compute node sees `remote_dir`: a tiny job without GPU writes a file there."""
        order, where = _trial_order(gpus=0), self._place.remote.remote_dir
        token = uuid.uuid4().hex[:12]
        done = self._ask(self._scripts.probe(token, TRIAL_S, *options_of(order, self._slurm, 60.0)))
        said = done.stdout.decode(errors="replace").strip()
        if done.exit_code != 0:
            why = self._refused(done)
            return warn(f"not tested: {why.message}", why.hint or "")
        word, _, rest = said.partition(" ")
        facts = facts_of(rest)
        if word == "seen":
            return ok(f"the node {rest} sees {where}")
        if word == "waits":
            why_not = why_waiting(facts.get("JobId", ""), facts)
            return warn(f"not tested, since no node was free within {TRIAL_S} s. {why_not}", "")
        node = facts.get("NodeList", "the compute node")
        return fail(
            f"{node} does not see {where}: the test job ended and left no file there",
            f"Set remote_dir in [hosts.{self._place.name}] to a folder that login node and "
            "compute nodes share, under the same path.",
        )

    def rooms(self) -> Mapping[str, str]:
        """See `CarrierChecks.rooms`: jobs leave nothing but in the run folders."""
        return {}

    def image(
        self,
        engine: str,
        own: str | None,
        set_up: str | None,  # noqa: ARG002
    ) -> tuple[Finding, str | None]:
        """See `CarrierChecks.image`. Raises SettingsError if no image is set."""
        if self._slurm.images == "none":
            return ok("jobs run without an image"), None
        image = image_of(self._place.docker, engine, own)
        how = f"{image}, by {self._slurm.images}"
        if not image.startswith("/"):
            return ok(f"{how}; not looked for: the compute nodes fetch it"), None
        done = self._ask(["ls", "-Ldl", "--", image])
        if done.exit_code != 0:
            do = "Bring it there, or set another image: docs/slurm.md says how."
            return fail(f"{image} is not on {self._host}", do), None
        return ok(how), None

    @property
    def _table(self) -> str:
        return f"[hosts.{self._place.name}.slurm]"

    def _refused(self, done: Completed) -> BackendError:
        return refusal(self._host, self._table, done.stderr.decode(errors="replace"))


def _trial_order(gpus: int) -> Order:
    return Order(
        id="doctor", run_ids=(), engine="none", model_type="transfer", argv=("true",),
        inputs={}, expected=(), gpus=gpus,
    )  # fmt: skip
