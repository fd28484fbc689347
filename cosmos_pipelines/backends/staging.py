"""Make the run folder of an order on this machine's disk, ready to start."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.errors import InputError
from cosmos_pipelines.files import WrongContent, remove, room_for, write_text
from cosmos_pipelines.operations.base import Order, Video
from cosmos_pipelines.remote.files import cas


def stage(order: Order, kept_in: Path, made: Path, runs_in: Path) -> None:
    """Make the run folder `made`; its inputs are links into the directory `kept_in` (cas).

    `runs_in`: the path of the folder when the order runs.

    Raises:
        InputError: an input is missing or was changed since it was measured, or a name leads out
            of the folder; no file is left.
        DiskFull: no room; no file is left.
    """
    run_folder.check(order)
    kept = {name: _keep(kept_in, name, video) for name, video in order.inputs.items()}
    texts = {**order.texts(str(runs_in)), run_folder.ORDER: order.model_dump_json(indent=1)}
    places = [made / "outputs" / e.name for e in order.expected] + [made / name for name in texts]
    try:
        with room_for(made):
            for folder in (made / "inputs", made / "outputs", *(p.parent for p in places)):
                folder.mkdir(parents=True, exist_ok=True)
        for name, file in kept.items():
            _place(kept_in, name, order.inputs[name], file, made / "inputs" / name)
        for name, text in texts.items():
            write_text(made / name, text)
    except BaseException:
        remove(made)
        raise


def _place(kept_in: Path, name: str, video: Video, kept: Path, target: Path) -> None:
    """Link a kept input; keep the input again if the kept file was removed meanwhile."""
    try:
        cas.place(kept, target)
    except FileNotFoundError:
        cas.place(_keep(kept_in, name, video), target)


def _keep(kept_in: Path, name: str, video: Video) -> Path:
    source = Path(video.path)
    try:
        return cas.keep(kept_in, source, video.sha256)
    except WrongContent:
        raise InputError(
            f"{source} ({name}) was changed since it was measured.",
            hint="Start again from the scene as it is now.",
        ) from None
    except (FileNotFoundError, PermissionError, IsADirectoryError) as e:
        if e.filename not in (video.path, source):
            raise
        raise InputError(f"{source} ({name}) cannot be read: {e.strerror}.") from e
