"""The three operations: their fields and the meaning of the fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cosmos_pipelines.operations.base import Job, ModelType, Operation, Order, Outcome, Video
from cosmos_pipelines.operations.enhance import Enhance
from cosmos_pipelines.operations.transfer import ControlWeights, Transfer
from cosmos_pipelines.operations.upscale import Upscale

OPERATIONS: Final[Mapping[ModelType, type[Operation]]] = {
    "transfer": Transfer,
    "enhance": Enhance,
    "upscale": Upscale,
}


def operation_from(model_type: ModelType, config: Mapping[str, Any]) -> Operation:
    """Return the operation that a stored `execution_config` describes.

    Raises:
        InputError: a field is unknown or has a wrong value.
    """
    return OPERATIONS[model_type].parse(config, what=model_type)


__all__ = [
    "OPERATIONS",
    "ControlWeights",
    "Enhance",
    "Job",
    "ModelType",
    "Operation",
    "Order",
    "Outcome",
    "Transfer",
    "Upscale",
    "Video",
    "operation_from",
]
