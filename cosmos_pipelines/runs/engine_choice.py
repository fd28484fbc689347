"""Which engine makes a run: the one asked for, else the one set for such runs."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.engines import ENGINES, Engine
from cosmos_pipelines.errors import EngineBroken, InputError, SettingsError, UnknownId
from cosmos_pipelines.operations import ModelType
from cosmos_pipelines.settings import Settings
from cosmos_pipelines.settings_file import FILE, place_of, read_settings


def engine_for(settings: Settings, model_type: ModelType, name: str | None = None) -> Engine:
    """The engine called so, or else the one that `[execution]` names for such runs.

    Raises:
        InputError: there is no such engine, it cannot be used, or it does not have the operation.
        SettingsError: what a setting names is such a one; with the place of the setting.
    """
    if name:
        return _able(settings, name, model_type)
    setting = settings.execution.engine_setting(model_type)
    try:
        return _able(settings, settings.execution.engine_for(model_type), model_type)
    except InputError as e:
        if setting == "engine" and not isinstance(e, UnknownId | EngineBroken):
            raise  # it is right for other operations
        file = settings.home / FILE
        place = place_of(["execution", setting], file, read_settings(file)[1])
        raise SettingsError(f"{place}: execution.{setting}: {e.message}", hint=e.hint) from None


def missing_here(settings: Settings, engine: Engine) -> dict[str, str]:
    """What an engine needs on this machine and does not find: a sentence for each setting."""
    paths = {d.name: settings.work / d.source for d in engine.directories()}
    missing = {d: f"no directory {path}" for d, path in paths.items() if not path.is_dir()}
    own = engine.own_checkpoint()
    if own and not Path(own).exists():
        missing["checkpoint"] = f"no checkpoint {own}"
    return missing


def _able(settings: Settings, name: str, model_type: ModelType) -> Engine:
    """The engine called so, if it has the operation."""
    engine = settings.engine(name)
    if model_type in engine.operations:
        return engine
    able = [e.name for e in ENGINES.values() if model_type in e.operations and not e.simulated]
    hint = f"Choose an engine that has it (`--engine`): {' or '.join(able)}"
    execution, own = settings.execution, f"{model_type}_engine"
    if own in type(execution).model_fields and execution.engine_setting(model_type) != own:
        hint += f', or set {own} = "{able[0]}" under [execution] in {FILE}'
    raise InputError(f"The engine {name} has no {model_type}.", hint=f"{hint}.")
