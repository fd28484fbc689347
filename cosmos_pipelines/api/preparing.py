"""The part of the API that makes scenes of what a renderer, a simulator or a camera left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cosmos_pipelines.api.arguments import Amount, Fields, Passes, Place, Rate, Record, Step
from cosmos_pipelines.api.preparation import Preparation
from cosmos_pipelines.api.project import Project
from cosmos_pipelines.media.asked import Asked, DepthHoles, DepthValues, Segments
from cosmos_pipelines.media.progress import OnProgress


class Preparing(Project):
    """Show what a directory holds, and make scenes of it."""

    def prepare_scene(
        self,
        directory: Place,
        *,
        name: str | None = None,
        fps: Rate | None = None,
        description: str | None = None,
        depth_values: DepthValues = "distance",
        depth_holes: DepthHoles | None = None,
        step: Step = 1,
        colorspace: str | None = None,
        view: str | None = None,
        exposure: Amount | None = None,
        ocio: str | None = None,
        segments: Segments | None = None,
        near: Amount | None = None,
        far: Amount | None = None,
        background: Amount | None = None,
        fov: Amount | None = None,
        scene: str | None = None,
        passes: Passes = (),
        progress: OnProgress | None = None,
    ) -> Record:
        """Encode a rendered directory as a scene below the inputs root and register it.

        `directory`: of the rendered passes: picture sequences or videos. `name`: of the scene;
        default: the directory's. `fps`: of picture sequences, as 24, 23.976 or "30000/1001";
        default: the rate of a video beside them, else 24. `description`: what the scene shows, in
        one line. `depth_values`: what a value of the depth pass means: a point's distance or
        nearness; more exactly: distance from the camera's plane (planar) or point (radial), 1 by
        metres (inverse), millimetres, or CARLA's code in RGB. `depth_holes`: what a depth of 0 is:
        nothing measured, shown far or near; or (none) a depth. `step`: how far the frame numbers
        are apart; 2 for each second frame. `scene`: the one to prepare, of a directory with
        several. `passes`: what shall be a pass, each as PASS=WHAT: a directory, a layer or a word
        of a name; segmentation=shaded_seg.
        `colorspace`: of the colour pictures, as acescg or lin_rec709; default: what the files say.
        `view`: by which scene-linear light is shown. `exposure`: in stops, brighter or darker
        before the view. `ocio`: the OpenColorIO config, a file or ocio://NAME; default: that of
        cosmos.toml, else of $OCIO, else the built-in one of ACES 2.0. `segments`: which of several
        cryptomattes becomes the segmentation: objects (the default), materials or assets. `near`:
        the distance that becomes white, in metres or the depth's own unit; default: the nearest of
        the clip. `far`: the distance that becomes black; default: the farthest of the clip.
        `background`: the value in the depth files that means nothing was hit, where it is another
        than 1e10, infinite, NaN, -1, a far clip or the largest whole number. `fov`: the camera's
        horizontal angle of view in degrees, which makes radial depth planar.

        `progress` is called with the pass, the frames done and the frames in all.
        """
        from cosmos_pipelines.runs.inputs import prepare

        return prepare(
            self.catalog,
            self.settings,
            Path(directory),
            name,
            asked=Preparation(
                fps=fps,
                depth_values=depth_values,
                depth_holes=depth_holes,
                step=step,
                colorspace=colorspace,
                view=view,
                exposure=exposure,
                ocio=ocio,
                segments=segments,
                near=near,
                far=far,
                background=background,
                fov=fov,
                scene=scene,
                passes=passes,
            ).asked(),
            description=description,
            progress=progress,
        )

    def scenes_in(
        self, directory: Place, *, passes: Passes = (), scene: str | None = None
    ) -> Record:
        """Return the names of the `scenes` in a rendered directory; empty where it is one itself.

        Beside others the directory itself is called `.`. `ignored` has what lies there and is of
        none of them, with the reason. `passes`: as in `prepare_scene`. `scene`: those alone that
        are called so; `demo_*` and `demo_?` describe several.
        """
        from cosmos_pipelines.runs.scene_places import ITSELF, places_of

        asked = Asked(passes=tuple(passes), scene=scene)
        places = places_of(self.settings, Path(directory), None, asked)
        names = [one.found.name for one in places.scenes]
        if len(names) > 1:
            names = [name or ITSELF for name in names]
        return {"scenes": names, "ignored": list(map(str, places.beside))}

    def plan_scene(
        self,
        directory: Place,
        *,
        name: str | None = None,
        **asked: Annotated[Any, Fields(Preparation)],
    ) -> list[Record]:
        """Return what `prepare_scene` would take of each scene in a directory; nothing is written.

        Each has: `scene` (its name among several), `path` (where it would lie), `passes` (pass,
        files, kind, frames, width, height, layers, values, labels, why), `ignored` (files and why),
        `wrong` (why it cannot be prepared; None) and `hint`. `scene` may describe several, as in
        `scenes_in`.
        """
        from cosmos_pipelines.runs.scene_places import plans_of

        wanted = Preparation.parse(asked, what="plan").asked()
        return plans_of(self.settings, Path(directory), name, wanted)

    def picture_of_plan(
        self, directory: Place, name: str, **asked: Annotated[Any, Fields(Preparation)]
    ) -> bytes | None:
        """Return a JPEG of the first frame of a pass that would be taken; None if there is none.

        `name`: the pass. The rest as in `prepare_scene`.
        """
        from cosmos_pipelines.runs.scene_places import picture_of

        wanted = Preparation.parse(asked, what="plan").asked()
        return picture_of(self.settings, Path(directory), wanted, name)
