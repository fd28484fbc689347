"""Which layers of a file are which pass, by what each renderer calls them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cosmos_pipelines.media.layer_names import Layered, passes_of
from cosmos_pipelines.media.readers.channels import Channel, layers_of, unique
from cosmos_pipelines.media.readers.layers import Layer


def single(*names: str, views: tuple[str, ...] = ()) -> tuple[Layer, ...]:
    """The layers of a file of one part with these; `ViewLayer.Combined:RGBA` are four channels."""
    channels = []
    for name in names:
        layer, _, letters = name.partition(":")
        full = [f"{layer}.{c}".lstrip(".") for c in letters] if letters else [layer]
        channels += [Channel(one, "float", 0) for one in full]
    return unique(layers_of(channels, views=views))


def parts(*names: str) -> tuple[Layer, ...]:
    """The same in one part each."""
    found = []
    for i, name in enumerate(names):
        part, _, letters = name.partition(":")
        found += layers_of([Channel(c, "float", 0) for c in letters], i, part)
    return unique(found)


def chosen(found: Layered, group: str = "") -> dict[str, str]:
    """`layers` and, where there is one, `= meaning` of each pass, where one is the best."""
    said = {}
    for name, (one, *others) in found.scenes.get(group, {}).items():
        assert not others, (name, one, others)
        said[name] = " ".join(one.layers) + (f" = {one.meaning}" if one.meaning else "")
    return said


def crypto(base: str) -> tuple[str, ...]:
    return tuple(f"{base}{i:02}:RGBA" for i in range(3))


def ranks(base: str) -> str:
    return " ".join(f"{base}{i:02}" for i in range(3)) + " = cryptomatte"


V = "ViewLayer"
RENDERERS: Mapping[str, tuple[tuple[Layer, ...], dict[str, str]]] = {
    "blender_2.9": (
        single("RenderLayer.Combined:RGBA", "RenderLayer.Depth:Z", "RenderLayer.IndexOB:X",
               "RenderLayer.Normal:XYZ", "RenderLayer.DiffCol:RGB", "RenderLayer.Mist:Z"),
        {"color": "RenderLayer.Combined", "depth": "RenderLayer.Depth",
         "segmentation": "RenderLayer.IndexOB = ids"},
    ),
    "blender_3_and_4": (
        single(f"{V}.Combined:RGBA", f"{V}.Depth:Z", f"{V}.Mist:Z", *crypto(f"{V}.CryptoMaterial"),
               *crypto(f"{V}.CryptoObject"), *crypto(f"{V}.CryptoAsset"), f"{V}.IndexOB:X",
               f"{V}.Noisy Image:RGBA", f"{V}.Denoising Albedo:RGB", f"{V}.Vector:XYZW"),
        {"color": f"{V}.Combined", "depth": f"{V}.Depth",
         "segmentation": ranks(f"{V}.CryptoObject")},
    ),
    "blender_5": (
        parts(f"{V}.Combined:RGBA", f"{V}.Depth:Z", f"{V}.Mist:Z", f"{V}.Object Index:X",
              f"{V}.Material Index:X", f"{V}.Position:XYZ"),
        {"color": f"{V}.Combined", "depth": f"{V}.Depth",
         "segmentation": f"{V}.Object Index = ids"},
    ),
    "blender_with_compositor": (
        parts("Composite.Combined:RGBA", f"{V}.Combined:RGBA", f"{V}.Mist:Z", f"{V}.IndexMA:X"),
        {"color": "Composite.Combined", "depth": f"{V}.Mist = normalised",
         "segmentation": f"{V}.IndexMA = ids"},
    ),
    "mantra": (
        single(":RGBA", "Pz:Z", "Op_Id", "Prim_Id", "N:XYZ", "direct_diffuse:RGB"),
        {"color": "", "depth": "Pz", "segmentation": "Op_Id = ids"},
    ),
    "karma": (
        single("C:RGBA", "hitPz:Z", "primid", "C_key:RGB", "N:XYZ", "P:XYZ", "albedo:RGB",
               *crypto("CryptoMaterial")),
        {"color": "C", "depth": "hitPz", "segmentation": ranks("CryptoMaterial")},
    ),
    "arnold": (
        single(":RGBA", "Z", "ID", "crypto_object:RGB", *crypto("crypto_object"),
               *crypto("crypto_material"), "diffuse:RGB", "P:XYZ", "motionvector:RGB"),
        {"color": "", "depth": "Z", "segmentation": ranks("crypto_object")},
    ),
    "v_ray": (
        single(":RGBA", "effectsResult:RGB", "VRayZDepth", "VRayRenderID", "VRayMtlID",
               "VRayNormals:XYZ", "VRayVelocity:RGB"),
        {"color": "", "depth": "VRayZDepth = vray", "segmentation": "VRayRenderID = ids"},
    ),
    "v_ray_cryptomatte": (
        single(":RGBA", "zDepth:Z", *crypto("VRayCryptomatte")),
        {"color": "", "depth": "zDepth", "segmentation": ranks("VRayCryptomatte")},
    ),
    "renderman": (
        single("Ci:RGB", "a", "z", "zback", "id", "__Nworld:RGB"),
        {"color": "Ci", "depth": "z", "segmentation": "id = ids"},
    ),
    "redshift": (
        parts("Beauty:RGBA", "Depth:Z", "ObjectID:RGB", "PuzzleMatte:RGB", "MotionVectors:RGB"),
        {"color": "Beauty", "depth": "Depth", "segmentation": "ObjectID = colours"},
    ),
    "unreal": (
        single(":RGBA", "FinalImageMovieRenderQueue_WorldDepth:RGBA",
               "FinalImageMovieRenderQueue_MotionVectors:RGBA", *crypto("ActorHitProxyMask")),
        {"color": "", "depth": "FinalImageMovieRenderQueue_WorldDepth",
         "segmentation": ranks("ActorHitProxyMask")},
    ),
    "nuke": (
        single(":RGBA", "depth:Z", "mask:A", "forward:UV", "other:RGB"),
        {"color": "", "depth": "depth"},
    ),
    "nuke_parts": (
        parts("rgba:RGBA", "depth:Z", "normals:XYZ"), {"color": "rgba", "depth": "depth"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RENDERERS)
def test_the_layers_of_each_renderer_are_known(name: str) -> None:
    layers, wanted = RENDERERS[name]
    assert chosen(passes_of(layers)) == wanted


def test_what_is_not_taken_is_told_with_the_reason() -> None:
    layers = single(f"{V}.Combined:RGBA", f"{V}.Depth:Z", f"{V}.Mist:Z", f"{V}.Normal:XYZ")
    ignored = passes_of(layers).ignored
    assert {one.label: (one.name, why) for one, why in ignored.items()} == {
        f"{V}.Mist": ("depth", f"{V}.Depth is there"), f"{V}.Normal": ("", ""),
    }  # fmt: skip


def test_a_cryptomatte_is_known_by_what_the_attributes_say() -> None:
    layers = single(":RGBA", *crypto("mattes"), "take02:RGBA")
    found = passes_of(layers, {"cryptomatte/abc1234/name": "mattes"})
    assert chosen(found)["segmentation"] == ranks("mattes")
    assert "segmentation" not in chosen(passes_of(layers))


def test_view_layers_with_colours_are_scenes() -> None:
    layers = single(
        "Front.Combined:RGBA", "Front.Depth:Z", "Back.Combined:RGBA", "Back.Depth:Z",
        "Composite.Combined:RGBA",
    )  # fmt: skip
    found = passes_of(layers)
    assert set(found.scenes) == {"Front", "Back"}
    assert chosen(found, "Back") == {"color": "Back.Combined", "depth": "Back.Depth"}
    assert {one.label: why for one, why in found.ignored.items()} == {
        "Composite.Combined": "each view layer is a scene",
    }  # fmt: skip


def test_eyes_are_scenes() -> None:
    layers = single(":RGBA", "right:RGBA", "depth.left:Z", "depth.right:Z", views=("left", "right"))
    found = passes_of(layers)
    assert chosen(found, "left") == {"color": "", "depth": "depth.left"}
    assert chosen(found, "right") == {"color": "right", "depth": "depth.right"}


def test_cameras_with_colour_and_depth_are_scenes() -> None:
    found = passes_of(single("cam1:RGB", "cam1.Z", "cam2:RGB", "cam2.Z"))
    assert chosen(found, "cam2") == {"color": "cam2", "depth": "cam2.Z"}
    assert set(found.scenes) == {"cam1", "cam2"}


def test_a_second_view_layer_without_colour_adds_its_passes() -> None:
    found = passes_of(single("View.Combined:RGBA", "Ids.IndexOB:X", "Ids.Depth:Z"))
    assert chosen(found) == {
        "color": "View.Combined", "depth": "Ids.Depth", "segmentation": "Ids.IndexOB = ids",
    }  # fmt: skip


def test_candidates_that_are_as_good_are_all_told() -> None:
    found = passes_of(single("A.Combined:RGBA", "A.Depth:Z", "B.Depth:Z"))
    assert [p.layers for p in found.scenes[""]["depth"]] == [("A.Depth",), ("B.Depth",)]


def test_a_files_name_says_what_a_layer_without_a_name_is() -> None:
    colours = single(":RGB")
    assert chosen(passes_of(colours)) == {"color": ""}
    assert chosen(passes_of(colours, file_says="depth")) == {"depth": ""}
    assert chosen(passes_of(colours, file_says="segmentation")) == {"segmentation": " = colours"}
    assert chosen(passes_of(colours, file_says="")) == {}
    assert chosen(passes_of(single(":RGBA", "Z"), file_says="depth")) == {"depth": "Z"}


def test_the_only_picture_of_a_file_is_its_colour() -> None:
    assert chosen(passes_of(single("shot010:RGB"))) == {"color": "shot010"}
    assert chosen(passes_of(single("normal:RGB"))) == {}
    assert chosen(passes_of(single("first:RGB", "second:RGB"))) == {}


@pytest.mark.parametrize("name", ["", "mask", "A"])
def test_alpha_alone_is_no_pass(name: str) -> None:
    assert passes_of(single(f"{name}:A")).scenes == {}
