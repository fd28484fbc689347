"""What Slurm says, as sentences; the lines are those of Slurm 22.05."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cosmos_pipelines.backends.carriers.slurm.carrier import SlurmCarrier
from cosmos_pipelines.backends.carriers.slurm.words import (
    ended_by,
    facts_of,
    refusal,
    why_waiting,
)
from cosmos_pipelines.errors import Unreachable
from cosmos_pipelines.settings_hosts import Place, Slurm, slurm_seconds

LINE = (
    "JobId=11 JobName=tl UserId=root(0) JobState={state} Reason={reason} Dependency=(null) "
    "ExitCode={code} RunTime=00:01:11 TimeLimit=00:01:00 NodeList=n1 Comment=x JobState=NO"
)


def facts(state: str, reason: str = "None", code: str = "0:15") -> dict[str, str]:
    return facts_of(LINE.format(state=state, reason=reason, code=code))


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Resources", "no node has enough free GPUs"),
        ("Priority", "higher priority"),
        ("PartitionTimeLimit", "more time than the partition gives"),
        ("ReqNodeNotAvail,_UnavailableNodes:n1", "down, drained or reserved"),
        ("QOSMaxGRESPerUser", "a limit of the QOS is reached (QOSMaxGRESPerUser)"),
        ("AssocGrpGRES", "a limit of the account is reached (AssocGrpGRES)"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_why_a_job_waits_is_said_in_words(reason: str, said: str) -> None:
    assert said in why_waiting("11", facts("PENDING", reason))


@pytest.mark.parametrize(
    ("state", "reason", "code", "kind", "said"),
    [
        ("TIMEOUT", "TimeLimit", "0:15", "timeout", "at its time limit 00:01:00"),
        ("FAILED", "TimeLimit", "143:0", "timeout", "at its time limit 00:01:00"),
        ("NODE_FAIL", "NodeDown", "1:0", "lost", "lost n1, where job 11"),
        ("PREEMPTED", "None", "0:15", "lost", "in favour of a job with a higher priority"),
        ("CANCELLED", "None", "0:15", "lost", "Somebody has cancelled Slurm's job 11"),
        ("OUT_OF_MEMORY", "OutOfMemory", "0:125", "out_of_memory", "more memory"),
        ("FAILED", "NonZeroExitCode", "73:0", "launch_failed", "n1 does not have the folder"),
    ],
)  # fmt: skip
def test_an_end_that_slurm_made_is_said_in_words(
    state: str, reason: str, code: str, kind: str, said: str
) -> None:
    verdict = ended_by("11", facts(state, reason, code))
    assert verdict is not None
    assert verdict.kind == kind
    assert said in verdict.message


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", ""])
def test_an_end_of_the_program_is_not_that_of_slurm(state: str) -> None:
    assert ended_by("11", facts(state, "NonZeroExitCode", "1:0")) is None


@pytest.mark.parametrize(
    "said",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "",
    ],
    ids=["connect", "timed_out", "nothing"],
)
def test_a_controller_that_is_away_may_come_back(said: str) -> None:
    assert isinstance(refusal("login1", "[hosts.a.slurm]", said), Unreachable)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400), ("90:30", 5430), ("4:00:00", 14400), ("04:00:00", 14400),
        ("2-12", 216000), ("1-00:00:00", 86400), ("UNLIMITED", None), ("soon", None), ("", None),
    ],
)  # fmt: skip
def test_times_of_slurm_are_read(text: str, seconds: int | None) -> None:
    assert slurm_seconds(text) == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_limit", "soon"),
        ("memory", "much"),
        ("partition", "a b"),
        ("account", ""),
        ("bin", "slurm/bin"),
        ("options", ("-p gpu",)),
        ("options", ("--requeue",)),
        ("options", ("--output=/tmp/x",)),
        ("before", ("a\nb",)),
        ("images", "podman"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Slurm(**{name: value})


def test_lines_of_a_host_that_are_no_orders_count_as_somebodys() -> None:
    carrier = SlurmCarrier(Place("a", "slurm", slurm=Slurm()))
    found = carrier.read_orders("ended|rs_1|p1|rs_1,rs_2|1795977108\nnoise\nrunning|../x|p||\n")
    assert [(order.order_id, order.state) for order in found] == [
        ("rs_1", "ended"),
        ("", "running"),
        ("", "running"),
    ]
    assert found[0].run_ids == ("rs_1", "rs_2")
    assert found[0].ended_at is not None
