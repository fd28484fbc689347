"""Asset checks of a video: is it what was asked for, and is there a picture in it?

They run in the step that makes the video, and show in the page; if that step was stopped before it
came to them, the job `check_videos` makes them. What was asked for is what the run's engine had
predicted when the run was executed; the file is read anew. A check that is no warning blocks: the
step fails, so that nothing is made of a broken video in the same Dagster run.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import dagster as dg

from cosmos_pipelines.assets.partitions import PARTITIONS, latest, place_of
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.ids import order_id
from cosmos_pipelines.operations.rate import same_rate
from cosmos_pipelines.resources.dagster_private import (
    AssetCheckEvaluationTargetMaterializationData,
    last_checked_at,
)
from cosmos_pipelines.runs.jobs import job_of
from cosmos_pipelines.runs.outdated import Now
from cosmos_pipelines.runs.results import predicted
from cosmos_pipelines.settings import Settings

CHECKS: Final[Mapping[str, str]] = {
    "frames": "It has as many frames as were asked for.",
    "picture_size": "Its width and height are what was asked for.",
    "rate": "Its frame rate is what was asked for.",
    "duration": "It is as long as its frames and rate say.",
    "hash": "The file is the one that was collected and verified.",
    "black_frames": "Fewer than one frame in ten is black (a warning only).",
    "frozen_frames": "No picture stands still for a second (a warning only).",
    "up_to_date": "What it was made of is what is there now: the passes of its scene, its engine "
    "and checkpoints, the video that it enlarges (a warning only).",
}
HASH: Final = "hash"
UP_TO_DATE: Final = "up_to_date"
WARNINGS: Final = frozenset({"black_frames", "frozen_frames", UP_TO_DATE})
BLACK_SHARE: Final = 0.1
FROZEN_S: Final = 1.0


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    passed: bool
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> dg.AssetCheckSeverity:
        """Pictures may be dark or still on purpose: a warning."""
        soft = self.name in WARNINGS
        return dg.AssetCheckSeverity.WARN if soft else dg.AssetCheckSeverity.ERROR

    def evaluation(
        self, asset: dg.AssetKey, partition: str, target: Any = None
    ) -> dg.AssetCheckEvaluation:
        """For whoever is not the step that made the video; `target`: its materialisation."""
        return dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=self.name,
            passed=self.passed,
            metadata=self.metadata,
            severity=self.severity,
            partition=partition,
            target_materialization_data=target,
        )

    def result(self) -> dg.AssetCheckResult:
        """For the step that made the video."""
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=self.passed,
            severity=self.severity,
            metadata=self.metadata,
        )


def check_specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of an asset of videos, by partition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # partitions_def of a check is a preview feature
        return [
            dg.AssetCheckSpec(
                name,
                asset=asset,
                description=description,
                blocking=name not in WARNINGS,
                partitions_def=PARTITIONS[asset],
            )
            for name, description in CHECKS.items()
        ]


def examine(catalog: Catalog, settings: Settings, run: Run) -> list[Finding]:
    """All checks of a completed run's video; what cannot be read fails with the reason."""
    return [*_of_file(catalog, settings, run), up_to_date(Now(catalog, settings), run)]


def checked(instance: dg.DagsterInstance, run: Run) -> bool:
    """Whether the video of a completed run was examined after it was made."""
    asset, partition = place_of(run)
    at = last_checked_at(instance, dg.AssetCheckKey(asset, HASH), partition)
    made_at = run.completed_at.timestamp() if run.completed_at else 0
    return at is not None and at >= made_at


def up_to_date(now: Now, run: Run) -> Finding:
    """Whether a completed run's video would be the same if it were made now."""
    reasons = now.reasons(run)
    if not reasons:
        return Finding(UP_TO_DATE, True)
    metadata = {
        "reason": " ".join(reason.said for reason in reasons),
        "because": ", ".join(sorted({reason.kind for reason in reasons})),
        "what to do": f"cosmos run --again {run.id}",
    }
    return Finding(UP_TO_DATE, False, metadata)


