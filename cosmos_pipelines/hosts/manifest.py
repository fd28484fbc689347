"""The manifests of `gpu_scripts`: which checkpoints an engine needs, and where they lie. Pure.

The program that downloads them reads the same files on its own: `checkpoints.py` beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.foreign import read_json
from cosmos_pipelines.frozen import Frozen, explain


class Checkpoint(Frozen):
    """One file of a repository, or with `*` in its path several."""

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

    @property
    def needed(self) -> bool:
        """Whether it belongs to what is verified and downloaded where nothing else is said."""
        return bool(self.needed_for) and not self.optional

    @property
    def always(self) -> bool:
        """Whether no run can do without it."""
        return self.needed and self.control is None

    @property
    def place(self) -> tuple[str, str | None, str]:
        """Directory below its target, the branch that names a directory in it, path below that."""
        if self.into is not None:
            return self.into, None, self.path
        if self.target == "checkpoints":
            return self.repo, None, self.path
        cache = f"hub/models--{self.repo.replace('/', '--')}"
        at = self.revision or "main"
        if len(at) == 40:
            return f"{cache}/snapshots/{at}", None, self.path
        return cache, at, self.path


class Manifest(Frozen):
    """All that is known of an engine's checkpoints."""

    engine: str
    about: tuple[str, ...] = ()
    files: tuple[Checkpoint, ...]


def read_manifest(file: Path) -> Manifest:
    """A manifest. Raises SettingsError if there is none, or none that can be read."""
    try:
        return Manifest.model_validate(read_json(file, kind=SettingsError))
    except ValidationError as e:
        raise SettingsError(f"{file}: {explain(e)}.") from None
