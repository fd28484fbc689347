"""What exists and what it came from: prompts, scenes, recipes and runs in SQLite or PostgreSQL."""

from cosmos_pipelines.catalog.records import Prompt, Recipe, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog

__all__ = ["Catalog", "Prompt", "Recipe", "Run", "SceneRow"]
