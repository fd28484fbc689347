"""The part of the API for those who write prompts and recipes: drafts, lists, comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosmos_pipelines.api.arguments import Count, Id, Record, Words
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.operations import OPERATIONS, ModelType

MOST_FOUND = 200
"""Prompts that a search by words shows."""


class Drafts(Project):
    """Write prompts and recipes of one project."""

    def draft_prompt(
        self, text: str, scene: Id | None = None, *, negative_prompt: str = ""
    ) -> Record:
        """Return what a text would be as a prompt of a scene; register nothing.

        Returns: characters (as they are counted), negative_characters, most (that are allowed),
        name (that it will have), problems (a sentence by field: text, negative_prompt, scene), same
        (id of a prompt with the same words), and engines: those that would refuse it, each with
        what it says, and whether that is about the text or about the scene.
        """
        from cosmos_pipelines.runs.drafts import draft_prompt

        return draft_prompt(self.catalog, self.settings, text, scene, negative_prompt)

    def scenes_to_choose(self) -> list[Record]:
        """Return all scenes as the catalog has them: key, description, and whether with picture."""
        from cosmos_pipelines.catalog.prompt_pages import scene_names
        from cosmos_pipelines.runs.scene_state import scene_preview

        return [
            {
                "key": key,
                "description": description,
                "picture": scene_preview(self.settings, key).exists(),
            }
            for key, description in scene_names(self.catalog)
        ]

    def page_of_prompts(
        self,
        *,
        words: str = "",
        scene: Id | None = None,
        after: str | None = None,
        limit: Count = 50,
    ) -> Record:
        """Return prompts as a list shows them: newest first, or with `words` the best 200.

        Each with videos (finished), waiting (runs that have not ended), best (rating), children,
        and parent_name. `next`: what to give as `after` for the next page. `cut`: more have the
        words than are shown.
        """
        from cosmos_pipelines.catalog.prompt_pages import made_of, prompts_after
        from cosmos_pipelines.catalog.search import search_prompts

        following = None
        if words.strip():
            found = search_prompts(self.catalog, words, 5 * MOST_FOUND)
            page = [one for one in found if scene in (None, one.scene)]
        else:
            page, following = prompts_after(self.catalog, scene, after, limit)
        cut, page = len(page) > MOST_FOUND, page[:MOST_FOUND]
        made = made_of(self.catalog, [one.id for one in page])
        parents = self.catalog.find_prompts(filter(None, (one.parent_prompt_id for one in page)))
        prompts = [
            one.as_dict()
            | made[one.id]
            | {"parent_name": getattr(parents.get(one.parent_prompt_id or ""), "name", None)}
            for one in page
        ]
        return {"prompts": prompts, "next": following, "cut": cut}

    def find_prompts(self, prompt_ids: Words) -> list[Record]:
        """Return the prompts with exactly these ids, in this order; unknown ids are left out."""
        found = self.catalog.find_prompts(prompt_ids)
        return [found[one].as_dict() for one in dict.fromkeys(prompt_ids) if one in found]

    def story_of_prompt(self, prompt_id: Id) -> Record:
        """Return a prompt with its parent, its children, and what differs from the parent.

        The fields of `page_of_prompts`, and `parent` (a prompt or None), `children` (the newest
        100), `runs` (ids, newest first), and `difference`: parts of both texts in their order,
        each with kind (same, deleted, inserted) and text; None without a parent. Raises UnknownId.
        """
        from cosmos_pipelines.catalog.prompt_pages import children_of, made_of
        from cosmos_pipelines.operations.difference import word_difference

        prompt = self.catalog.get_prompt(prompt_id)
        parent = self.catalog.find_prompts(filter(None, [prompt.parent_prompt_id]))
        made = made_of(self.catalog, [prompt.id])[prompt.id]
        origin = next(iter(parent.values()), None)
        parts = word_difference(origin.text, prompt.text) if origin else None
        return {
            **prompt.as_dict(),
            **made,
            "parent_name": origin.name if origin else None,
            "parent": origin.as_dict() if origin else None,
            "children_of": [one.as_dict() for one in children_of(self.catalog, prompt.id, 100)],
            "runs": self.catalog.run_ids(prompt.id),
            "difference": parts and [part._asdict() for part in parts],
        }

    def fields_of(self, operation: ModelType) -> list[Record]:
        """Return the fields of an operation, for a form; see `operations.forms.fields_of`."""
        from cosmos_pipelines.operations.forms import fields_of

        return fields_of(OPERATIONS[operation])

    def check_fields(self, operation: ModelType, filled: Mapping[str, Any]) -> Record:
        """Return what a form's texts are as `values` of an operation, and `problems` by field."""
        from cosmos_pipelines.operations.forms import values_from

        values, problems = values_from(OPERATIONS[operation], filled)
        return {"values": values, "problems": problems}

    def transfer_engines(self) -> list[Record]:
        """Return the engines that make videos.

        Each with name, label, simulated, default (of this project), refuses (a reason by field),
        ignores (fields), and values (that it takes for fields without a value).
        """
        from cosmos_pipelines.runs.drafts import abilities

        return abilities(self.settings)

    def list_backends(self) -> list[Record]:
        """Return the places where runs are executed: name, and whether new runs go there."""
        from cosmos_pipelines.backends.registry import backend_names
        from cosmos_pipelines.runs.plan import backend_name

        default = backend_name(self.settings, None)
        return [{"name": name, "default": name == default} for name in backend_names(self.settings)]

    def draft_recipe(
        self, name: str = "", *, engine: str | None = None, filled: Mapping[str, Any]
    ) -> Record:
        """Return what a form's settings would be as a recipe; store nothing.

        Returns: name, values, problems (a sentence by field, also `name` and `engine`; "" is the
        settings as a whole), notes, replaces (there is a recipe of this name), and changes (label,
        before, after): what that recipe would lose.
        """
        from cosmos_pipelines.runs.drafts import draft_recipe

        return draft_recipe(self.catalog, self.settings, name, engine, filled)

    def rename_recipe(self, name: Id, new: str) -> Record:
        """Give a recipe another name; runs keep the old one. Raises UnknownId, StateError."""
        from cosmos_pipelines.catalog.recipes import rename_recipe

        return rename_recipe(self.catalog, name, new).as_dict()

    def delete_recipe(self, name: Id) -> Record:
        """Remove a recipe; runs keep its name. Returns the recipe. Raises UnknownId."""
        from cosmos_pipelines.catalog.recipes import delete_recipe

        return delete_recipe(self.catalog, name).as_dict()

    def compare_recipes(self, names: Words) -> Record:
        """Return the settings that are not the same in all these recipes.

        Returns: names, and rows (name, label, values in the order of the names; None: the engine
        decides). Raises UnknownId.
        """
        from cosmos_pipelines.runs.drafts import compare_recipes

        recipes = [self.catalog.get_recipe(name) for name in dict.fromkeys(names)]
        return {"names": [one.name for one in recipes], "rows": compare_recipes(recipes)}
