"""Scenes and prompts enter the catalog here, checked before anything is written.

The command line, the Python API, the Dagster page's forms and the sensors all come through here.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from cosmos_pipelines.catalog.records import Prompt, SceneRow
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import InputError, MediaError
from cosmos_pipelines.operations import Video
from cosmos_pipelines.settings import Settings

DepthValues = Literal["distance", "nearness"]
"""What a rendered depth pass says: how far a point is, or (as models do) how near."""

DepthHoles = Literal["far", "near", "none"]
"""What a depth of 0 is: nothing measured, shown far or near; or a depth like any other."""

Progress = Callable[[str, int, int], None]
"""Called with the pass, the frames done and the frames in all."""


def scene_key(settings: Settings, directory: Path) -> str:
    """The key of the scene in `directory`: its path below the inputs root.

    A directory elsewhere is `<name>@<8 hex digits of its absolute path's hash>`.

    Raises:
        InputError: a name that cannot be a key (control characters, commas, `...`).
    """
    directory = directory.resolve()
    root = settings.inputs.resolve()
    if directory.is_relative_to(root) and directory != root:
        key = directory.relative_to(root).as_posix()
    else:
        digest = hashlib.sha256(str(directory).encode()).hexdigest()[:8]
        key = f"{directory.name}@{digest}"
    if not key.isprintable() or "," in key or "..." in key:
        raise InputError(
            f"The scene directory {key!r} has a comma, '...' or a control character in its name.",
            hint="Rename it.",
        )
    return key


def scene_directory(settings: Settings, given: str | Path) -> Path:
    """The directory that a user means: absolute, below the inputs root, or from here.

    Raises:
        InputError: a relative path that leaves the inputs root and the current directory's tree.
        MediaError: there is no such directory.
    """
    path = Path(given).expanduser()
    if path.is_absolute():
        candidates = [path]
    else:
        roots = (settings.inputs, settings.home, Path.cwd())
        candidates = [root / path for root in roots]
    for candidate in candidates:
        if candidate.is_dir():
            _confine(settings, path, candidate)
            return candidate.resolve()
    raise MediaError(
        f"There is no scene directory {str(given)!r}.",
        hint=f"Scenes live in {settings.inputs}; `cosmos prepare DIR` makes one.",
    )


def _confine(settings: Settings, given: Path, found: Path) -> None:
    if given.is_absolute() or found.resolve().is_relative_to(settings.inputs.resolve()):
        return
    raise InputError(
        f"The relative path {str(given)!r} is not below the inputs root {settings.inputs}.",
        hint="Give a scene elsewhere by its absolute path.",
    )


def prepare(
    catalog: Catalog,
    settings: Settings,
    directory: Path,
    name: str | None = None,
    *,
    fps: Fraction | int | None = None,
    description: str | None = None,
    depth_values: DepthValues = "distance",
    depth_holes: DepthHoles | None = None,
    step: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Encode a rendered directory as a scene below the inputs root and register it.

    A directory that lies below the inputs root already is prepared in place.

    Raises:
        MediaError: one line that says what is wrong with it.
        InputError: a name that leaves the inputs root.
    """
    from cosmos_pipelines.media.prepare import prepare_scene

    source = directory.expanduser().resolve()
    root = settings.inputs.resolve()
    inside = source.is_relative_to(root) and source != root
    dest = source if inside and name is None else (root / (name or source.name)).resolve()
    if dest == root or not dest.is_relative_to(root):
        raise InputError(f"The scene name {name!r} leaves the inputs root {root}.")
    made = prepare_scene(
        source,
        dest,
        fps=Fraction(fps) if fps else None,
        name=name,
        description=description,
        depth_values=depth_values,
        depth_holes=depth_holes,
        step=step,
        progress=progress,
    )
    row = register_scene(catalog, settings, dest)
    return {**made, "key": row.key, "path": row.path}


