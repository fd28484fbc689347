"""What Slurm says of a job, in plain words: why it waits, why it was refused, how it ended. Pure.

The words are those of Slurm 22.05 (`job_state_reason_string` and slurm_errno.c); newer versions
add some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cosmos_pipelines.backends.carriers.slurm.job import NOT_SHARED, NOT_WANTED
from cosmos_pipelines.errors import BackendError, ErrorKind, NotUnderstood, Unreachable
from cosmos_pipelines.operations.base import Verdict

_AWAY: Final = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted|"
    r"Controller is in standby mode|backup controller in standby|Unable to create job record|"
    r"Failed to connect to authentication agent|Munge|resources temporarily unavailable"
)
"""Slurm does not answer now, or not completely."""
_MISSING: Final = re.compile(r"(sbatch|squeue|scontrol)\S*: (command )?not found")

_WAITS: Final[dict[str, str]] = {
    "None": "Slurm has not looked at it yet",
    "Priority": "other jobs have a higher priority",
    "Resources": "no node has enough free GPUs, CPUs or memory now",
    "Dependency": "it waits for another job",
    "BeginTime": "its start time has not come",
    "JobHeldUser": "its owner holds it (`scontrol release` lets it go)",
    "JobHeldAdmin": "an administrator of the cluster holds it",
    "JobArrayTaskLimit": "too many tasks of its array run",
    "Licenses": "no licence is free",
    "Reservation": "its reservation has not begun",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved",
    "NodeDown": "a node that it needs is down",
    "BadConstraints": "no node has what it asks for",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition is inactive",
    "PartitionNodeLimit": "the partition gives no job so many nodes",
    "PartitionTimeLimit": "it asks for more time than the partition gives to a job",
    "PartitionConfig": "the partition does not allow such a job",
    "AccountNotAllowed": "the account may not use the partition",
    "QOSNotAllowed": "the QOS may not be used in the partition or by the account",
    "InvalidAccount": "the account is not valid (any more)",
    "InvalidQOS": "the QOS is not valid (any more)",
    "AssociationJobLimit": "the account runs as many jobs as it may",
    "AssociationResourceLimit": "the account uses as much as it may",
    "AssociationTimeLimit": "the account has used its time",
    "QOSJobLimit": "the QOS runs as many jobs as it may",
    "QOSResourceLimit": "the QOS uses as much as it may",
    "QOSTimeLimit": "the QOS has used its time",
    "QOSUsageThreshold": "the QOS has been used too much",
    "AccountingPolicy": "a limit of the account or QOS is reached",
    "Cleaning": "Slurm still cleans up after its last start",
    "Prolog": "the node prepares itself",
    "JobHoldMaxRequeue": "it was started too often",
    "launch failed requeued held": "the node could not start it, and it is held",
    "DependencyNeverSatisfied": "the job that it waits for has failed",
    "MaxMemPerLimit": "it asks for more memory than a job may have",
    "SchedDefer": "Slurm looks at it later",
}
_LIMIT: Final = re.compile(r"(Assoc|QOS|Max)(Grp|Max|Min)?([A-Z]\w*)")
"""Reasons such as AssocGrpGRES: a limit of the account or of the QOS."""

_REFUSED: Final = (
    ("nvalid partition", "Set partition; `sinfo` there lists the partitions."),
    ("No partition specified", "Set partition; `sinfo` there lists the partitions."),
    ("not permitted to use this partition", "Set another partition, or ask the site's admin."),
    ("nvalid account", "Set account; `sacctmgr show associations user=$USER` lists yours."),
    ("nvalid qos", "Set qos; `sacctmgr show associations user=$USER format=QOS` lists yours."),
    ("nvalid feature", "Set constraint; `sinfo -o '%N %f'` there lists the features."),
    ("nvalid generic resource", "Set gpu_type; `sinfo -o '%N %G'` there lists the GPUs."),
    ("GRES", "Set gpu_type; `sinfo -o '%N %G'` there lists the GPUs."),
    ("node configuration is not available",
     "No node has so many GPUs, CPUs and so much memory: see gpu_type, cpus, memory, constraint; "
     "`sinfo -o '%N %G %c %m %f'` there lists the nodes."),
    ("Memory", "Set memory to what a node has; `sinfo -o '%N %m'` there lists it."),
    ("time limit is invalid", "Set time_limit to what the partition allows: `sinfo -o '%P %l'`."),
    ("accounting/QOS policy",
     "A limit of your account or QOS is reached: end other jobs, or set account, qos, time_limit."),
    ("reservation", "Correct the reservation in options."),
    ("unrecognized option", "Correct options: this sbatch does not know it."),
    ("nvalid --", "Correct this option of sbatch."),
    ("partition not available", "The partition is down or drained: set another one."),
    ("not found", "Set partition; `sinfo` there lists the partitions."),
)  # fmt: skip
"""A part of Slurm's sentence, and what to do about it in [hosts.NAME.slurm]."""


