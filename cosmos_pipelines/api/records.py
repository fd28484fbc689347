"""The part of the API for the records of the catalog: scenes, prompts, recipes, runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cosmos_pipelines.api.arguments import (
    Count,
    Fields,
    Id,
    Limit,
    Place,
    Rating,
    Record,
    SceneDir,
    Thing,
    Words,
)
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.foreign import expanded
from cosmos_pipelines.operations import ModelType, Transfer

if TYPE_CHECKING:
    from cosmos_pipelines.catalog.deletion import Deletion


class Records(Project):
    """Register, find, export and delete records."""

    def list_scenes(self) -> list[Record]:
        """Return all registered scenes. `state`: as_measured, changed (rendered again) or gone."""
        from cosmos_pipelines.runs.scene_state import scene_record

        return [scene_record(self.settings, row) for row in self.catalog.list_scenes()]

    def get_scene(self, key: Id) -> Record:
        """Return one scene, as in `list_scenes`. Raises UnknownId."""
        from cosmos_pipelines.runs.scene_state import scene_record

        return scene_record(self.settings, self.catalog.get_scene(key))

    def create_prompt(
        self,
        text: str,
        scene_dir: SceneDir,
        *,
        negative_prompt: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        parent: Id | None = None,
    ) -> Record:
        """Register a prompt for a scene; `created` is False if the prompt existed already.

        `parent`: the prompt of which this one is an edition.
        """
        from cosmos_pipelines.runs.inputs import register_prompt

        prompt, created = register_prompt(
            self.catalog,
            self.settings,
            text,
            scene_dir,
            negative_prompt=negative_prompt,
            name=name,
            parameters=parameters,
            parent=None if parent is None else self.catalog.get_prompt(parent).id,
        )
        return prompt.as_dict() | {"created": created}

    def get_prompt(self, prompt_id: Id) -> Record:
        """Return one prompt, with the ids of its runs. Raises UnknownId."""
        prompt = self.catalog.get_prompt(prompt_id)
        return prompt.as_dict() | {"runs": self.catalog.run_ids(prompt.id)}

    def list_prompts(
        self, *, scene: Id | None = None, limit: Limit = 50, offset: Count = 0
    ) -> list[Record]:
        """Return prompts, newest first."""
        rows = self.catalog.list_prompts(scene=scene, limit=limit, offset=offset)
        return [row.as_dict() for row in rows]

    def search_prompts(self, words: str, limit: Count = 20) -> list[Record]:
        """Return the prompts whose text or name has all `words`, best first."""
        from cosmos_pipelines.catalog.search import search_prompts

        return [row.as_dict() for row in search_prompts(self.catalog, words, limit)]

    def create_recipe(
        self,
        name: str,
        *,
        engine: str | None = None,
        replace: bool = True,
        **fields: Annotated[Any, Fields(Transfer)],
    ) -> Record:
        """Store transfer settings under a name; a recipe of the same name is replaced.

        With `replace=False` it is kept. Raises StateError.
        """
        from cosmos_pipelines.runs.engine_choice import engine_for

        given = Transfer.parse(fields, what="recipe").model_dump(mode="json", exclude_unset=True)
        chosen = engine_for(self.settings, "transfer", engine)
        kept = self.catalog.put_recipe(name, chosen.name, "transfer", given, replace=replace)
        return kept.as_dict()

    def list_recipes(self) -> list[Record]:
        """Return all recipes."""
        return [row.as_dict() for row in self.catalog.list_recipes()]

    def get_run(self, run_id: Id) -> Record:
        """Return one run. Raises UnknownId."""
        return self.catalog.get_run(run_id).as_dict()

    def list_runs(
        self,
        *,
        status: Words | None = None,
        prompt_id: Id | None = None,
        model_type: ModelType | None = None,
        outdated: bool = False,
        because: str | None = None,
        rating: Rating | None = None,
        tag: str | None = None,
        limit: Limit = 50,
        offset: Count = 0,
    ) -> list[Record]:
        """Return runs, newest first; with `status` only the runs of one or several statuses.

        `rating`: only the runs that are rated so or better. `tag`: only the runs with this tag.

        `outdated`: only the runs whose result would be another now, with `outdated` (reasons: kind
        and a sentence) and `replaced_by` (a newer run that asked for the same). `because`: only the
        runs with a reason of this kind: render (the scene was rendered again), gone, engine,
        checkpoints, parent.
        """
        if prompt_id is not None:
            prompt_id = self.catalog.get_prompt(prompt_id).id
        what: dict[str, Any] = {
            "prompt_id": prompt_id,
            "model_type": model_type,
            "rating": rating,
            "tag": tag,
        }
        if outdated or because is not None:
            from cosmos_pipelines.runs.outdated import outdated_records

            wanted = "completed" if status is None else status
            rows = self.catalog.list_runs(status=wanted, **what, limit=None)
            found = outdated_records(self.catalog, self.settings, rows, because)
            return found[offset : None if limit is None else offset + limit]
        listed = self.catalog.list_runs(status=status, **what, limit=limit, offset=offset)
        return [row.as_dict() for row in listed]

    def rate(self, run_id: Id, rating: Rating) -> Record:
        """Rate a run's result from 1 to 5; 0 removes the rating."""
        return self.catalog.rate(run_id, rating or None).as_dict()

    def tag(self, run_id: Id, add: Words = (), remove: Words = ()) -> Record:
        """Add and remove tags of a run.

        The verdicts `picked` and `rejected` are tags; one takes the place of the other.
        """
        return self.catalog.tag(run_id, add, remove).as_dict()

    def show(self, thing: Thing) -> Record:
        """Return a prompt, run, scene or recipe by id or name; or how a video file was made."""
        from cosmos_pipelines.operate.show import show

        return show(self.catalog, self.settings, thing)

    def plan_deletion(self, kind: Literal["prompt", "run"], thing_id: Id) -> Record:
        """Return what `delete_prompt` or `delete_run` would remove."""
        return self._deletion(kind, thing_id).as_dict()

    def delete_prompt(self, prompt_id: Id) -> Record:
        """Delete a prompt with its runs and their files."""
        return self._delete("prompt", prompt_id)

    def delete_run(self, run_id: Id) -> Record:
        """Delete a run with its 4K runs and their files."""
        return self._delete("run", run_id)

    def verify_integrity(self, *, fix: bool = False, deep: bool = False) -> Record:
        """Compare catalog and files; `deep` reads every result and scene and compares its hash."""
        from cosmos_pipelines.catalog import integrity
        from cosmos_pipelines.runs.lost import looks_lost
        from cosmos_pipelines.runs.scene_checks import check_scenes, fix_scenes

        results = integrity.verify(
            self.catalog, self.settings.outputs, deep=deep, is_lost=looks_lost
        )
        scenes = check_scenes(self.catalog, self.settings, deep=deep)
        fixed = integrity.fix(self.catalog, results) if fix else []
        fixed += fix_scenes(self.catalog, self.settings, scenes) if fix else []
        return {
            "problems": [p.as_dict() for p in (*results, *scenes)],
            "fixed": [p.as_dict() for p in fixed],
        }

    def export(self, what: Literal["runs", "prompts"], path: Place) -> Record:
        """Write all runs or prompts to a .csv or .json file."""
        from cosmos_pipelines.catalog.export import export

        path = expanded(path)
        return {"path": str(path), "rows": export(self.catalog, what, path)}

    def backup(self, path: Place) -> Record:
        """Copy an SQLite catalog to a new file, while other processes use the catalog."""
        from cosmos_pipelines.catalog.backup import backup

        path = expanded(path)
        return {"path": str(path), "bytes": backup(self.catalog, path)}

    def _deletion(self, kind: Literal["prompt", "run"], thing_id: str) -> Deletion:
        from cosmos_pipelines.catalog.deletion import plan_deletion

        return plan_deletion(self.catalog, kind, thing_id, self.settings.outputs)

    def _delete(self, kind: Literal["prompt", "run"], thing_id: str) -> Record:
        deletion = self._deletion(kind, thing_id)
        deletion.execute(self.catalog)
        return deletion.as_dict()