def register_scene(catalog: Catalog, settings: Settings, directory: Path) -> SceneRow:
    """Check the scene in `directory` and enter it; sequences in it are encoded first.

    Raises:
        MediaError: one line that says what is wrong with it.
    """
    from cosmos_pipelines.media.prepare import load_scene, prepare_scene

    key = scene_key(settings, directory)
    if not (directory / "color.mp4").exists():
        prepare_scene(directory, directory)
    scene = load_scene(directory)
    facts = {
        name: {
            "file": probe.path.name,
            "sha256": scene.sha256[name],
            "size": probe.size,
            "width": probe.width,
            "height": probe.height,
            "frames": probe.frames,
            "fps": str(probe.fps),
            **probe.stamp._asdict(),
        }
        for name, probe in scene.passes.items()
    }
    picture = scene_preview(settings, key)
    known = catalog.find_scene(key)
    if known is None or known.digest != scene.digest or not picture.exists():
        from cosmos_pipelines.media.pictures import preview

        picture.parent.mkdir(parents=True, exist_ok=True)
        preview(scene.passes["color"].path, picture)
    elif known.facts == facts:
        return known
    return catalog.put_scene(key, str(directory), scene.digest, facts, scene.description)


def _as_measured(settings: Settings, scene: SceneRow) -> bool:
    """Whether a scene's files are those that were measured, by a look that reads none of them.

    The one place that decides it. An input that was changed unnoticed nevertheless is refused when
    it is staged: its hash is compared there.
    """
    from cosmos_pipelines.media.probe import Stamp, stamp_of
    from cosmos_pipelines.media.scene import videos_of

    if not scene_preview(settings, scene.key).exists():
        return False
    try:
        there = {name: (p.name, stamp_of(p)) for name, p in videos_of(Path(scene.path)).items()}
        known = {
            name: (facts["file"], Stamp(*(facts[field] for field in Stamp._fields)))
            for name, facts in scene.facts.items()
        }
    except (MediaError, KeyError):  # gone, or entered by a version that kept no stamps
        return False
    return there == known


def scene_preview(settings: Settings, key: str) -> Path:
    """Where the moving picture of a scene lies."""
    return settings.outputs / "previews" / "scenes" / (key.replace("/", "__") + ".webp")


def register_prompt(
    catalog: Catalog,
    settings: Settings,
    text: str,
    scene: str | Path,
    *,
    negative_prompt: str | None = None,
    name: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> tuple[Prompt, bool]:
    """Enter a prompt for a scene; the same content again gives the same prompt and False."""
    from cosmos_pipelines.naming import smart_name
    from cosmos_pipelines.operations.text import clean_text

    text = clean_text(text)
    row = _scene_in(catalog, settings, scene_directory(settings, scene))
    return catalog.add_prompt(
        text,
        negative_prompt,
        row.key,
        name or smart_name(text, catalog.prompt_names()),
        dict(parameters or {}),
    )


def current_scene(catalog: Catalog, settings: Settings, key: str) -> SceneRow:
    """The scene as its files are now: it may have been rendered again since it was entered.

    Its files are measured only if they are not those that were.
    """
    row = catalog.get_scene(key)
    return row if _as_measured(settings, row) else register_scene(catalog, settings, Path(row.path))


def _scene_in(catalog: Catalog, settings: Settings, directory: Path) -> SceneRow:
    """The scene in `directory` as its files are now, entered if it was not yet."""
    row = catalog.find_scene(scene_key(settings, directory))
    if row is not None and row.path == str(directory) and _as_measured(settings, row):
        return row
    return register_scene(catalog, settings, directory)


def scene_videos(scene: SceneRow) -> dict[str, Video]:
    """The scene's passes as engine inputs."""
    return {
        name: Video(
            path=str(Path(scene.path) / facts["file"]),
            **{name: facts[name] for name in Video.model_fields if name in facts},
        )
        for name, facts in scene.facts.items()
    }


def measured(path: Path) -> Video:
    """The facts of a video file, measured thoroughly (every packet is read once).

    What this process has measured is measured again only if the file has another stamp.

    Raises:
        MediaError: missing, unreadable, truncated, not a video, or one that players show turned,
            stretched or otherwise changed.
    """
    from cosmos_pipelines.media.probe import stamp_of

    return _measured(path, stamp_of(path))


@functools.lru_cache(maxsize=256)
def _measured(path: Path, _stamp: tuple[int, ...]) -> Video:
    from cosmos_pipelines.media.files import hash_of
    from cosmos_pipelines.media.plain import plain_video

    p = plain_video(path)
    return Video(
        path=str(path),
        sha256=hash_of(path),
        size=p.size,
        width=p.width,
        height=p.height,
        frames=p.frames,
        fps=str(p.fps),
    )
