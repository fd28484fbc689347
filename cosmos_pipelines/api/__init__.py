"""`CosmosAPI`: the one front door for code, command line and page. Thin on purpose.

Every method takes and returns plain values; errors are those of `cosmos_pipelines.errors`. Dagster
is imported only by the methods that execute something: it costs a second.
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
    """Scenes, prompts, recipes and runs of one project, and what goes on with them.

    Its three parts know nothing of each other; what needs two of them is here.

    Args:
        home: the project's directory; default: `COSMOS_HOME`, else the nearest cosmos.toml upwards.
    """

    def create_and_run(
        self, text: str, scene_dir: Path | str, *, on_line: OnLine | None = None, **settings: Any
    ) -> Record:
        """A prompt and its inference in one call."""
        negative = settings.get("negative_prompt")
        prompt = self.create_prompt(text, scene_dir, negative_prompt=negative)
        return self.quick_inference(prompt["id"], on_line=on_line, **settings)

    def recover(self, *, on_line: OnLine | None = None) -> list[Record]:
        """Adopt and finish the runs whose process died."""
        from cosmos_pipelines.runs.lost import lost_runs

        return self.execute_runs([run.id for run in lost_runs(self.catalog)], on_line=on_line)
