"""Names that tools give to files, where the words of `pass_names` alone would mislead. Pure.

What each tool writes, and where that is said:

- Isaac Sim's CosmosWriter: `clip_0000/{rgb,depth,segmentation,shaded_seg,edges}/NAME_0000.png` and
  a video of each beside its directory (docs.isaacsim.omniverse.nvidia.com, "Cosmos Synthetic Data
  Generation").
- Replicator's BasicWriter: `rgb_0000.png`, `distance_to_camera_0000.npy` (along the ray),
  `distance_to_image_plane_0000.npy`, `semantic_segmentation_0000.png` with
  `semantic_segmentation_labels_0000.json`, `instance_segmentation_0000.png` with
  `instance_segmentation_mapping_0000.json`, `pointcloud_semantic_0000.npy`, which is no picture
  (omni.replicator.core, `BasicWriter`).
- Isaac Lab: `demo_0_CAMERA.mp4`, `demo_0_CAMERA_depth.mp4`, `demo_0_CAMERA_shaded_segmentation.mp4`
  (its `scripts/tools/hdf5_to_mp4.py`; "Augmented Imitation Learning" in its documentation).
- CARLA: one directory a sensor, called as its script calls it, mostly as the blueprint:
  `camera_rgb`, `camera_depth`, `camera_semantic_segmentation` (carla.readthedocs.io, "Sensors").
- Blender's File Output node: `SLOT0001.EXT` in one directory, slots called `Image`, `Depth`, ...
  (docs.blender.org, Compositing, "File Output").
- Houdini: `$HIPNAME.$OS.$F4.exr` in `render`, its planes as layers (sidefx.com, nodes of Mantra and
  Karma).
- Unreal's Movie Render Queue: `SEQUENCE.0001.exr`, or by `{render_pass}` a directory or a word
  each: `FinalImage`, `FinalImageMovieRenderQueue_WorldDepth` (docs.unrealengine.com, "Movie Render
  Queue Render Passes").
- V-Ray's `VRayZDepth`: by default near is white in 3ds Max, Rhino and SketchUp, far in Maya, Cinema
  4D and Modo (docs.chaos.com, "ZDepth" of each).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Phrase:
    """Words that together say which pass a file is, and how its values are to be read.

    `shaded`: its colours were changed by light, so that one segment has many.
    """

    name: str
    meaning: str = ""
    shaded: bool = False


_SHADED: Final = Phrase("segmentation", shaded=True)
PHRASES: Final[Mapping[tuple[str, ...], Phrase]] = {
    ("distance", "to", "camera"): Phrase("depth", "radial"),
    ("distance", "to", "image", "plane"): Phrase("depth", "planar"),
    ("shaded", "seg"): _SHADED,
    ("shaded", "segmentation"): _SHADED,
    ("shaded", "instance", "segmentation"): _SHADED,
    ("shaded", "semantic", "segmentation"): _SHADED,
    ("semantic", "segmentation"): Phrase("segmentation"),
    ("instance", "segmentation"): Phrase("segmentation"),
    ("instance", "id", "segmentation"): Phrase("segmentation"),
    ("movie", "render", "queue", "world", "depth"): Phrase("depth"),
    ("movie", "render", "queue", "motion", "vectors"): Phrase(""),
    ("world", "depth"): Phrase("depth"),
    ("scene", "depth"): Phrase("depth"),
    ("final", "image"): Phrase("color"),
    ("v", "ray", "z", "depth"): Phrase("depth", "vray"),
    ("pointcloud", "rgb"): Phrase(""),
    ("pointcloud", "semantic"): Phrase(""),
    ("pointcloud", "instance"): Phrase(""),
}
LONGEST: Final = max(map(len, PHRASES))
MATERIAL_AFTER: Final = ("final", "image")
"""Unreal puts the name of a post-process material right behind: `FinalImageM_Stencil`."""

LABELS: Final = frozenset(
    {"label", "labels", "mapping", "mappings", "legend", "class", "classes", "palette", "manifest",
     "semantics", "info"}
)  # fmt: skip
"""Words of files that explain a segmentation."""