def _of_file(catalog: Catalog, settings: Settings, run: Run) -> list[Finding]:
    from cosmos_pipelines.files import sha256_of
    from cosmos_pipelines.media.defects import blackness_and_freeze
    from cosmos_pipelines.media.files import saying_why_not_read
    from cosmos_pipelines.media.probe import probe

    path = settings.home / str(run.outputs["video"])
    try:
        found = probe(path)
        with saying_why_not_read(path):
            digest = sha256_of(path)
        picture = blackness_and_freeze(path, found)
        wanted = expected(catalog, settings, run)
    except CosmosError as e:
        return [Finding(name, False, {"reason": str(e)}) for name in CHECKS if name != UP_TO_DATE]
    predicted_s = float(found.frames / Fraction(found.fps))
    black, frozen_s = picture["black_share"], picture["longest_freeze_s"]
    size = (found.width, found.height)
    return [
        _equal("frames", found.frames, wanted["frames"]),
        _equal("picture_size", _by(*size), _by(wanted["width"], wanted["height"])),
        _rate(str(found.fps), wanted["fps"]),
        Finding(
            "duration",
            abs(found.duration_s - predicted_s) <= float(1 / Fraction(found.fps)),
            {"seconds": round(found.duration_s, 4), "predicted": round(predicted_s, 4)},
        ),
        _equal("hash", digest, run.outputs["sha256"]),
        Finding("black_frames", black < BLACK_SHARE, {"share": round(black, 4)}),
        Finding("frozen_frames", frozen_s < FROZEN_S, {"longest seconds": round(frozen_s, 3)}),
    ]


def expected(catalog: Catalog, settings: Settings, run: Run) -> Mapping[str, Any]:
    """Width, height, frames and fps that the run's engine predicted; None: it could not.

    For a run of a version that did not keep them they are predicted anew.

    Raises:
        CosmosError: an input of such a run is gone.
    """
    kept: Mapping[str, Any] | None = run.outputs.get("expected")
    if kept is not None:
        return kept
    prompt = catalog.get_prompt(run.prompt_id) if run.prompt_id else None
    job = job_of(catalog, settings, run, prompt, looking="foresee")
    order = settings.engine(run.engine).compile([job], order_id((run.id,), 1))
    return predicted(order.expected[0])


def report(context: dg.OpExecutionContext, run: Run, findings: list[Finding]) -> None:
    """Record findings from a step that is not the asset's own (a batch), in its Dagster run."""
    asset, partition = place_of(run)
    target = _target(context.instance, asset, partition)
    for finding in findings:
        report_event(context, finding.evaluation(asset, partition, target))


def report_event(context: dg.OpExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    """Record what a check found, in the Dagster run of this step."""
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=context.job_name,
        step_key=context.op.name,
        event_specific_data=evaluation,
        message=f"Check {evaluation.check_name} of {evaluation.partition}.",
    )
    context.instance.report_dagster_event(event, run_id=context.run.run_id)


def _target(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """The materialisation that a check is of; None: there is none yet."""
    record = latest(instance, asset, partition)
    return record and AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )


def _equal(name: str, found: Any, wanted: Any) -> Finding:
    """`wanted` None: nothing could be predicted, so that nothing can be wrong."""
    return Finding(name, wanted in (None, found), {"found": found, "wanted": wanted or "anything"})


def _rate(found: str, wanted: str | None) -> Finding:
    """As `_equal`, for rates, which a writer may spell with two decimals."""
    return _equal("rate", wanted if wanted and same_rate(found, wanted) else found, wanted)


def _by(width: int | None, height: int | None) -> str | None:
    return f"{width} x {height}" if width and height else None


__all__ = [
    "CHECKS",
    "Finding",
    "check_specs",
    "checked",
    "examine",
    "expected",
    "report",
    "report_event",
    "up_to_date",
]
