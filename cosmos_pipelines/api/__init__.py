"""`CosmosAPI`: the only entry point for code, command line and page. Thin on purpose.

Every method takes and returns plain values; errors are those of `cosmos_pipelines.errors`. Only
methods that execute runs import Dagster: the import takes a second.
"""

from __future__ import annotations

from cosmos_pipelines.api.arguments import Record, SceneDir
from cosmos_pipelines.api.comparing import Comparing
from cosmos_pipelines.api.drafts import Drafts
from cosmos_pipelines.api.finding import Finding
from cosmos_pipelines.api.following import Following
from cosmos_pipelines.api.front_door import front_door
from cosmos_pipelines.api.hosts import Hosts
from cosmos_pipelines.api.logs import Logs
from cosmos_pipelines.api.messages import Messages
from cosmos_pipelines.api.operations import Operations
from cosmos_pipelines.api.orders import Orders
from cosmos_pipelines.api.preparing import Preparing
from cosmos_pipelines.api.queue import Queueing
from cosmos_pipelines.api.records import Records
from cosmos_pipelines.api.review import Review
from cosmos_pipelines.api.runs import Inference, OnLine, Runs
from cosmos_pipelines.api.scenes import Scenes
from cosmos_pipelines.api.story import Story
from cosmos_pipelines.api.working import Working

__all__ = ["CosmosAPI", "OnLine", "Record"]


@front_door
class CosmosAPI(
    Preparing,
    Records,
    Runs,
    Operations,
    Following,
    Finding,
    Comparing,
    Review,
    Story,
    Queueing,
    Working,
    Logs,
    Drafts,
    Orders,
    Scenes,
    Hosts,
    Messages,
):
    """Scenes, prompts, recipes and runs of one project.

        with CosmosAPI() as cosmos:
            cosmos.list_runs()

    At the end of the block the connections to the catalog are closed (`close()` without a block).

    The parts do not know each other; methods that need two parts are here.

    A record stands for its id in every argument that takes an id. The value None of an argument is
    the same as no value.

    Args:
        home: the project's directory; default: `COSMOS_HOME`, else the nearest cosmos.toml upwards.

    Every method raises:
        InputError: an argument is missing, unknown or of a wrong type; the sentence names it.
    """

    def create_and_run(
        self,
        text: str,
        scene_dir: SceneDir,
        *,
        upscale: bool = False,
        on_line: OnLine | None = None,
        **settings: Inference,
    ) -> Record:
        """Register a prompt and execute its inference; `settings` as for `quick_inference`."""
        negative = settings.get("negative_prompt")
        prompt = self.create_prompt(text, scene_dir, negative_prompt=negative)
        return self.quick_inference(prompt["id"], upscale=upscale, on_line=on_line, **settings)

    def recover(self, *, on_line: OnLine | None = None) -> list[Record]:
        """Adopt and finish the runs whose process died, or that were given up and still run."""
        from cosmos_pipelines.materialize import materialize_lost
        from cosmos_pipelines.operate.status import status

        state = status(self.catalog, self.settings)
        given_up = [
            left["id"]
            for left in state["left"]
            if left["what"] == "given up" and left["do"] == f"cosmos run {left['id']}"
        ]
        materialize_lost(self.catalog, self.settings, state["lost"], on_line=on_line)
        lost = [run.as_dict() for run in self.catalog.get_runs(state["lost"])]
        return lost + self.execute_runs(given_up, on_line=on_line)
