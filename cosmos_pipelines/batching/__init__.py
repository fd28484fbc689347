"""Waiting runs become loads: several runs in one load of a model, on one place. Pure.

*Strict*, the usual mode, never changes a pixel: runs share a load only where the engine's batch key
is equal. *Mixed* also joins runs with different controls, where an engine allows that and it saves
time: a run then also executes the others' controls, with weight 0.
"""

from cosmos_pipelines.batching.loads import LoadPlan, Schedule, Slot, Waiting
from cosmos_pipelines.batching.planner import plan_loads
from cosmos_pipelines.batching.sizes import runs_in_a_load
from cosmos_pipelines.batching.together import added_controls, mixed_notes, plan

__all__ = [
    "LoadPlan",
    "Schedule",
    "Slot",
    "Waiting",
    "added_controls",
    "mixed_notes",
    "plan",
    "plan_loads",
    "runs_in_a_load",
]
