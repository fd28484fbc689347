"""No function, class, constant or field is kept that only tests use: a step of `make check`.

vulture reads the product without the tests. What it cannot see is written down here, by who calls
the name: a name that is needed here no longer fails as well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vulture import Vulture

HOME = Path(__file__).resolve().parent.parent
CONFIDENCE = 60
"""Percent, vulture's own: everything that is never named again; 100 is code that cannot run."""

DECORATORS = (
    "@app.command", "@app.callback",  # Typer
    "@dg.definitions",
    "@field_validator", "@model_validator", "@model_serializer",  # pydantic
)  # fmt: skip

CALLED_BY = {
    "Alembic": ("down_revision",),
    "Dagster's daemon": ("MIN_INTERVAL_LOOP_TIME",),
    "Dagster, whose dagster.yaml names the class": (
        "CheckedRunLauncher", "supports_check_run_worker_health", "check_run_worker_health",
    ),
    "inspect": ("__signature__", "__annotations__"),
    "paramiko": (
        "banner_timeout", "handshake_timeout", "auth_timeout", "channel_timeout", "REKEY_BYTES",
    ),
    "PyAV": ("pict_type", "thread_type", "thread_count"),
    "pydantic-settings": (
        "settings_customise_sources", "settings_cls", "dotenv_settings", "file_secret_settings",
    ),
    "SQLAlchemy": (
        "impl", "cache_ok", "load_dialect_impl", "process_bind_param", "process_result_value",
    ),
    "sqlite3": ("isolation_level",),
    "tempfile": ("tempdir",),
    "Typer": ("format_commands",),
    "urllib": ("redirect_request",),
}  # fmt: skip

READ_BY_NAME = {
    "Execution.engine_for and Settings.timeout_s": (
        "upscale_engine", "enhance_engine",
        "transfer_timeout_s", "upscale_timeout_s", "enhance_timeout_s",
    ),
    "the JSON of a GPU": ("power_w",),
    "the JSON of a run": ("container_id",),
    "the settings of a run": ("create_new", "seg"),
    "who reads a scene.json": (
        "source_values", "value_of_white", "value_of_black", "holes_are", "cut_off_share",
        "lowest_value", "highest_value", "max_error", "area", "range_is", "nothing_hit",
        "projection", "fov_degrees", "overflow",
    ),
}  # fmt: skip

PUBLIC = HOME / "cosmos_pipelines" / "api"
"""Public methods of `CosmosAPI` are there for those who write Python."""


def main() -> int:
    """Print what is dead; 0 if nothing is."""
    os.chdir(HOME)
    vulture = Vulture(ignore_decorators=list(DECORATORS))
    vulture.scavenge(["cosmos_pipelines", "gpu_scripts"])
    found = vulture.get_unused_code(min_confidence=CONFIDENCE)
    known = {n for names in (CALLED_BY | READ_BY_NAME).values() for n in names}
    dead = [item for item in found if item.name not in known and not is_public(item)]
    stale = sorted(known - {item.name for item in found})
    for item in dead:
        print(f"{item.get_report()}: remove it, or say in {Path(__file__).name} who calls it")
    for name in stale:
        print(f"{Path(__file__).name}: {name} is used, or gone: remove it from there")
    return 1 if dead or stale else 0


def is_public(item: object) -> bool:
    """Whether it is a public method of the Python API."""
    inside = PUBLIC in Path(item.filename).resolve().parents
    return inside and item.typ == "method" and not item.name.startswith("_")


if __name__ == "__main__":
    sys.exit(main())
