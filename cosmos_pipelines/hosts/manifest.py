"""The manifests of `gpu_scripts`: the checkpoints of an engine, and their directories. Pure.

`checkpoints.py`, which downloads the checkpoints on the host, has its own reader of these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Frozen, explain


class Checkpoint(Frozen):
    """One file of a repository, or several files if its path has a `*`."""

    repo: str
    path: str
    target: Literal["checkpoints", "huggingface"] = Field(
        description="the checkpoint directory, or the cache from which libraries load by name"
    )
    size: int | None = Field(description="bytes; None: published nowhere")
    md5: str | None = Field(pattern=r"^[0-9a-f]{32}$")
    revision: str | None = Field(description="None: the main branch")
    gated: bool = Field(description="its licence must have been accepted")
    needed_for: tuple[str, ...] = Field(description="operations; none: known, but not needed")
    control: str | None = Field(None, description="the one control or variant that needs it")
    optional: bool = Field(False, description="left out unless its control is named")
    exclude: tuple[str, ...] = ()
    into: str | None = Field(None, description="another directory below its target than usual")
    cache: str | None = Field(
        None, description="directory below its target that a library uses as a cache, not `hub`"
    )
    guardrail: bool = Field(False, description="it only judges: no pixel depends on it")

    @property
    def needed(self) -> bool:
        """Whether `verify` and `download` include this checkpoint by default."""
        return bool(self.needed_for) and not self.optional

    @property
    def always(self) -> bool:
        """Whether every run needs this checkpoint."""
        return self.needed and self.control is None

    @property
    def place(self) -> tuple[str, str | None, str]:
        """Return directory below the target, branch that names a directory in it, path below."""
        if self.into is not None:
            return self.into, None, self.path
        if self.target == "checkpoints" and self.cache is None:
            return self.repo, None, self.path
        cache = f"{self.cache or 'hub'}/models--{self.repo.replace('/', '--')}"
        revision = self.revision or "main"
        if len(revision) == 40:
            return f"{cache}/snapshots/{revision}", None, self.path
        return cache, revision, self.path


class Manifest(Frozen):
    """All checkpoints of an engine."""

    engine: str
    about: tuple[str, ...] = ()
    files: tuple[Checkpoint, ...]


def read_manifest(file: Path) -> Manifest:
    """Read a manifest. Raises SettingsError if the file is missing or cannot be read."""
    try:
        return Manifest.model_validate(read_json(file, kind=SettingsError))
    except ValidationError as e:
        raise SettingsError(f"{file}: {explain(e)}.") from None
