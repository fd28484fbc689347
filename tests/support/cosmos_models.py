"""A project of NVIDIA's engines with the simulators of tests/models, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.store import Catalog
from tests.models.trees import checkout, fake_checkpoints, fake_hub
from tests.support.project import Project, settings_in, write_video
from tests.support.templates import lay_catalog

FAMILY: Final = {
    "cosmos_transfer1": "transfer1",
    "cosmos_transfer2_5": "transfer2_5",
    "cosmos3": "cosmos3",
}


def models_in(place: Path, engine: str) -> str:
    """Make a simulated checkout with weights below `place`; return the engine's settings."""
    family, own = FAMILY[engine], place / engine
    code, checkpoints, hub = (own / name for name in ("code", "checkpoints", "huggingface"))
    own.mkdir(parents=True)
    checkout(family, code)
    fake_hub(hub)
    fake_checkpoints(family, checkpoints if family == "transfer1" else hub)
    checkpoints.mkdir(exist_ok=True)
    places = {"code": code, "checkpoints": checkpoints, "huggingface": hub}
    lines = [f'{name} = "{path}"' for name, path in places.items()]
    return "\n".join([f"[{engine}]", *lines, "free_vram_gib = 0", "ram_gib = 0", ""])


def cosmos_project(
    home: Path, engine: str = "cosmos_transfer1", more: str = "", **others: str
) -> Project:
    """Make a project of this engine; `more` are further lines of its table.

    `others`: upscale_engine and enhance_engine.
    """
    names = [*(name for name in dict.fromkeys(others.values()) if name != engine), engine]
    tables = "\n".join(models_in(home / "models", name) for name in names)
    chosen = "".join(f'{key} = "{name}"\n' for key, name in {"engine": engine, **others}.items())
    text = f"[execution]\n{chosen}grace_s = 2\n\n{tables}{more}\n"
    settings = settings_in(home, text)
    backend = backend_for(settings)
    assert isinstance(backend, LocalBackend)
    lay_catalog(settings.catalog_url)
    return Project(settings, Catalog.open(settings.catalog_url), backend)


def all_passes(home: Path) -> Project:
    """Make a project of Cosmos-Transfer1 with a scene of 4 frames in all five passes."""
    made = cosmos_project(home)
    made.scene(frames=4)
    for i, name in enumerate(("edge", "vis")):
        write_video(made.settings.inputs / "city" / f"{name}.mp4", frames=4, seed=90 + i)
    return made
