"""A whole project in a temporary directory: settings, catalog, backend and tiny real scenes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.registry import backend_for
from cosmos_pipelines.catalog.records import Run
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings, load_settings
from tests.support.templates import lay_catalog

PASSES = ("color", "depth", "segmentation")


def write_video(
    path: Path,
    *,
    frames: int = 6,
    width: int = 64,
    height: int = 48,
    fps: Fraction | int = 24,
    seed: int = 0,
) -> Path:
    """Write a tiny moving H.264 video, different for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = Fraction(fps)
    y, x = np.mgrid[0:height, 0:width]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "18", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            shade = np.stack([x * 3 + 7 * i + seed, y * 4 + seed, x + y + 5 * i], axis=-1)
            frame = av.VideoFrame.from_ndarray((shade % 256).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Project:
    """A project for one test."""

    settings: Settings
    catalog: Catalog
    backend: LocalBackend

    def scene(self, name: str = "city", **shape: int) -> Path:
        """Write a scene with colour, depth and segmentation videos."""
        directory = self.settings.inputs / name
        for i, control in enumerate(PASSES):
            write_video(directory / f"{control}.mp4", seed=40 * i, **shape)
        return directory

    def run_directory(self, run: Run) -> Path:
        """Return the directory of a run's results."""
        return self.settings.outputs / f"run_{run.id}"


def make_project(home: Path) -> Project:
    """Make an empty project in `home`."""
    settings = settings_in(home, "[execution]\ngrace_s = 2\n")
    backend = backend_for(settings)
    assert isinstance(backend, LocalBackend)
    lay_catalog(settings.catalog_url)
    return Project(settings, Catalog.open(settings.catalog_url), backend)


def copy_of(home: Path, to: Path) -> Project:
    """Copy a project that `make_project` made, with its catalog, Dagster's records and results."""
    shutil.copytree(home, to)
    return make_project(to)


def settings_in(home: Path, text: str) -> Settings:
    """Write a new project's cosmos.toml; return the settings."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "cosmos.toml").write_text(text, encoding="utf-8")
    return load_settings(home)
