"""`CosmosAPI`: the only entry point for code, command line and page. Thin on purpose.

Every method takes and returns plain values; errors are those of `cosmos_pipelines.errors`. Only
methods that execute runs import Dagster: the import takes a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosmos_pipelines.api.operations import Operations
from cosmos_pipelines.api.project import Record
from cosmos_pipelines.api.records import Records
from cosmos_pipelines.api.runs import OnLine, Runs

__all__ = ["CosmosAPI", "OnLine", "Record"]


class CosmosAPI(Records, Runs, Operations):
    """Scenes, prompts, recipes and runs of one project.

    The three parts do not know each other; methods that need two parts are here.

    Args:
        home: the project's directory; default: `COSMOS_HOME`, else the nearest cosmos.toml upwards.
    """

    def create_and_run(
        self, text: str, scene_dir: Path | str, *, on_line: OnLine | None = None, **settings: Any
    ) -> Record:
        """Register a prompt and execute its inference in one call."""
        negative = settings.get("negative_prompt")
        prompt = self.create_prompt(text, scene_dir, negative_prompt=negative)
        return self.quick_inference(prompt["id"], on_line=on_line, **settings)

    def recover(self, *, on_line: OnLine | None = None) -> list[Record]:
        """Adopt and finish the runs whose process died."""
        from cosmos_pipelines.runs.lost import lost_runs

        return self.execute_runs([run.id for run in lost_runs(self.catalog)], on_line=on_line)
