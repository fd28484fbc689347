"""All that is known of one run, for people: its settings, numbers and files, and what it took.

Settings come from the fields of its operation, numbers from whatever its outputs record: what is
added to them is here without a change.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from cosmos_pipelines.catalog.folders import run_directory
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine, label_of
from cosmos_pipelines.errors import CosmosError
from cosmos_pipelines.files import files_below, sha256_of
from cosmos_pipelines.operate.costs import costs_of
from cosmos_pipelines.operations import OPERATIONS
from cosmos_pipelines.settings import Settings

Use = Literal["used", "ignored", "refused", "ours", "unknown"]
"""What an engine does with a field; `ours`: the field is for the use of the result."""

MOST_FILES: Final = 200
HASHED_HERE: Final = 4 << 20
"""Bytes up to which a file is read for its hash, if no record has it."""
_ELSEWHERE: Final = frozenset(
    {"enhanced_text", "enhanced_prompt_id", "sha256", "model_sha256", "inputs", "made_by", "mixed"}
)
"""Outputs that are no numbers: texts, ids and hashes, which are shown in another place."""
_UNITS: Final = (("_s", "s"), ("_mib", "MiB"), ("_percent", "%"), ("size", "bytes"))
_UNIT_NAMES: Final = re.compile(r"_(?:s|mib|percent)$")


def settings_of(settings: Settings, run: Run) -> list[dict[str, Any]]:
    """Return each field of the run's operation: `name`, `value` (text), `default`, `use`, `about`.

    `default`: the value is the operation's or the engine's own. `use`: see `Use`; `unknown` if the
    engine is not installed here.
    """
    kind = run.model_type
    try:
        engine = settings.engine(run.engine)
    except CosmosError:
        engine = None
    own = engine.defaults.get(kind, {}) if engine else {}
    rows = []
    for name, field in OPERATIONS[kind].model_fields.items():
        plain = field.get_default(call_default_factory=True)
        value = run.execution_config.get(name, plain)
        # a tuple is kept as a list
        unchanged = value in (plain, own.get(name)) or (not value and plain == ())
        rows.append(
            {
                "name": name,
                "value": _text(value),
                "default": unchanged,
                "use": _use(engine, run, name),
                "about": field.description or "",
            }
        )
    return rows


def _use(engine: Engine | None, run: Run, name: str) -> Use:
    kind = run.model_type
    if name in OPERATIONS[kind].ours:
        return "ours"
    if engine is None:
        return "unknown"
    if name in engine.ignores.get(kind, ()):
        return "ignored"
    return "refused" if name in engine.refuses.get(kind, {}) else "used"


def _text(value: object) -> str:
    if value is None or value in ("", [], ()):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) else str(value)


def numbers_of(run: Run) -> list[dict[str, Any]]:
    """Return every number and word that the outputs record: `name`, `value`, `unit` ("" if none).

    The name of one within another has both: `gpu: peak memory`.
    """
    outputs = dict(run.outputs)
    predicted = outputs.get("expected")
    if isinstance(predicted, Mapping) and predicted.items() <= outputs.items():
        del outputs["expected"]  # a result is not kept if it is another
    return [
        {"name": _label(path), "value": value, "unit": _unit(path[-1])}
        for path, value in _flat(outputs, ())
    ]


def _flat(values: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    for name, value in values.items():
        if not above and (name in _ELSEWHERE or _is_file(value)):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, (*above, name))
        elif value is not None and isinstance(value, str | int | float):
            yield (*above, name), value


def _label(path: tuple[str, ...]) -> str:
    words = [_UNIT_NAMES.sub("", name).replace("_", " ") for name in path]
    return ": ".join(words)


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _is_file(value: object) -> bool:
    return isinstance(value, str) and "/run_rs_" in f"/{value}"


def files_of(settings: Settings, run: Run) -> list[dict[str, Any]]:
    """Return the files of a run's directory: `path` (below it), `size`, `sha256` or None.

    A recorded file that is gone is there with `size` None. The hash is the recorded one; a small
    file without one is read for it.
    """
    directory = run_directory(settings.outputs, run.id)
    recorded = {
        Path(value).name: run.outputs.get("sha256") if name == "video" else None
        for name, value in run.outputs.items()
        if _is_file(value)
    }
    rows = []
    for file in sorted(files_below(directory))[:MOST_FILES] if directory.is_dir() else []:
        path = file.relative_to(directory).as_posix()
        known = recorded.pop(path, None)
        try:
            state = file.lstat()
            small = stat.S_ISREG(state.st_mode) and state.st_size <= HASHED_HERE
            hashed = known or (sha256_of(file) if small else None)
        except OSError:  # it was moved or removed in this moment, or is not for us
            continue
        rows.append({"path": path, "size": state.st_size, "sha256": hashed})
    gone = [{"path": name, "size": None, "sha256": sha} for name, sha in recorded.items()]
    return [*gone, *rows]


def cost_of(catalog: Catalog, settings: Settings, run: Run) -> list[dict[str, str]]:
    """Return what a run takes or took, and where: rows of `name` and `value`, as far as known."""
    made_by = run.outputs.get("made_by")
    made_by = made_by if isinstance(made_by, Mapping) else {}
    mixed = run.outputs.get("mixed")
    facts: dict[str, object] = {
        **costs_of(catalog, settings, run),
        "engine": label_of(run.engine),
        "engine version": made_by.get("engine_version"),
        "code": made_by.get("code"),
        "weights": made_by.get("weights"),
        "checkpoints": made_by.get("checkpoints"),
        "backend": run.backend,
        "host": run.host,
        "container": run.container_name,
        "image": run.image_digest,
        "order": run.batch_id,
        "mixed load": mixed.get("note") if isinstance(mixed, Mapping) else None,
        "attempt": run.attempt if run.attempt > 1 else None,
        "exit code": run.exit_code,
    }
    return [{"name": name, "value": str(v)} for name, v in facts.items() if v not in (None, "")]


def made_of(run: Run) -> list[dict[str, str]]:
    """Return the hash of each input that the result was made of: rows of `name` and `sha256`."""
    inputs = run.outputs.get("inputs")
    found = inputs.items() if isinstance(inputs, Mapping) else ()
    return [{"name": str(name), "sha256": str(sha)} for name, sha in found]
