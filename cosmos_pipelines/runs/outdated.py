"""Whether a result is still what it would be if it were made now.

What a run was made of is kept with it when it completes (`outputs.inputs`: the hash of each pass or
of the video that was enlarged; `outputs.made_by`: version of the engine, commit of its code, its
checkpoints, weights that settings chose) and compared with what is there now. Why it is decided so:
docs/decisions/0017.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.catalog.records import Prompt, Run, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.engines import Engine, label_of
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.ids import content_hash
from cosmos_pipelines.operations import ModelType, operation_from
from cosmos_pipelines.runs.locations import located
from cosmos_pipelines.runs.scene_state import GONE, content_now
from cosmos_pipelines.settings import Settings

Kind = Literal["render", "gone", "engine", "checkpoints", "parent"]
KINDS: Final[tuple[Kind, ...]] = ("render", "gone", "engine", "checkpoints", "parent")
"""Why a result is out of date: its scene or source was rendered again, or is gone; its engine, or
the engine's checkpoints, are others; the video that it was made from is out of date."""

_WEIGHTS: Final = ("checkpoints", "huggingface")


@dataclass(frozen=True)
class Reason:
    """One thing that is not as it was when the result was made."""

    kind: Kind
    said: str

    def as_dict(self) -> dict[str, str]:
        """Plain JSON values."""
        return asdict(self)


def made_by(engine: Engine, model_type: ModelType) -> dict[str, str]:
    """By what an engine makes its pixels, as far as this project knows."""
    known = {"engine_version": engine.version}
    if engine.setup is not None:
        known["code"] = engine.setup.commit
        places = {d.name: d.source for d in engine.directories() if d.name in _WEIGHTS}
        pinned = _pinned(SCRIPTS / engine.setup.manifest, model_type)
        known["checkpoints"] = content_hash({"places": places, "pinned": pinned})[:16]
    return known


@functools.lru_cache
def _pinned(manifest: Path, model_type: ModelType) -> tuple[tuple[str, ...], ...]:
    """Repository, path, revision and hash of each checkpoint that pixels depend on."""
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        needed = (f for f in files if model_type in f.get("needed_for", ()))
        wanted = [f for f in needed if not f.get("guardrail")]
        names = ("repo", "path", "revision", "md5")
        return tuple(tuple(str(f.get(name)) for name in names) for f in wanted)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()  # `cosmos doctor` says what is wrong with it


