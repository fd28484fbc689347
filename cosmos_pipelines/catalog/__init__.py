"""The catalog: prompts, scenes, recipes and runs, and their origin, in SQLite or PostgreSQL."""

from cosmos_pipelines.catalog.records import Prompt, Recipe, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog

__all__ = ["Catalog", "Prompt", "Recipe", "Run", "SceneRow"]
