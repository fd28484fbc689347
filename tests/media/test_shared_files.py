"""Passes that lie in the layers of one file are made in one look at each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cosmos_pipelines.errors import MediaError
from cosmos_pipelines.files import sha256_of
from cosmos_pipelines.media import encode_pass
from cosmos_pipelines.media.asked import Asked
from cosmos_pipelines.media.encode_pass import PassToMake, Plan
from cosmos_pipelines.media.prepare import prepare_scene
from cosmos_pipelines.media.readers import oiio
from cosmos_pipelines.media.readers.layers import Layer
from cosmos_pipelines.media.sequence import survey
from cosmos_pipelines.media.sources import Source, look_at
from tests.media import exr_parts as exr
from tests.media.exr_parts import Part
from tests.media.renders import Array
from tests.media.segments import mattes

W, H, FRAMES = 64, 36, 4
PLAN = Plan(W, H, Fraction(24))
NAMES = ("car", "road", "tree")


def colour(i: int) -> Array:
    return np.random.default_rng(i).random((H, W)).astype(np.float16).astype(np.float32)


def depth(i: int) -> Array:
    return (np.add.outer(np.arange(H), np.arange(W)) / 7 + 2 + i).astype(np.float32)


def ranks(i: int) -> Array:
    masks = {n: np.zeros((H, W), np.float32) for n in NAMES}
    for at, mask in enumerate(masks.values()):
        mask[:, at * 20 + i : at * 20 + 20 + i] = 1
    return mattes.ranked(masks, 4)


def render(
    directory: Path, *, parts: bool = False, tile: int = 0, manifest: str = "", **odd: Array
) -> Path:
    """A sequence of colour (half), Z and a cryptomatte (float)."""
    told = mattes.metadata("crypto_object", manifest=manifest or mattes.manifest(NAMES))
    for i in range(FRAMES):
        pairs = np.moveaxis(ranks(i), -1, 0)
        matte = {f"crypto_object0{n // 4}.{'RGBA'[n % 4]}": pairs[n] for n in range(8)}
        groups = {
            "rgb": ({c: colour(3 * i + n) for n, c in enumerate("RGB")}, "half"),
            "Z": ({"Z": odd.get("Z", depth(i))}, "float"),
            "crypto": (matte, "float"),
        }
        made = [
            Part(
                values,
                dict.fromkeys(values, kind),
                name if parts else "",
                tile=tile,
                attributes=told,
            )
            for name, (values, kind) in groups.items()
        ]
        if not parts:
            every = {n: v for one in made for n, v in one.channels.items()}
            kinds = {n: k for one in made for n, k in one.kinds.items()}
            made = [Part(every, kinds, tile=tile, attributes=told)]
        exr.write(directory / f"shot.{i + 1:04}.exr", *made)
    return directory


def sources_of(directory: Path) -> list[Source]:
    return look_at(survey(directory).scene().passes.values())


def jobs(directory: Path, sources: Sequence[Source], steps: Counter[str]) -> list[PassToMake]:
    directory.mkdir()

    def step(name: str) -> None:
        steps[name] += 1

    return [PassToMake(s, directory / f"{s.name}.mp4", lambda n=s.name: step(n)) for s in sources]  # type: ignore[misc]


LAYOUTS = {"one part": {}, "a part for each": {"parts": True}, "tiles": {"tile": 16}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_passes_made_together_are_those_made_one_by_one(tmp_path: Path, layout: str) -> None:
    sources = sources_of(render(tmp_path / "renders", **LAYOUTS[layout]))  # type: ignore[arg-type]
    told, alone = Counter[str](), Counter[str]()
    together = jobs(tmp_path / "together", sources, told)
    facts = encode_pass.make_all(together, PLAN)
    for job, mine in zip(jobs(tmp_path / "alone", sources, alone), facts, strict=True):
        assert encode_pass.make(job.source, job.target, PLAN, job.step) == mine
        assert sha256_of(job.target) == sha256_of(tmp_path / "together" / job.target.name)
    assert [s.name for s in sources] == ["color", "depth", "segmentation"]
    assert told == alone == {s.name: encode_pass.steps(s, PLAN) for s in sources}
    legend = {one["name"] for one in facts[2]["legend"]}
    assert legend == {*NAMES, "background"}
    assert facts[2]["max_error"] == 0


def test_each_file_is_decoded_once_for_the_range_of_depths_and_once_for_all_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, read, real = render(tmp_path / "renders"), Counter[tuple[str, int]](), oiio.oiio_layers

    def counting(path: Path, layers: Sequence[Layer]) -> list[Array]:
        read[path.name, sum(len(one.places) for one in layers)] += 1
        return real(path, layers)

    monkeypatch.setattr(oiio, "oiio_layers", counting)
    prepare_scene(source, tmp_path / "scene")
    names = [path.name for path in source.iterdir()]
    assert read == {(name, channels): 1 for name in names for channels in (1, 3 + 1 + 8)}


FAULTS = {
    "no manifest": ({"manifest": '{"car": 7}'}, "the id of 'car' is 7, not 8 hex digits"),
    "one depth": ({"Z": np.full((H, W), 5)}, "every frame has one depth only (5)"),
    "no depth": ({"Z": np.full((H, W), 1e10)}, "every value is 1e10"),
    "both sides": ({"Z": depth(0) - 6}, "of its distances are less than 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_any_pass_is_told_before_a_frame_is_encoded(tmp_path: Path, fault: str) -> None:
    given, said = FAULTS[fault]
    source, told = render(tmp_path / "renders", **given), set[str]()  # type: ignore[arg-type]
    with pytest.raises(MediaError) as e:
        prepare_scene(source, tmp_path / "scene", progress=lambda name, *_: told.add(name))
    assert said in str(e.value)
    assert told <= {"depth"}  # whose values are looked at
    assert list(tmp_path.iterdir()) == [source]


def test_what_is_asked_of_another_pass_is_refused_before_depths_are_looked_at(
    tmp_path: Path,
) -> None:
    source, told = render(tmp_path / "renders"), list[str]()
    with pytest.raises(MediaError, match="has no cryptomatte of materials"):
        prepare_scene(
            source,
            tmp_path / "scene",
            Asked(segments="materials"),
            progress=lambda name, *_: told.append(name),
        )
    assert told == []
