"""What Dagster's daemon left in its instance: its sign of life, its sensors' state and memory.

A sensor is switched by its row in the instance, as Dagster's own page switches it. The row is made
by the daemon when it evaluates the sensor first. The instance may have several rows for one sensor:
`dagster dev` knows the project's code by another name than `cosmos ui`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from cosmos_pipelines.resources.instance import open_instance
from cosmos_pipelines.settings import Settings

PARTITION: Final = "dagster/partition"
"""The tag of a Dagster run that names its partition."""
ALIVE_S: Final = 90.0
"""Seconds after which a daemon that gave no sign of life counts as dead; Dagster's own is longer
(30 min), and its daemon gives one every 30 s."""


@dataclass(frozen=True)
class DaemonSide:
    """What the daemon left; all None: no daemon has ever run in this project."""

    beat: datetime | None = None
    """The last sign of life of the process that evaluates sensors."""
    queue_on: bool | None = None
    """Whether the sensor that starts waiting runs is switched on."""
    scenes_cursor: str | None = None
    """The memory of the sensor that looks for scenes."""


def daemon_side(settings: Settings) -> DaemonSide:
    """Read what the daemon left; nothing is made where there is no instance yet.

    Raises:
        CosmosError: Dagster's records cannot be read; says why.
    """
    if not (settings.dagster_dir / "dagster.yaml").exists():
        return DaemonSide()
    with open_instance(settings, captures=False) as instance:
        heartbeat = instance.get_daemon_heartbeats().get("SENSOR")
        states = instance.all_instigator_state()
        queue_on = queue_is_on(instance)
    cursors = [
        cursor
        for state in states
        if state.instigator_name == "new_scenes"
        and (cursor := getattr(state.instigator_data, "cursor", None))
    ]
    return DaemonSide(
        beat=heartbeat and datetime.fromtimestamp(heartbeat.timestamp, UTC),
        queue_on=queue_on,
        scenes_cursor=cursors[-1] if cursors else None,
    )


def failed_scenes(settings: Settings, keys: Sequence[str]) -> dict[str, tuple[str, datetime]]:
    """Why the newest Dagster run of a scene failed, and when; of those of `keys` where it did.

    Raises:
        CosmosError: Dagster's records cannot be read; says why.
    """
    if not keys or not (settings.dagster_dir / "dagster.yaml").exists():
        return {}
    found = {}
    with open_instance(settings, captures=False) as instance:
        for key in keys:
            asked = dg.RunsFilter(tags={PARTITION: key})
            for record in instance.get_run_records(asked, limit=1):
                if record.dagster_run.status is dg.DagsterRunStatus.FAILURE:
                    said = _why_failed(instance, record.dagster_run.run_id)
                    found[key] = (said, record.update_timestamp.replace(tzinfo=UTC))
    return found


def _why_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the failed step of a Dagster run said, in our words where it has them."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        failure = entry.dagster_event and entry.dagster_event.step_failure_data
        if failure and failure.user_failure_data and failure.user_failure_data.description:
            return failure.user_failure_data.description
    return "Its Dagster run failed; Dagster's page says why."


def queue_is_on(instance: dg.DagsterInstance) -> bool | None:
    """Whether the sensor that starts waiting runs is switched on; None: it was never evaluated."""
    states = instance.all_instigator_state()
    running = [state.is_running for state in states if state.instigator_name == "dispatch_queue"]
    return any(running) if running else None