class Now:
    """What is there now. Each scene, engine and file is looked at once, when it is asked about."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog, self._settings = catalog, settings
        self._scenes: dict[str, Mapping[str, str | None]] = {}
        self._engines: dict[tuple[str, ModelType], Mapping[str, str]] = {}
        self._prompts: dict[str, Prompt] = {}
        self._runs: dict[str, Run] = {}
        self._reasons: dict[str, list[Reason]] = {}

    def know(self, runs: Iterable[Run]) -> None:
        """Read the prompts and parents of many runs at once."""
        runs = list(runs)
        self._runs |= {run.id: run for run in runs}
        parents = {run.parent_run_id for run in runs if run.parent_run_id}
        while missing := parents - self._runs.keys():
            found = self._catalog.find_runs(missing)
            self._runs |= found
            parents = {run.parent_run_id for run in found.values() if run.parent_run_id}
        prompts = {run.prompt_id for run in runs if run.prompt_id} - self._prompts.keys()
        if prompts:
            self._prompts |= self._catalog.find_prompts(prompts)

    def reasons(self, run: Run) -> list[Reason]:
        """Why the result of a run is out of date; [] if it is not, or if it has none."""
        if run.status != "completed":
            return []
        if run.id not in self._reasons:
            self.know([run])
            self._reasons[run.id] = list(self._compared(run))
        return self._reasons[run.id]

    def _compared(self, run: Run) -> Iterator[Reason]:
        made_of = run.outputs.get("inputs")
        if run.parent_run_id:
            yield from self._parent(run, made_of)
        elif run.source.get("video"):
            yield from _file(self._settings, run.source["video"], made_of)
        elif run.prompt_id and run.prompt_id in self._prompts:
            yield from self._scene(self._prompts[run.prompt_id].scene, made_of)
        yield from self._engine(run)

    def _scene(self, key: str, made_of: Any) -> Iterator[Reason]:
        if key not in self._scenes:
            self._scenes[key] = _scene_now(self._catalog, self._settings, key)
        now = self._scenes[key]
        if now is GONE:
            yield Reason("gone", f"The scene {key} is gone.")
        elif isinstance(made_of, Mapping):
            others = [name for name, sha in made_of.items() if now.get(name) != sha]
            gone = [name for name in others if name not in now]
            if rendered := [name for name in others if name in now]:
                yield Reason("render", f"{_and(rendered)} of {key} was rendered again since.")
            if gone:
                yield Reason("gone", f"{key} has no {_and(gone)} any more.")

    def _parent(self, run: Run, made_of: Any) -> Iterator[Reason]:
        parent = self._runs.get(str(run.parent_run_id))
        if parent is None:
            yield Reason("gone", f"The run {run.parent_run_id} is gone.")
            return
        had = made_of.get("video") if isinstance(made_of, Mapping) else None
        if had is not None and parent.outputs.get("sha256") not in (None, had):
            yield Reason("parent", f"The video of {parent.id} is another by now.")
        if why := self.reasons(parent):
            said = " ".join(reason.said for reason in why)
            yield Reason("parent", f"The video of {parent.id} is out of date: {said}")

    def _engine(self, run: Run) -> Iterator[Reason]:
        had = run.outputs.get("made_by")
        place = (run.engine, run.model_type)
        if place not in self._engines:
            try:
                self._engines[place] = made_by(self._settings.engine(run.engine), run.model_type)
            except CosmosError:  # not installed here (any more): nobody can tell
                self._engines[place] = {}
        now = self._engines[place]
        if not isinstance(had, Mapping):
            return
        label = label_of(run.engine)
        for name, what in (("engine_version", "version"), ("code", "code")):
            if name in now and had.get(name) not in (None, now[name]):
                said = f"{label} has another {what}: {now[name][:12]}, it was {had[name][:12]}."
                yield Reason("engine", said)
        if "checkpoints" in now and had.get("checkpoints") not in (None, now["checkpoints"]):
            yield Reason("checkpoints", f"{label} has other checkpoints.")
        weights, before = self._weights(run), had.get("weights", "")
        if weights is not None and weights != before:
            own = "the engine's own"
            said = f"{label} loads other weights: {weights or own}, not {before or own}."
            yield Reason("checkpoints", said)

    def _weights(self, run: Run) -> str | None:
        """What settings choose as weights of a run now; None if nobody can tell."""
        try:
            operation = operation_from(run.model_type, run.execution_config)
            return self._settings.engine(run.engine).weights(operation)
        except CosmosError:
            return None


def outdated_runs(
    catalog: Catalog, settings: Settings, runs: Iterable[Run], because: str | None = None
) -> list[tuple[Run, list[Reason]]]:
    """Those of the runs whose results are out of date, with the reasons.

    `because`: only those with a reason of this kind.

    Raises:
        InputError: there is no such kind.
    """
    if because is not None and because not in KINDS:
        raise InputError(f"Nothing is out of date because of {because!r}: {', '.join(KINDS)}.")
    runs, now = list(runs), Now(catalog, settings)
    now.know(runs)
    found = [(run, now.reasons(run)) for run in runs]
    return [
        (run, reasons)
        for run, reasons in found
        if reasons and (because is None or any(r.kind == because for r in reasons))
    ]


def outdated_records(
    catalog: Catalog, settings: Settings, runs: Iterable[Run], because: str | None = None
) -> list[dict[str, Any]]:
    """As `outdated_runs`, as plain JSON values with `outdated` and `replaced_by`."""
    found = outdated_runs(catalog, settings, runs, because)
    if not found:
        return []
    everything = catalog.list_runs(limit=None)
    stale = [run.id for run, _ in outdated_runs(catalog, settings, everything)]
    newer = replacements(everything, stale)
    return [
        run.as_dict()
        | {"outdated": [r.as_dict() for r in reasons], "replaced_by": newer.get(run.id)}
        for run, reasons in found
    ]


def replacements(runs: Iterable[Run], outdated: Iterable[str]) -> dict[str, str]:
    """For runs of which the same was asked for again later: the newest such run.

    One that failed, was cancelled or is out of date itself is none. An upscale is replaced by one
    of what its parent was replaced by.
    """
    stale, found = set(outdated), dict[str, str]()
    by_age = sorted(runs, key=lambda run: run.created_at)
    good = [r for r in by_age if r.id not in stale and r.status not in ("failed", "cancelled")]
    newest = {same_request(run): run for run in good}
    for old in by_age:
        new = newest.get(same_request(old, found.get(old.parent_run_id or "")))
        if new is not None and new.created_at > old.created_at:
            found[old.id] = new.id
    return found


def same_request(run: Run, parent: str | None = None) -> tuple[Any, ...]:
    """What is equal for runs that ask for the same result; `parent`: another parent run."""
    of = (run.prompt_id, parent or run.parent_run_id, run.source.get("video"))
    return (run.model_type, run.engine, *of, content_hash(run.execution_config))


def _scene_now(catalog: Catalog, settings: Settings, key: str) -> Mapping[str, str | None]:
    scene: SceneRow | None = catalog.find_scene(key)
    return GONE if scene is None else content_now(settings, scene)


def _file(settings: Settings, stored: str, made_of: Any) -> Iterator[Reason]:
    from cosmos_pipelines.media.files import hash_of

    file = located(settings, stored)
    if not file.is_file():
        yield Reason("gone", f"{file} is gone.")
    elif isinstance(made_of, Mapping) and made_of.get("video") not in (None, hash_of(file)):
        yield Reason("render", f"{file} is another by now.")


def _and(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
