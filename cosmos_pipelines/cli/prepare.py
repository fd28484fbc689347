"""`cosmos prepare`: make a scene from rendered sequences or videos."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cosmos_pipelines.cli.exit_codes import BAD_INPUT, OK, say, tell
from cosmos_pipelines.cli.lazy import new_app
from cosmos_pipelines.cli.output import write, write_json
from cosmos_pipelines.cli.parameters import Json, open_api
from cosmos_pipelines.cli.plan_shown import show_plans
from cosmos_pipelines.cli.progress import OnStep, shown_steps
from cosmos_pipelines.cli.which_scenes import MANY, told_of_many
from cosmos_pipelines.errors import CosmosError, InputError
from cosmos_pipelines.operations.rate import frame_rate

if TYPE_CHECKING:
    from cosmos_pipelines.api import CosmosAPI

app = new_app()

DepthValues = Literal["distance", "nearness", "planar", "radial", "inverse", "millimetres", "carla"]
DepthHoles = Literal["far", "near", "none"]
Segments = Literal["objects", "materials", "assets"]


@app.command()
def prepare(
    ctx: typer.Context,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The directory of the rendered passes.")
    ],
    name: Annotated[
        str | None, typer.Option(help="The scene's name; default: the directory's name.")
    ] = None,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Frames a second: 24, 23.976, 30000/1001. Videos play the same frames at it.",
        ),
    ] = None,
    step: Annotated[
        int,
        typer.Option(
            metavar="N", help="How far the frame numbers are apart: 2 for each second frame."
        ),
    ] = 1,
    description: Annotated[
        str | None, typer.Option(help="What the scene shows, in one line.")
    ] = None,
    depth: Annotated[
        DepthValues,
        typer.Option(
            help="What a value of the depth pass means: a point's distance or nearness; more "
            "exactly: distance from the camera's plane (planar) or point (radial), 1 by metres "
            "(inverse), millimetres, or CARLA's code in RGB."
        ),
    ] = "distance",
    depth_holes: Annotated[
        DepthHoles | None,
        typer.Option(
            help="What a depth of 0 is: nothing measured, shown far or near; or (none) a depth. "
            "Default: far, where a gap parts it from all other depths."
        ),
    ] = None,
    colorspace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The colour space of the colour pictures: acescg, lin_rec709, ... "
            "Default: what the files say; of scene-linear ones that say nothing, lin_rec709.",
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The view of OpenColorIO by which scene-linear light is shown."
        ),
    ] = None,
    exposure: Annotated[
        float | None, typer.Option(metavar="STOPS", help="Brighter or darker, before the view.")
    ] = None,
    ocio: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIG",
            help="The OpenColorIO config: a file or ocio://NAME. Default: that of cosmos.toml, "
            "else of $OCIO, else the built-in one of ACES 2.0.",
        ),
    ] = None,
    segments: Annotated[
        Segments | None,
        typer.Option(
            help="Which of several cryptomattes becomes the segmentation. Default: objects."
        ),
    ] = None,
    near: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="The distance that becomes white, in metres or the depth's own unit. With --far, "
            "clips become comparable. Default: the clip's nearest point.",
        ),
    ] = None,
    far: Annotated[
        float | None,
        typer.Option(
            metavar="METRES",
            help="The distance that becomes black. Default: the clip's farthest point.",
        ),
    ] = None,
    background: Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            help="The value in the depth files that means nothing was hit, where it is another "
            "than 1e10, infinite, NaN, -1, a far clip or the largest whole number.",
        ),
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(
            metavar="DEGREES",
            help="The camera's horizontal angle of view, which makes radial depth planar.",
        ),
    ] = None,
    passes: Annotated[
        list[str] | None,
        typer.Option(
            "--pass",
            metavar="PASS=WHAT",
            help="What shall be a pass: a directory, a layer or a word of a name, as --plan shows "
            "it; can be given for several passes.",
        ),
    ] = None,
    scene: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The one to prepare, of a directory with several scenes; 'demo_*': those.",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help=f"Prepare all scenes of a directory with more than {MANY} of them."
        ),
    ] = False,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Show what would be taken, and why; nothing is written."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Make a scene from rendered sequences or videos, and check that the passes fit together.

    The scene is written below the project's inputs; a directory that is below inputs already is
    prepared in place. Of a directory with several scenes each is made; with many of them say which,
    or --all.
    """
    api = open_api(ctx)
    asked: dict[str, Any] = {
        "name": name,
        "fps": _rate(fps) if fps is not None else None,
        "depth_values": depth,
        "depth_holes": depth_holes,
        "step": step,
        "passes": passes or (),
        "colorspace": colorspace,
        "view": view,
        "exposure": exposure,
        "ocio": ocio,
        "segments": segments,
        "near": near,
        "far": far,
        "background": background,
        "fov": fov,
    }
    if plan:
        return _show_plan(api.plan_scene(directory, **asked, scene=scene), as_json=as_json)
    asked["description"] = description
    found = api.scenes_in(directory, passes=passes or (), scene=scene)
    names = found["scenes"]
    if scene is None and len(names) > 1:
        say(told_of_many(directory, names, everything=everything))
    for ignored in found["ignored"]:
        say(f"ignored: {ignored}")
    if len(names) == 1:
        with shown_steps() as progress:
            made = api.prepare_scene(directory, **asked, scene=names[0] or None, progress=progress)
        write_json(made) if as_json else _tell(made)
        return OK
    return _prepare_all(api, directory, names, asked, as_json=as_json)


def _prepare_all(
    api: CosmosAPI, directory: Path, names: list[str], asked: dict[str, Any], *, as_json: bool
) -> int:
    """Prepare each scene; one that cannot be stops no other, and its exit code is returned."""
    records, code = [], OK
    for name in names:
        try:
            with shown_steps() as progress:
                step = partial(_step_of, progress, name)
                made = api.prepare_scene(directory, **asked, scene=name, progress=step)
        except CosmosError as e:
            code = code or e.exit_code
            records.append({"scene": name, "error": e.message, "hint": e.hint})
            tell(f"{name}: {e}")
            continue
        records.append({"scene": name, **made})
        if not as_json:
            _tell(made, f"{name}: ")
    if as_json:
        write_json(records)
    return code


def _step_of(progress: OnStep, scene: str, step: str, done: int, total: int) -> None:
    progress(f"{scene}: {step}", done, total)


def _tell(made: Mapping[str, Any], prefix: str = "") -> None:
    write(made["path"])
    for note in made["notes"]:
        say(f"{prefix}{note}")
    for ignored in made["ignored"]:
        say(f"{prefix}ignored: {ignored}")


def _show_plan(plans: list[dict[str, Any]], *, as_json: bool) -> int:
    """Print what would be taken; what is wrong goes to stderr."""
    wrong = [plan for plan in plans if plan["wrong"]]
    if as_json:
        write_json(plans)
        return BAD_INPUT if wrong else OK
    show_plans(plans)
    for plan in wrong:
        prefix = f"{plan['scene']}: " if plan["scene"] else ""
        tell(f"{prefix}{plan['wrong']} {plan['hint'] or ''}".rstrip())
    return BAD_INPUT if wrong else OK


def _rate(text: str) -> Fraction:
    """Parse a frame rate. Raises InputError, which names the option."""
    try:
        return frame_rate(text)
    except InputError as e:
        raise InputError(f"--fps: {e.message}", hint=e.hint) from None
