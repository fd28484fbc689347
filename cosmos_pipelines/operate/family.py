"""What a run was made of, and what was made of it, as far as the catalog knows: each an index away.

Upwards: scene, first prompt, its enhancements, the video that was enlarged. Downwards: the 4K of a
video; of an enhance run its new prompt, the videos of this prompt, and their 4K.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from cosmos_pipelines.catalog.descent import prompts_made_by
from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog

MOST: Final = 20
"""Relatives of one kind that are told of one thing: the newest."""
MOST_BELOW: Final = 100
"""Relatives below a run that are told in all."""


@dataclass(frozen=True)
class Relative:
    """One thing of a run's story. `depth`: 0 for what was made of the run itself."""

    row: SceneRow | Prompt | Run
    depth: int = 0


def ancestors(catalog: Catalog, run: Run) -> list[Relative]:
    """Return what a run was made of, the first thing first; what was deleted is left out."""
    found: list[SceneRow | Prompt | Run] = []
    seen = {run.id}
    parent = run.parent_run_id
    while parent and parent not in seen and (above := catalog.find_run(parent)):
        seen.add(parent)
        found.append(above)
        parent = above.parent_run_id
    prompt_id = run.prompt_id
    last: Prompt | None = None
    while prompt_id and prompt_id not in seen and len(found) < MOST_BELOW:
        seen.add(prompt_id)
        prompt = catalog.find_prompts([prompt_id]).get(prompt_id)
        if prompt is None:
            break
        found.append(prompt)
        maker = catalog.find_run(prompt.source_run_id) if prompt.source_run_id else None
        if maker is not None and maker.id not in seen:
            found.append(maker)
        last, prompt_id = prompt, prompt.parent_prompt_id
    if last is not None and (scene := catalog.find_scene(last.scene)):
        found.append(scene)
    return [Relative(row) for row in reversed(found)]


def descendants(catalog: Catalog, run: Run) -> list[Relative]:
    """Return what was made of a run: each thing before what was made of it; at most `MOST_BELOW`.

    A run that has asked for something and failed belongs to it: it is told with its status.
    """
    return list(islice(_below(catalog, run, 0, {run.id}), MOST_BELOW))


def _below(catalog: Catalog, run: Run, depth: int, seen: set[str]) -> Iterator[Relative]:
    for larger in reversed(catalog.list_runs(parent_run_id=run.id, limit=MOST)):
        if larger.id not in seen:
            seen.add(larger.id)
            yield Relative(larger, depth)
            yield from _below(catalog, larger, depth + 1, seen)
    if run.model_type != "enhance":
        return
    for prompt in prompts_made_by(catalog, run.id, MOST):
        if prompt.id in seen:
            continue
        seen.add(prompt.id)
        yield Relative(prompt, depth)
        for kind in ("transfer", "enhance"):  # a 4K comes below its video
            for made in reversed(catalog.list_runs(None, prompt.id, kind, limit=MOST)):
                if made.id not in seen:
                    seen.add(made.id)
                    yield Relative(made, depth + 1)
                    yield from _below(catalog, made, depth + 2, seen)
