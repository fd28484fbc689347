"""`CosmosAPI`: the one front door for code, command line and page. Thin on purpose.

Every method takes and returns plain values; errors are those of `cosmos_pipelines.errors`. Dagster
is imported only by the methods that execute something: it costs a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosmos_pipelines.settings import Settings, load_settings

if TYPE_CHECKING:
    from cosmos_pipelines.assets.register import Planned
    from cosmos_pipelines.catalog.deletion import Deletion
    from cosmos_pipelines.catalog.store import Catalog

OnLine = Callable[[str | None, str], None]
Record = dict[str, Any]


class CosmosAPI:
    """Scenes, prompts, recipes and runs of one project.

    Args:
        home: the project's directory; default: `COSMOS_HOME`, else the nearest cosmos.toml upwards.
    """

    def __init__(self, home: Path | None = None, *, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings(home)

    @cached_property
    def catalog(self) -> Catalog:
        """The project's catalog, opened and migrated at its first use."""
        from cosmos_pipelines.catalog.store import Catalog

        return Catalog.open(self.settings.catalog_url)

    # --- scenes and prompts -------------------------------------------------------------------

    def prepare_scene(
        self, directory: Path | str, *, name: str | None = None, **how: Any
    ) -> Record:
        """Encode a rendered directory as a scene below the inputs root and register it.

        `how`: fps, description, depth_values (`distance` or `nearness`) and progress, called with
        the pass, the frames done and the frames in all.
        """
        from cosmos_pipelines.assets.intake import prepare

        return prepare(self.catalog, self.settings, Path(directory), name, **how)

    def list_scenes(self) -> list[Record]:
        """All registered scenes."""
        return [row.as_dict() for row in self.catalog.list_scenes()]

    def get_scene(self, key: str) -> Record:
        """One scene. Raises UnknownId."""
        return self.catalog.get_scene(key).as_dict()

    def create_prompt(
        self,
        text: str,
        scene_dir: Path | str,
        *,
        negative_prompt: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Record:
        """Register a prompt for a scene; `created` is False where it existed already."""
        from cosmos_pipelines.assets.intake import register_prompt

        prompt, created = register_prompt(
            self.catalog,
            self.settings,
            text,
            scene_dir,
            negative_prompt=negative_prompt,
            name=name,
            parameters=parameters,
        )
        return prompt.as_dict() | {"created": created}

    def get_prompt(self, prompt_id: str) -> Record:
        """One prompt, with the ids of its runs. Raises UnknownId."""
        prompt = self.catalog.get_prompt(prompt_id)
        runs = self.catalog.list_runs(prompt_id=prompt.id, limit=None)
        return prompt.as_dict() | {"runs": [run.id for run in runs]}

    def list_prompts(
        self, *, scene: str | None = None, limit: int | None = 50, offset: int = 0
    ) -> list[Record]:
        """Prompts, newest first."""
        rows = self.catalog.list_prompts(scene=scene, limit=limit, offset=offset)
        return [row.as_dict() for row in rows]

    def search_prompts(self, words: str, limit: int = 20) -> list[Record]:
        """Prompts whose text or name has all `words`, best first."""
        from cosmos_pipelines.catalog.search import search_prompts

        return [row.as_dict() for row in search_prompts(self.catalog, words, limit)]

    # --- recipes and runs ---------------------------------------------------------------------

    def create_recipe(self, name: str, *, engine: str | None = None, **fields: Any) -> Record:
        """Store transfer settings under a name; the same name again replaces them."""
        from cosmos_pipelines.assets.choosing import engine_for
        from cosmos_pipelines.operations import Transfer

        Transfer.parse(fields, what="recipe")
        chosen = engine_for(self.settings, "transfer", engine)
        return self.catalog.put_recipe(name, chosen.name, "transfer", fields).as_dict()

    def list_recipes(self) -> list[Record]:
        """All recipes."""
        return [row.as_dict() for row in self.catalog.list_recipes()]

    def create_run(
        self,
        prompt_id: str,
        *,
        recipe: str | None = None,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        tags: Sequence[str] = (),
        **fields: Any,
    ) -> Record:
        """Register a transfer run, pending; with `queue` the daemon will execute it."""
        planned = self._plan_transfer(prompt_id, fields, recipe, engine)
        return self._enter(planned, backend=backend, queued=queue, tags=tags)

    def get_run(self, run_id: str) -> Record:
        """One run. Raises UnknownId."""
        return self.catalog.get_run(run_id).as_dict()

    def list_runs(
        self,
        *,
        status: str | None = None,
        prompt_id: str | None = None,
        model_type: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> list[Record]:
        """Runs, newest first."""
        rows = self.catalog.list_runs(
            status=status, prompt_id=prompt_id, model_type=model_type, limit=limit, offset=offset
        )
        return [row.as_dict() for row in rows]

    def rate(self, run_id: str, rating: int) -> Record:
        """Rate a run's result from 1 to 5."""
        return self.catalog.rate(run_id, rating).as_dict()

    def tag(self, run_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Record:
        """Add and remove tags of a run."""
        return self.catalog.tag(run_id, add, remove).as_dict()

    # --- execution ----------------------------------------------------------------------------

    def execute_runs(
        self, run_ids: Sequence[str], *, on_line: OnLine | None = None
    ) -> list[Record]:
        """Execute pending runs, retry failed ones, adopt orphaned ones; batched where possible."""
        from cosmos_pipelines.materialize import materialize_runs

        runs = materialize_runs(self.catalog, self.settings, run_ids, on_line=on_line)
        return [run.as_dict() for run in runs]

    def execute_run(self, run_id: str, *, on_line: OnLine | None = None) -> Record:
        """Execute one run; returns it as it then is (a failed run raises nothing)."""
        return self.execute_runs([run_id], on_line=on_line)[0]

    def quick_inference(
        self,
        prompt_id: str,
        *,
        upscale: bool = False,
        on_line: OnLine | None = None,
        **settings: Any,
    ) -> Record:
        """Register and execute a transfer run; with `upscale` its 4K run follows.

        `settings`: recipe, engine, backend, tags and the fields of Transfer.
        """
        return self.batch_inference([prompt_id], upscale=upscale, on_line=on_line, **settings)[0]

    def batch_inference(
        self,
        prompt_ids: Sequence[str],
        *,
        recipe: str | None = None,
        engine: str | None = None,
        backend: str | None = None,
        tags: Sequence[str] = (),
        batch_name: str | None = None,
        upscale: bool = False,
        queue: bool = False,
        on_line: OnLine | None = None,
        **fields: Any,
    ) -> list[Record]:
        """Register and execute a transfer run a prompt, sharing model loads where possible.

        All are refused if one is; with `queue` they are left to the daemon.
        """
        from cosmos_pipelines.assets.choosing import engine_for

        if upscale:
            engine_for(self.settings, "upscale")  # refused before a GPU is paid for
        if batch_name:
            tags = [*tags, f"batch:{batch_name}"]
        planned = [self._plan_transfer(p, fields, recipe, engine) for p in prompt_ids]
        runs = [self._enter(p, backend=backend, queued=queue, tags=tags) for p in planned]
        if queue:
            return runs
        runs = self.execute_runs([run["id"] for run in runs], on_line=on_line)
        if upscale:
            done = [run["id"] for run in runs if run["status"] == "completed"]
            larger = [self.create_upscale(run_id, backend=backend)["id"] for run_id in done]
            runs += self.execute_runs(larger, on_line=on_line)
        return runs

    def create_and_run(
        self, text: str, scene_dir: Path | str, *, on_line: OnLine | None = None, **settings: Any
    ) -> Record:
        """A prompt and its inference in one call."""
        negative = settings.get("negative_prompt")
        prompt = self.create_prompt(text, scene_dir, negative_prompt=negative)
        return self.quick_inference(prompt["id"], on_line=on_line, **settings)

    def enhance_prompt(self, prompt_id: str, **settings: Any) -> Record:
        """Make a better prompt of a prompt; returns the enhance run."""
        return self.enhance_prompts([prompt_id], **settings)[0]

    def enhance_prompts(
        self,
        prompt_ids: Sequence[str],
        *,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        on_line: OnLine | None = None,
        **fields: Any,
    ) -> list[Record]:
        """Make better prompts of prompts in one model load; all are refused if one is."""
        planned = self._plan_enhance(prompt_ids, fields, engine)
        runs = [self._enter(one, backend=backend, queued=queue) for one in planned]
        if queue:
            return runs
        return self.execute_runs([run["id"] for run in runs], on_line=on_line)

    def create_upscale(
        self,
        run_id: str | None = None,
        *,
        video: Path | str | None = None,
        engine: str | None = None,
        backend: str | None = None,
        queue: bool = False,
        **fields: Any,
    ) -> Record:
        """Register an upscale of a run's video, or of a video file."""
        planned = self._plan_upscale(run_id, video, fields, engine)
        return self._enter(planned, backend=backend, queued=queue)

    def upscale_run(
        self, run_id: str | None = None, *, on_line: OnLine | None = None, **settings: Any
    ) -> Record:
        """Register and execute an upscale; `settings` as for `create_upscale`."""
        return self.execute_run(self.create_upscale(run_id, **settings)["id"], on_line=on_line)

    def plan_inference(
        self,
        prompt_ids: Sequence[str],
        *,
        recipe: str | None = None,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Any,
    ) -> list[Record]:
        """The orders that `batch_inference` would give; nothing is registered."""
        from cosmos_pipelines.assets.register import as_orders

        planned = [self._plan_transfer(p, fields, recipe, engine) for p in prompt_ids]
        return as_orders(self.catalog, self.settings, planned, backend)

    def plan_enhance(
        self,
        prompt_ids: Sequence[str],
        *,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Any,
    ) -> list[Record]:
        """The orders that `enhance_prompts` would give; nothing is registered."""
        from cosmos_pipelines.assets.register import as_orders

        return as_orders(
            self.catalog, self.settings, self._plan_enhance(prompt_ids, fields, engine), backend
        )

    def plan_upscale(
        self,
        run_id: str | None = None,
        *,
        video: Path | str | None = None,
        engine: str | None = None,
        backend: str | None = None,
        **fields: Any,
    ) -> list[Record]:
        """The order that `upscale_run` would give; nothing is registered."""
        from cosmos_pipelines.assets.register import as_orders

        planned = self._plan_upscale(run_id, video, fields, engine)
        return as_orders(self.catalog, self.settings, [planned], backend)

    # --- operating ----------------------------------------------------------------------------

    def check_status(self) -> Record:
        """What runs where, what waits, what was left behind."""
        from cosmos_pipelines.assets.operating import status

        return status(self.catalog, self.settings)

    def doctor(
        self, backend: str | None = None, *, on_check: Callable[[Record], None] | None = None
    ) -> list[Record]:
        """Check everything that runs need, here and on the GPU host; `on_check` is told each."""
        from cosmos_pipelines.assets.doctor import examine

        rows = []
        for checked in examine(self.settings, backend):
            rows.append(checked.as_dict())
            if on_check:
                on_check(rows[-1])
        return rows

    def host_setup(
        self, engine: str, *, on_line: Callable[[str], None] | None = None, **wish: Any
    ) -> Record:
        """Make the GPU host ready for an engine: code, image, smoke test.

        `wish`: source, base, dockerfile, image, arguments; see `resources.host_setup.Wish`.
        """
        from cosmos_pipelines.assets.host_setup import set_up
        from cosmos_pipelines.resources.host_setup import Wish

        return set_up(self.settings, engine, Wish(**wish), on_line)

    def host_checkpoints(
        self,
        engine: str,
        action: Literal["verify", "download", "stop"] = "verify",
        *,
        deep: bool = False,
        only: Sequence[str] = (),
        on_line: Callable[[str], None] | None = None,
    ) -> Record:
        """Verify or download an engine's checkpoints on the GPU host, or stop what does so."""
        from cosmos_pipelines.assets.host_checkpoints import checkpoints, stop_checkpoints

        if action == "stop":
            return stop_checkpoints(self.settings, engine)
        return checkpoints(self.settings, engine, action, deep=deep, only=only, on_line=on_line)

    def why(self, run_id: str) -> Record:
        """Why a run failed (or what it does): the cause, the evidence, the next command."""
        from cosmos_pipelines.assets.why import explain

        return explain(self.catalog, self.settings, run_id)

    def get_active_operations(self) -> list[Record]:
        """Runs in work now."""
        return [run.as_dict() for run in self.catalog.active_runs()]

    def stream_logs(self, run_id: str, follow: bool = False) -> Iterator[str]:
        """The lines of a run's log; with `follow` until the run has ended."""
        from cosmos_pipelines.assets.operating import log_lines

        return log_lines(self.catalog, self.settings, run_id, follow=follow)

    def kill(
        self, run_id: str | None = None, *, all: bool = False, batch: bool = False
    ) -> list[Record]:
        """Stop one run, or all that are active or queued; returns them as they then are.

        A run that shares its model load with others is stopped only with `batch`, which stops
        them all.
        """
        from cosmos_pipelines.assets.operating import kill

        stopped = kill(self.catalog, self.settings, run_id, all_runs=all, whole_batch=batch)
        return [run.as_dict() for run in stopped]

    def kill_orphans(self) -> list[str]:
        """Stop the orders of this project that no run owns; returns their ids."""
        from cosmos_pipelines.assets.operating import kill_orphans

        return kill_orphans(self.catalog, self.settings)

    def recover(self, *, on_line: OnLine | None = None) -> list[Record]:
        """Adopt and finish the runs whose process died."""
        from cosmos_pipelines.assets.operating import orphans

        return self.execute_runs([run.id for run in orphans(self.catalog)], on_line=on_line)

    # --- keeping ------------------------------------------------------------------------------

    def show(self, thing: str | Path) -> Record:
        """A prompt, run, scene or recipe by id or name; or how a video file was made."""
        from cosmos_pipelines.assets.operating import show

        return show(self.catalog, thing)

    def plan_deletion(self, kind: Literal["prompt", "run"], thing_id: str) -> Record:
        """What `delete_prompt` or `delete_run` would remove."""
        return self._deletion(kind, thing_id).as_dict()

    def delete_prompt(self, prompt_id: str) -> Record:
        """Delete a prompt with its runs and their files."""
        return self._delete("prompt", prompt_id)

    def delete_run(self, run_id: str) -> Record:
        """Delete a run with its 4K runs and their files."""
        return self._delete("run", run_id)

    def verify_integrity(self, *, fix: bool = False, deep: bool = False) -> Record:
        """Compare catalog and files; `deep` reads every result and compares its hash."""
        from cosmos_pipelines.catalog import integrity

        problems = integrity.verify(self.catalog, self.settings.outputs, deep=deep)
        fixed = integrity.fix(self.catalog, problems) if fix else []
        return {
            "problems": [p.as_dict() for p in problems],
            "fixed": [p.as_dict() for p in fixed],
        }

    def export(self, what: Literal["runs", "prompts"], path: Path | str) -> Record:
        """Write all runs or prompts to a .csv or .json file."""
        from cosmos_pipelines.catalog.export import export

        return {"path": str(path), "rows": export(self.catalog, what, Path(path))}

    def backup(self, path: Path | str) -> Record:
        """Copy an SQLite catalog to a new file, while others go on using it."""
        from cosmos_pipelines.catalog.backup import backup

        return {"path": str(path), "bytes": backup(self.catalog, Path(path))}

    # --- inside -------------------------------------------------------------------------------

    def _plan_transfer(
        self, prompt_id: str, fields: Mapping[str, Any], recipe: str | None, engine: str | None
    ) -> Planned:
        from cosmos_pipelines.assets.register import plan_transfer

        return plan_transfer(
            self.catalog, self.settings, prompt_id, fields, recipe=recipe, engine=engine
        )

    def _plan_enhance(
        self, prompt_ids: Sequence[str], fields: Mapping[str, Any], engine: str | None
    ) -> list[Planned]:
        from cosmos_pipelines.assets.register import plan_enhance

        return [
            plan_enhance(self.catalog, self.settings, prompt_id, fields, engine=engine)
            for prompt_id in prompt_ids
        ]

    def _plan_upscale(
        self,
        run_id: str | None,
        video: Path | str | None,
        fields: Mapping[str, Any],
        engine: str | None,
    ) -> Planned:
        from cosmos_pipelines.assets.register import plan_upscale

        file = Path(video) if video else None
        return plan_upscale(self.catalog, self.settings, run_id, fields, video=file, engine=engine)

    def _enter(self, planned: Planned, **where: Any) -> Record:
        from cosmos_pipelines.assets.register import enter

        return enter(self.catalog, self.settings, planned, **where).as_dict()

    def _deletion(self, kind: Literal["prompt", "run"], thing_id: str) -> Deletion:
        from cosmos_pipelines.catalog.deletion import plan_deletion

        return plan_deletion(self.catalog, kind, thing_id, self.settings.outputs)

    def _delete(self, kind: Literal["prompt", "run"], thing_id: str) -> Record:
        deletion = self._deletion(kind, thing_id)
        deletion.execute(self.catalog)
        return deletion.as_dict()
