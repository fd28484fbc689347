"""What a person wants to see of a run: a name in words, its engine, and the files that it has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosmos_pipelines.catalog.records import Prompt, Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import ENGINES, label_of
from cosmos_pipelines.settings import Settings

FILES = ("video", "preview", "thumbnail")
"""Files of a run that `outputs` names; its log is named by `log_path`."""


def cards_of(catalog: Catalog, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs' fields with the names of what they were made of; see `CosmosAPI.cards`."""
    prompts = catalog.find_prompts(run.prompt_id for run in runs if run.prompt_id)
    return [_card(run, prompts.get(run.prompt_id or "")) for run in runs]


def _card(run: Run, prompt: Prompt | None) -> dict[str, Any]:
    seed = run.execution_config.get("seed")
    about = prompt.name if prompt else Path(str((run.source or {}).get("video", run.id))).stem
    name = " · ".join(filter(None, [about, run.recipe, None if seed is None else f"seed {seed}"]))
    return {
        **run.as_dict(),
        "prompt_name": prompt.name if prompt else None,
        "text": prompt.text if prompt else None,
        "scene": prompt.scene if prompt else None,
        "title": name,
        "seed": seed,
        "engine_label": label_of(run.engine),
        "simulated": run.engine in ENGINES and ENGINES[run.engine].simulated,
        "files": [name for name in FILES if run.outputs.get(name)],
    }


def file_of(settings: Settings, run: Run, what: str) -> Path | None:
    """Return a file of a run if it lies below the project's outputs."""
    name = run.log_path if what == "log" else run.outputs.get(what)
    return below_outputs(settings, settings.home / name) if name else None


def below_outputs(settings: Settings, path: Path) -> Path | None:
    """Return the real path of a file below the outputs; None of any other path."""
    try:
        real = path.resolve()
        is_file = real.is_file()
    except (OSError, ValueError):  # it cannot be the name of a file
        return None
    return real if is_file and real.is_relative_to(settings.outputs.resolve()) else None
