"""The engine of the soak: the preview engine's requests, for `tests/soak/model.py` on one GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from cosmos_pipelines.engines.base import EngineOptions
from cosmos_pipelines.engines.preview import Preview
from cosmos_pipelines.operations.base import Job, Order


class SoakOptions(EngineOptions):
    """[soak] of cosmos.toml."""

    place: str = Field("/soak", description="directory of model.py and of the account, everywhere")
    seed: int = 1


class Soak(Preview):
    """Makes tiny videos slowly, and not always."""

    name: ClassVar[str] = "soak"
    label: ClassVar[str] = "soak of the tests"
    simulated: ClassVar[bool] = False
    options_type: ClassVar[type[EngineOptions]] = SoakOptions

    def max_batch(self, job: Job) -> int:
        """At most four, so that a load lasts about a minute."""
        return 4

    def compile(self, jobs: Sequence[Job], order_id: str) -> Order:
        """Return the preview engine's order with the model of the soak as its program."""
        options = self.options
        assert isinstance(options, SoakOptions)
        program = ("{python}", f"{options.place}/model.py", "{run}/request.json")
        return (
            super()
            .compile(jobs, order_id)
            .model_copy(update={"argv": (*program, str(options.seed), options.place), "gpus": 1})
        )
