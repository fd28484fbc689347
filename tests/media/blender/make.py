"""Render a small moving scene with Blender itself, as people do: PNG, multilayer EXR and mp4.

    python -m venv v && v/bin/pip install bpy==5.0.1
    v/bin/python tests/media/blender/make.py tests/media/blender

Writes below the directory named: `png/` and `mp4/` (the view Standard), `exr/` (Combined, Depth,
Object Index, Cryptomatte), `agx/` (as Blender shows it by default) and `camera.json`. A cube, a
ball and a ring on a floor; the camera moves. No motion blur, no depth of field.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import bpy

WIDTH, HEIGHT, FRAMES = 96, 54, 3
OBJECTS = {"Floor": 1, "Red Cube": 2, "Ball": 3, "Ring": 4}


def material(name: str, colour: tuple[float, float, float], glow: float = 0) -> bpy.types.Material:
    """A plain material."""
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Emission Color"].default_value = (*colour, 1)
    shader.inputs["Emission Strength"].default_value = glow
    return made


def build() -> bpy.types.Scene:
    """The scene with its objects, light and moving camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_plane_add(size=20)
    _named("Floor", material("grey", (0.5, 0.5, 0.5)))
    bpy.ops.mesh.primitive_cube_add(size=1.6, location=(-1.4, 0, 0.8), rotation=(0, 0, 0.5))
    _named("Red Cube", material("red", (0.8, 0.05, 0.03)))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.8, location=(0.7, 0.6, 0.8))
    _named("Ball", material("blue", (0.05, 0.2, 0.8)))
    bpy.ops.mesh.primitive_torus_add(location=(1.6, -0.9, 0.35), major_radius=0.6, minor_radius=0.2)
    _named("Ring", material("lamp", (1.0, 0.7, 0.2), glow=6))
    bpy.ops.object.light_add(type="SUN", location=(0, 0, 5), rotation=(0.6, 0.3, 0))
    bpy.context.object.data.energy = 4
    bpy.ops.object.camera_add(location=(0, -7, 3), rotation=(math.radians(70), 0, 0))
    scene.camera = bpy.context.object
    for frame in range(1, FRAMES + 1):
        scene.camera.location.x = 0.3 * (frame - 2)
        scene.camera.keyframe_insert("location", frame=frame)
    return scene


def _named(name: str, look: bpy.types.Material) -> None:
    thing = bpy.context.object
    thing.name, thing.pass_index = name, OBJECTS[name]
    thing.data.materials.append(look)


def render(scene: bpy.types.Scene, out: Path) -> None:
    """Render all frames in each format."""
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", 32, 1
    scene.cycles.use_denoising = False
    scene.cycles.filter_width = 0.01  # one object a pixel, so that the masks can be compared
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.frame_start, scene.frame_end = 1, FRAMES
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_object_index = True
    layer.use_pass_cryptomatte_object = True
    layer.pass_cryptomatte_depth = 6
    image = scene.render.image_settings
    scene.render.fps = 24
    for name, view in (("png", "Standard"), ("agx", "AgX")):
        scene.view_settings.view_transform = view
        image.file_format, image.color_mode, image.color_depth = "PNG", "RGB", "8"
        scene.render.filepath = str(out / name / "color.")
        bpy.ops.render.render(animation=True)
    scene.view_settings.view_transform = "AgX"
    image.media_type = "MULTI_LAYER_IMAGE"
    image.color_depth, image.exr_codec = "32", "ZIP"
    scene.render.filepath = str(out / "exr" / "shot.")
    bpy.ops.render.render(animation=True)
    scene.view_settings.view_transform = "Standard"
    image.media_type = "VIDEO"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.ffmpeg.constant_rate_factor = "PERC_LOSSLESS"
    scene.render.use_file_extension = False
    scene.render.filepath = str(out / "mp4" / "color.mp4")
    bpy.ops.render.render(animation=True)


def camera(scene: bpy.types.Scene) -> dict[str, object]:
    """Where the camera was, and what it sees: to compute the true depth."""
    places = []
    for frame in range(1, FRAMES + 1):
        scene.frame_set(frame)
        places.append([list(row) for row in scene.camera.matrix_world])
    return {"fov_x": scene.camera.data.angle_x, "matrix_world": places, "objects": OBJECTS}


if __name__ == "__main__":
    into = Path(sys.argv[1]).resolve()
    made = build()
    render(made, into)
    (into / "camera.json").write_text(json.dumps(camera(made), indent=1) + "\n")
