"""An engine whose model is the stand-in `tests/models/stand_in.py`, for tests only.

with registered(): engine_named("stand_in")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.operations.base import Job, Order, Outcome, Verdict

PROGRAM = Path(__file__).resolve().parents[1] / "models" / "stand_in.py"


class StandIn(Preview):
    """Makes requests like the preview engine's; a prompt's first word is the stand-in's behaviour.

    `behaviour`, if given, is the behaviour for all samples; an upscale has no prompt. `program`:
    path of the stand-in on the machine that executes it.
    """

    name: ClassVar[str] = "stand_in"
    label: ClassVar[str] = "stand-in of the tests"

    def __init__(
        self, behaviour: str = "", timeout_s: int = 3600, program: str = str(PROGRAM)
    ) -> None:
        self.program = program
        self.behaviour = behaviour
        self.timeout_s = timeout_s

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """Return the preview engine's order with the stand-in as its program."""
        return (
            super()
            .compile(jobs, order_id)
            .model_copy(
                update={
                    "argv": ("{python}", self.program, "{run}/request.json"),
                    "env": {"COSMOS_STAND_IN": self.behaviour} if self.behaviour else {},
                    "timeout_s": self.timeout_s,
                }
            )
        )

    def diagnose(self, outcome: Outcome, log_tail: str, run_id: str | None = None) -> Verdict:
        """Return `blocked` for a guardrail's refusal, else the preview engine's verdict."""
        reasons = re.findall(rf"^BLOCKED {run_id}: (.+)$", log_tail, re.M) if run_id else []
        if reasons:
            return Verdict(kind="blocked", message=reasons[-1])
        return super().diagnose(outcome, log_tail, run_id)


@contextmanager
def registered(
    behaviour: str = "", timeout_s: int = 3600, program: str = str(PROGRAM)
) -> Iterator[StandIn]:
    """Register the stand-in as an engine inside the block."""
    engine = StandIn(behaviour, timeout_s, program)
    ENGINES[engine.name] = engine
    try:
        yield engine
    finally:
        del ENGINES[engine.name]
