"""Find the scenes of a directory and their passes, by the names that tools give to files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cosmos_pipelines.errors import MediaError, command, nearest
from cosmos_pipelines.media.depths.camera import camera_files
from cosmos_pipelines.media.items import Files, frames_of_video, items_of
from cosmos_pipelines.media.layouts.choice import Left, Taken
from cosmos_pipelines.media.layouts.labels import labels_of
from cosmos_pipelines.media.layouts.scenes import Arranged, arrange, candidates
from cosmos_pipelines.media.layouts.tree import VIDEOS, Folder, folders_in
from cosmos_pipelines.media.lerobot.dataset import is_data_set, read_data_set
from cosmos_pipelines.media.lerobot.episode import episodes_of
from cosmos_pipelines.media.pass_names import PASSES, recognise
from cosmos_pipelines.media.scene_file import products, read_scene_file

__all__ = [
    "PASSES",
    "VIDEOS",
    "FoundScene",
    "Pass",
    "Survey",
    "find_passes",
    "find_scene",
    "recognise",
    "survey",
]

NAMED: Final = 10
"""Scenes of a directory that a message names."""


@dataclass(frozen=True)
class Pass:
    """One pass as found: a video, or a picture sequence in the order of its numbers.

    `layers`: of each picture the layers that the pass is made of, as the files name them; of PNG
    none. `meaning`: how their values are to be read (`cryptomatte`, ...); empty: as they are.
    `beside`: files that explain the pictures (labels). `part`: of a video its first frame and the
    number of frames, where it is a part only. `why`: for people, why it is this pass.
    """

    name: str
    kind: Literal["png", "pictures", "video"]
    label: str
    """For people: `depth/z.####.png`, relative to the directory that was searched."""
    files: tuple[Path, ...]
    numbers: tuple[int, ...] = ()
    layers: tuple[str, ...] = ()
    meaning: str = ""
    beside: tuple[Path, ...] = ()
    part: tuple[int, int] | None = None
    why: str = ""
    video: Path | None = None
    """Of pictures the video of the same frames beside them, whose rate they have."""


@dataclass(frozen=True)
class FoundScene:
    """One scene: its passes, and what is left of the pictures and videos that lie with them.

    `name`: how it is called among others; empty where the directory is that scene. `root`: the
    directory that holds it. `stem`: its name there; empty where that holds nothing else. `wrong`:
    why it cannot be used.
    """

    name: str
    root: Path
    passes: dict[str, Pass]
    left: tuple[Left, ...] = ()
    stem: str = ""
    also: str = ""
    """How it would be called if there were others."""
    wrong: MediaError | None = None
    task: str = ""
    """What is done in it, in words, where its data set says so."""

    @property
    def ignored(self) -> tuple[str, ...]:
        """What is no pass, with the reason where it is called as one."""
        return tuple(map(str, self.left))


@dataclass(frozen=True)
class Survey:
    """All scenes of a directory, and what is of none."""

    directory: Path
    scenes: tuple[FoundScene, ...]
    left: tuple[Left, ...] = ()

    def scene(self, name: str | None = None) -> FoundScene:
        """The scene of this name; the only one, or what is left where there is none.

        Raises:
            MediaError: it cannot be used, there is none of this name, or there are several.
        """
        found = self.find(name)
        if found is None:
            raise self._no_scene(str(name))
        if found.wrong:
            raise found.wrong
        return found

    def find(self, name: str | None = None) -> FoundScene | None:
        """As `scene`; None where there is none of this name. It may be one that cannot be used.

        Raises:
            MediaError: there are several.
        """
        if name is not None:
            names = [one for one in self.scenes if one.name.lower() == name.lower()]
            alone = self.scenes[0] if len(self.scenes) == 1 else None
            if not names and alone and alone.also.lower() == name.lower():
                return alone
            return names[0] if names else None
        if not self.scenes:
            return FoundScene("", self.directory, {}, self.left)
        if len(self.scenes) > 1:
            raise self._several()
        return self.scenes[0]

    def _no_scene(self, name: str) -> MediaError:
        names = [one.name for one in self.scenes]
        near = nearest(name, names) or names[:3]
        holds = f"It holds {', '.join(n or 'one scene without a name' for n in near)}."
        return MediaError(
            f"{self.directory} holds no scene {name}.", hint=holds if near else "It holds no scene."
        )

    def _several(self) -> MediaError:
        colours = [p.label for s in self.scenes for p in s.passes.values() if p.name == "color"]
        names = [one.name for one in self.scenes]
        said = candidates(str(self.directory), "color", colours, "").message
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        take = command("cosmos", "prepare", self.directory)
        return MediaError(
            said,
            hint=f"Each is a scene ({', '.join(names[:NAMED])}{more}): "
            f"{take} makes all of them, `--scene NAME` one.",
        )


def find_passes(
    directory: Path, name: str | None = None, wanted: Mapping[str, str] | None = None
) -> dict[str, Pass]:
    """The passes of a scene in `directory`, by name (color, depth, ...) in the order of PASSES.

    Gaps in a sequence are not raised (see `numbering.missing`). See `find_scene`.
    """
    return find_scene(directory, name, wanted).passes


def find_scene(
    directory: Path, name: str | None = None, wanted: Mapping[str, str] | None = None
) -> FoundScene:
    """The scene in `directory`; without passes where nothing there is one.

    `name`: of a scene that is one of several there. `wanted`: as `survey`. Videos that were
    prepared from pictures in the same directory (scene.json says so) are not passes of it.

    Raises:
        MediaError: missing, not readable, two candidates for one pass, a frame number twice.
    """
    made = products(directory, read_scene_file(directory))
    return survey(directory, skip=made, wanted=wanted).scene(name)


def survey(
    directory: Path, *, skip: Collection[Path] = (), wanted: Mapping[str, str] | None = None
) -> Survey:
    """The scenes of a directory, several levels deep, without files and directories in `skip`.

    `wanted`: for a pass what it shall be: a directory, a layer, or a word of a name. Of pictures
    the headers of the first ones are read, of a video that competes with pictures its length.

    Raises:
        MediaError: the directory may not be read, or nothing is called as `wanted` says.
    """
    if is_data_set(directory):
        return Survey(directory, tuple(_episodes(directory)))
    prepared: list[Path] = []
    folders = list(folders_in(directory, skip=skip, prepared=prepared))
    items = [item for folder in folders for item in items_of(folder)]
    there = bool(prepared)
    found, of_none = arrange(items, wanted or {}, frames_of_video, str(directory), others=there)
    places = {folder.parts: folder for folder in folders}
    scenes = [_scene(directory, one, places) for one in found]
    return Survey(directory, tuple(scenes), tuple(sorted(of_none, key=lambda one: one.label)))


def _episodes(directory: Path) -> Iterator[FoundScene]:
    """A LeRobot data set: each episode of each camera is a scene."""
    for one in episodes_of(read_data_set(directory)):
        label = one.video.relative_to(directory).as_posix()
        color = Pass(
            name="color",
            kind="video",
            label=label,
            files=(one.video,),
            part=(one.first, one.length),
            why=f"episode {one.number} of a LeRobot data set, camera {one.camera}",
        )
        yield FoundScene(one.name, directory, {"color": color}, stem=one.name, task=one.task)


def _scene(directory: Path, one: Arranged, places: Mapping[tuple[str, ...], Folder]) -> FoundScene:
    color = one.passes.get("color")
    return FoundScene(
        name=one.name,
        root=directory.joinpath(*one.root),
        passes={name: _pass(taken, places, directory) for name, taken in one.passes.items()},
        left=tuple(one.left),
        stem=one.stem,
        also="/".join(filter(None, (*color.cut.root, color.cut.stem))) if color else "",
        wrong=one.wrong,
    )


def _pass(taken: Taken, places: Mapping[tuple[str, ...], Folder], directory: Path) -> Pass:
    item, of = taken.item, taken.item.of
    assert isinstance(of, Files)
    assert item.kind != "other"
    name = taken.cut.name or ""
    beside: tuple[Path, ...] = ()
    if taken.cut.meaning == "cryptomatte":
        beside = of.beside
    elif name == "segmentation" and item.kind != "video":
        beside = labels_of(places[item.folders], item.words)
    elif name == "depth" and taken.cut.meaning == "radial":
        beside = camera_files(of.files, directory)
    return Pass(
        name=name,
        kind=item.kind,
        label=item.label,
        files=of.files,
        numbers=of.numbers,
        layers=of.layers,
        meaning=taken.cut.meaning,
        beside=beside,
        why=taken.cut.why,
        video=taken.twin.of.files[0] if taken.twin and isinstance(taken.twin.of, Files) else None,
    )
