"""The part of the front door for what the catalog holds: scenes, prompts, recipes, runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosmos_pipelines.api.project import Project, Record

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.deletion import Deletion


class Records(Project):
    """Entering, finding, keeping and deleting."""

    def prepare_scene(
        self, directory: Path | str, *, name: str | None = None, **how: Any
    ) -> Record:
        """Encode a rendered directory as a scene below the inputs root and register it.

        `how`: fps, description, depth_values (`distance` or `nearness`) and progress, called with
        the pass, the frames done and the frames in all.
        """
        from cosmos_pipelines.runs.inputs import prepare

        return prepare(self.catalog, self.settings, Path(directory), name, **how)

    def list_scenes(self) -> list[Record]:
        """All registered scenes. `state`: as_measured, changed (rendered again since) or gone."""
        from cosmos_pipelines.runs.scenes import scene_record

        return [scene_record(self.settings, row) for row in self.catalog.list_scenes()]

    def get_scene(self, key: str) -> Record:
        """One scene, as in `list_scenes`. Raises UnknownId."""
        from cosmos_pipelines.runs.scenes import scene_record

        return scene_record(self.settings, self.catalog.get_scene(key))

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
        from cosmos_pipelines.runs.inputs import register_prompt

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

    def create_recipe(self, name: str, *, engine: str | None = None, **fields: Any) -> Record:
        """Store transfer settings under a name; the same name again replaces them."""
        from cosmos_pipelines.operations import Transfer
        from cosmos_pipelines.runs.engine_choice import engine_for

        Transfer.parse(fields, what="recipe")
        chosen = engine_for(self.settings, "transfer", engine)
        return self.catalog.put_recipe(name, chosen.name, "transfer", fields).as_dict()

    def list_recipes(self) -> list[Record]:
        """All recipes."""
        return [row.as_dict() for row in self.catalog.list_recipes()]

    def get_run(self, run_id: str) -> Record:
        """One run. Raises UnknownId."""
        return self.catalog.get_run(run_id).as_dict()

    def list_runs(
        self,
        *,
        status: str | None = None,
        prompt_id: str | None = None,
        model_type: str | None = None,
        outdated: bool = False,
        because: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> list[Record]:
        """Runs, newest first.

        `outdated`: only those whose result would be another now, with `outdated` (reasons: kind and
        a sentence) and `replaced_by` (a newer run that asked for the same). `because`: only those
        with a reason of this kind: render (its scene was rendered again), gone, engine,
        checkpoints, parent.
        """
        what: dict[str, Any] = {"prompt_id": prompt_id, "model_type": model_type}
        if outdated or because is not None:
            from cosmos_pipelines.runs.outdated import outdated_records

            completed = status in (None, "completed")
            rows = self.catalog.list_runs("completed", **what, limit=None) if completed else []
            found = outdated_records(self.catalog, self.settings, rows, because)
            return found[offset : None if limit is None else offset + limit]
        listed = self.catalog.list_runs(status=status, **what, limit=limit, offset=offset)
        return [row.as_dict() for row in listed]

    def rate(self, run_id: str, rating: int) -> Record:
        """Rate a run's result from 1 to 5."""
        return self.catalog.rate(run_id, rating).as_dict()

    def tag(self, run_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Record:
        """Add and remove tags of a run."""
        return self.catalog.tag(run_id, add, remove).as_dict()

    def show(self, thing: str | Path) -> Record:
        """A prompt, run, scene or recipe by id or name; or how a video file was made."""
        from cosmos_pipelines.operate.show import show

        return show(self.catalog, self.settings, thing)

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
        """Compare catalog and files; `deep` reads every result and scene and compares its hash."""
        from cosmos_pipelines.catalog import integrity
        from cosmos_pipelines.runs.scene_checks import check_scenes, fix_scenes

        results = integrity.verify(self.catalog, self.settings.outputs, deep=deep)
        scenes = check_scenes(self.catalog, self.settings, deep=deep)
        fixed = integrity.fix(self.catalog, results) if fix else []
        fixed += fix_scenes(self.catalog, self.settings, scenes) if fix else []
        return {
            "problems": [p.as_dict() for p in (*results, *scenes)],
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

    def _deletion(self, kind: Literal["prompt", "run"], thing_id: str) -> Deletion:
        from cosmos_pipelines.catalog.deletion import plan_deletion

        return plan_deletion(self.catalog, kind, thing_id, self.settings.outputs)

    def _delete(self, kind: Literal["prompt", "run"], thing_id: str) -> Record:
        deletion = self._deletion(kind, thing_id)
        deletion.execute(self.catalog)
        return deletion.as_dict()