_ENDS: Final[dict[str, tuple[ErrorKind, str]]] = {
    "TIMEOUT": ("timeout", "Slurm ended job {job} at its time limit {limit}."),
    "DEADLINE": ("timeout", "Slurm ended job {job} at its deadline."),
    "NODE_FAIL": ("lost", "Slurm lost {node}, where job {job} was running."),
    "BOOT_FAIL": ("lost", "{node} did not start for Slurm's job {job}."),
    "PREEMPTED": ("lost", "Slurm ended job {job} in favour of a job with a higher priority."),
    "CANCELLED": ("lost", "Somebody has cancelled Slurm's job {job} (scancel)."),
    "OUT_OF_MEMORY": (
        "out_of_memory",
        "Slurm ended job {job}: it took more memory than it asked for (memory in the settings).",
    ),
}
"""By the state of a job."""
_CODES: Final[dict[str, tuple[ErrorKind, str]]] = {
    str(NOT_SHARED): (
        "launch_failed",
        "{node} does not have the folder of the runs (remote_dir): it must lie on a disk that "
        "login node and compute nodes share.",
    ),
    str(NOT_WANTED): ("lost", "Slurm started job {job} a second time, which did nothing."),
}
"""By the exit code of a job's script."""


def facts_of(text: str) -> dict[str, str]:
    """Return the facts of a line of `scontrol -o show job` by their keys; the first of each."""
    found: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals:
            found.setdefault(key, value)
    return found


def why_waiting(job: str, facts: Mapping[str, str]) -> str:
    """Return a sentence why a job waits."""
    reason = facts.get("Reason", "None").partition(",")[0]
    words = _WAITS.get(reason)
    if words is None and _LIMIT.fullmatch(reason):
        whose = "the QOS" if reason.startswith("QOS") else "the account"
        words = f"a limit of {whose} is reached ({reason})"
    if facts.get("JobState") == "CONFIGURING":
        words = "its nodes are being started"
    return f"Slurm job {job} waits: {words or reason}."


def ended_by(job: str, facts: Mapping[str, str]) -> Verdict | None:
    """Return why Slurm says that a job ended; None if its program just ended."""
    state = "TIMEOUT" if facts.get("Reason") == "TimeLimit" else facts.get("JobState", "")
    code = facts.get("ExitCode", "").partition(":")[0]
    found = _ENDS.get(state) or _CODES.get(code)
    if found is None:
        return None
    kind, words = found
    node, limit = facts.get("NodeList", "") or "its node", facts.get("TimeLimit", "").strip()
    return Verdict(kind=kind, message=words.format(job=job, node=node, limit=limit))


def refusal(host: str, place: str, stderr: str) -> BackendError:
    """Return the error for a program of Slurm that failed; `place`: the settings' table."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    own = [x for x in lines if x.startswith("sbatch: ")]
    said = next((x for x in own if "submission failed" in x), "") or [*own, *lines[::-1], ""][0]
    if not said or _AWAY.search(stderr):
        hint = f"Does `scontrol ping` on {host} say UP?"
        return Unreachable(host, f"Slurm on {host}: {said or 'no answer'}", hint=hint)
    if _MISSING.search(stderr):
        return BackendError(
            "launch_failed",
            f"There is no sbatch on {host}.",
            hint=f"Set host to a login node of the cluster; if only a login shell finds sbatch, "
            f'set bin = "/its/directory" in {place}.',
        )
    if missing := re.search(r"no image (.*)", stderr):
        return BackendError(
            "launch_failed",
            f"There is no image {missing[1]} on {host}.",
            hint="Bring it there, or set image to another path: docs/slurm.md says how.",
        )
    if ended := ended_by(facts_of(said).get("JobId", ""), facts_of(said)):
        return BackendError(ended.kind, ended.message)
    if re.search(r"annot fork|fork: |esource temporarily", stderr):
        return NotUnderstood(host, f"{host}: {said}")
    do = next((hint for part, hint in _REFUSED if part in stderr), None)
    said = re.sub(r"^sbatch: (error: )?(Batch job submission failed: )?", "", said)
    hint = f"In {place} of cosmos.toml: {do}" if do else f"See the options in {place}."
    return BackendError("launch_failed", f"Slurm on {host} refused the job: {said}.", hint=hint)
