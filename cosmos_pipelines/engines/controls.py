"""The controls of a transfer, their weights and their files. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from cosmos_pipelines.errors import InputError
from cosmos_pipelines.operations.base import CONTROL_PASS, Job, Video
from cosmos_pipelines.operations.transfer import ControlWeights, Transfer

FED = {"blur_strength": "vis", "canny_threshold": "edge", "control_prompt": "seg"}
"""Settings for the computation of a control; without effect if the scene has the control's pass."""


def transfer_of(job: Job) -> Transfer:
    """Return the operation of a transfer job."""
    assert isinstance(job.operation, Transfer)
    return job.operation


def weights_of(operation: Transfer) -> ControlWeights:
    """Return the settled weights. Raises InputError if they are not settled."""
    if operation.weights is None:
        raise InputError("The control weights are not settled: give vis, edge, depth and seg.")
    return operation.weights


def controls_of(operation: Transfer) -> tuple[str, ...]:
    """Return the active controls, in the standard order."""
    keypoint = ("keypoint",) if operation.keypoint_weight > 0 else ()
    return (*weights_of(operation).active, *keypoint)


def weight_of(operation: Transfer, control: str) -> float:
    """Return the chosen weight of one control."""
    if control == "keypoint":
        return operation.keypoint_weight
    return float(getattr(weights_of(operation), control))


def given_passes(job: Job, controls: Iterable[str]) -> dict[str, Video]:
    """Return the scene's passes for these controls, by control; missing passes are left out."""
    return {c: job.inputs[p] for c in controls if (p := CONTROL_PASS.get(c, "")) in job.inputs}


def computed(job: Job, operation: Transfer) -> list[str]:
    """Return the active controls for which the scene has no pass."""
    return [c for c in controls_of(operation) if CONTROL_PASS.get(c) not in job.inputs]


def used_videos(job: Job) -> dict[str, Video]:
    """Return the colour pass and the passes of the active controls, by pass."""
    passes = given_passes(job, controls_of(transfer_of(job)))
    return {"color": job.inputs["color"], **{CONTROL_PASS[c]: v for c, v in passes.items()}}


def kind_of(job: Job, operation: Transfer) -> str:
    """Describe in a few words why runs of the same length and steps take different times."""
    missing = computed(job, operation)
    words = [f"{len(controls_of(operation))} control(s)"]
    words += [f"computed {' '.join(missing)}"] if missing else []
    words += ["distilled"] if operation.use_distilled else []
    words += [f"at {operation.resolution}"] if operation.resolution else []
    return ", ".join(words)


def negative_of(job: Job) -> str | None:
    """Return what to avoid: the run's negative prompt, also if empty, else that of its prompt."""
    own = transfer_of(job).negative_prompt
    return job.negative_prompt if own is None else own


def weight_notes(operation: Transfer) -> list[str]:
    """Return a note if the model will divide the weights by their sum."""
    weights = {c: weight_of(operation, c) for c in controls_of(operation)}
    total = sum(weights.values())
    if total <= 1.000001:
        return []
    return [f"The weights add up to {total:.2f}; the model divides them by that: {become(weights)}"]


def become(weights: dict[str, float]) -> str:
    """Write the weights divided by their sum."""
    total = sum(weights.values())
    return ", ".join(f"{c} {w / total:.2f}" for c, w in weights.items()) + "."


def computed_notes(names: Iterable[str]) -> list[str]:
    """Return a note that the model computes these controls."""
    controls = listed([*names])
    return [f"The model computes {controls} from color."] if controls else []


def listed(names: Sequence[str]) -> str:
    """Write names as `a, b and c`."""
    *most, last = names or [""]
    return f"{', '.join(most)} and {last}" if most else last


def idle_notes(job: Job, operation: Transfer, used: Collection[str] = FED) -> list[str]:
    """Return notes on chosen settings without effect; `used`: settings that the engine uses."""
    chosen, missing = operation.chosen(), computed(job, operation)
    return [
        f"{name} does nothing: the model does not compute {control} here."
        for name, control in FED.items()
        if name in chosen and name in used and control not in missing
    ]


def found_notes(job: Job, operation: Transfer) -> list[str]:
    """Return a note on what seg looks for if there is no control_prompt."""
    if "seg" not in computed(job, operation) or operation.control_prompt is not None:
        return []
    return [
        "seg looks for the first 128 words of the prompt; a control_prompt as `road . car . tree` "
        "finds more."
    ]
