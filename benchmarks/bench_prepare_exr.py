"""How fast multilayer EXR becomes a scene, against `oiiotool` and `ffmpeg` doing the same, and how
much memory that takes.

    python benchmarks/bench_prepare_exr.py [--frames 121] [--width 1280] [--height 704] [--parts]

Each file has colour (half), Z, a Cryptomatte of three ranks and IndexOB (float), compressed by
ZIP, in one part or (`--parts`) in one part each. `prepare_scene` makes color.mp4 (by its view),
depth.mp4 (normalised over the whole clip) and segmentation.mp4 (of the Cryptomatte, checked by
decoding it again). The others do less: oiiotool reads each file once and writes colour by the sRGB
curve, depth by a range that is given to it, and IndexOB as greys, all as PNG in memory, of which
ffmpeg makes three videos with the same settings.

Prints one JSON object a line: seconds, against (seconds of the others) and ratio, the same of
processor time, which other work on the machine does not change; peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from cosmos_pipelines.media.encode import CONTROL, EXACT, PICTURE, Coding

BIN = Path(sys.executable).parent
DIFFERENT = 12
"""Pictures that are different; the others are copies of these, read as often."""


def main() -> None:
    """Write the files, make scenes of them both ways, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(",")[0])
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=704)
    parser.add_argument("--parts", action="store_true")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_prepare_exr_") as name:
        place = Path(name)
        (place / "all").mkdir()
        for i in range(a.frames):
            path = place / "all" / f"shot.{i + 1:04}.exr"
            if i < DIFFERENT:
                render(path, i, a.width, a.height, parts=a.parts)
            else:
                shutil.copyfile(place / "all" / f"shot.{i % DIFFERENT + 1:04}.exr", path)
        few = min(30, a.frames)
        (place / "few").mkdir()
        for path in sorted((place / "all").iterdir())[:few]:
            os.link(path, place / "few" / path.name)
        what = f"prepare_exr_{'parts' if a.parts else 'layers'}"
        *_, small = ours(place / "few", place / "small")
        seconds, cpu, peak = ours(place / "all", place / "scene")
        against = theirs(place / "all", place, a.frames, parts=a.parts)
        said = {"name": what, "value": round(seconds, 2), "unit": "s", "frames": a.frames}
        said |= {"cpu": round(cpu, 2)} | against
        if against:
            said["ratio"] = round(seconds / against["against"], 2)
            said["cpu_ratio"] = round(cpu / against["against_cpu"], 2)
        print(json.dumps(said), flush=True)
        memory = {"name": f"{what}_peak", "unit": "MiB", str(few): small, str(a.frames): peak}
        print(json.dumps(memory), flush=True)


def ours(renders: Path, scene: Path) -> tuple[float, float, int]:
    """Seconds of a process that prepares the scene, those of processors, and its MiB at most."""
    code = (
        "import sys; from pathlib import Path\n"
        "from cosmos_pipelines.media.prepare import prepare_scene\n"
        "prepare_scene(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, str(renders), str(scene)]
    begin = time.perf_counter()
    with subprocess.Popen(words) as done:
        _, status, usage = os.wait4(done.pid, 0)
        done.returncode = os.waitstatus_to_exitcode(status)
    assert done.returncode == 0, words
    cpu = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - begin, cpu, usage.ru_maxrss // 1024


def theirs(renders: Path, place: Path, frames: int, *, parts: bool) -> dict[str, float]:
    """Seconds of oiiotool and of ffmpeg; {} where there is no ffmpeg."""
    if not shutil.which("ffmpeg"):
        return {}
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else place) as name:
        pictures = Path(name)
        begin, cpu = time.perf_counter(), _cpu_of_children()
        words: list[object] = [BIN / "oiiotool", "--frames", f"1-{frames}", "--parallel-frames"]
        words += [renders / "shot.%04d.exr", "--label", "all"]
        of = {name: ["--subimage", name] if parts else [] for name in ("rgba", "Z", "IndexOB")}
        words += [*of["rgba"], "--ch", "R,G,B"]
        words += ["--colorconvert", "lin_rec709_scene", "srgb_rec709_scene"]
        words += ["-d", "uint8", "-o", pictures / "color.%04d.png"]
        words += ["all", *of["Z"], "--ch", "Z", "--subc", "2", "--mulc", "0.02"]
        words += ["-d", "uint8", "-o", pictures / "depth.%04d.png"]
        words += ["all", *of["IndexOB"], "--ch", "IndexOB.X", "--mulc", "0.05"]
        words += ["-d", "uint8", "-o", pictures / "segmentation.%04d.png"]
        subprocess.run(
            [str(word) for word in words],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        read = time.perf_counter() - begin
        for pass_name, coding in {
            "color": PICTURE,
            "depth": CONTROL,
            "segmentation": EXACT,
        }.items():
            _ffmpeg(pictures / f"{pass_name}.%04d.png", place / f"{pass_name}.mp4", coding)
    whole = time.perf_counter() - begin
    return {
        "against": round(whole, 2),
        "oiiotool": round(read, 2),
        "ffmpeg": round(whole - read, 2),
        "against_cpu": round(_cpu_of_children() - cpu, 2),
    }


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ffmpeg(pictures: Path, video: Path, coding: Coding) -> None:
    words = ["ffmpeg", "-v", "error", "-y", "-framerate", "24", "-i", pictures]
    words += ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-c:v", "libx264"]
    words += ["-pix_fmt", coding.pix_fmt]
    words += [word for name, value in coding.options.items() for word in (f"-{name}", value)]
    subprocess.run([*words, "-movflags", "+faststart", video], check=True)


def render(path: Path, i: int, width: int, height: int, *, parts: bool) -> None:
    """A moving picture with grain, its distance, its objects."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    t = 8 * i
    grain = np.random.default_rng(i).normal(0, 0.01, (height, width, 3)).astype(np.float32)
    light = np.stack([1 + np.sin((x + t) / 60), 1 + np.cos(y / 70), (x + y) / height], -1) / 2
    colour = np.concatenate([light + grain, np.ones((height, width, 1), np.float32)], -1)
    depth = (2 + np.hypot(x - t, y) / 40 + np.sin(x / 9) / 9)[..., None]
    objects = ((x + t) // 160 + 8 * (y // 176)).astype(np.uint32) % 40 + 1
    ids = (objects * np.uint32(2654435761) % np.uint32(0x7F000000)).view(np.float32)
    covered = np.clip(np.abs(((x + t) % 160) - 80) / 8, 0, 1)
    ranks = np.zeros((height, width, 12), np.float32)
    ranks[..., 0], ranks[..., 1], ranks[..., 2], ranks[..., 3] = ids, covered, ids + 1, 1 - covered
    layers = {
        "": ("RGBA", colour),
        "Z": ("", depth),
        **{f"crypto_object0{n}": ("RGBA", ranks[..., 4 * n : 4 * n + 4]) for n in range(3)},
        "IndexOB": ("X", objects[..., None].astype(np.float32)),
    }
    write(path, layers, parts=parts)


def write(path: Path, layers: dict[str, tuple[str, np.ndarray]], *, parts: bool) -> None:
    """All layers in one part, or each in its own."""
    names = {
        n: [".".join(filter(None, (n, c))) for c in cs] or [n] for n, (cs, _) in layers.items()
    }
    kinds = {n: ["half" if n == "" else "float"] * len(names[n]) for n in layers}
    if parts:
        groups = {n or "rgba": ([n], names[n], kinds[n]) for n in layers}
    else:
        every = list(layers)
        groups = {"": (every, [*chain(*names.values())], [*chain(*kinds.values())])}
    height, width = layers[""][1].shape[:2]
    specs = []
    for part, (_, channels, formats) in groups.items():
        spec = oiio.ImageSpec(width, height, len(channels), formats[0])
        spec.channelnames = tuple(channels)
        spec.channelformats = tuple(oiio.TypeDesc(one) for one in formats)
        spec.attribute("compression", "zip")
        spec.attribute("cryptomatte/abc1234/name", "crypto_object")
        if part:
            spec.attribute("oiio:subimagename", part)
        specs.append(spec)
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), tuple(specs)), out.geterror()
    for n, (spec, (members, _, _)) in enumerate(zip(specs, groups.values(), strict=True)):
        assert not n or out.open(str(path), spec, "AppendSubimage"), out.geterror()
        pixels = np.concatenate([layers[one][1] for one in members], axis=2).astype(np.float32)
        assert out.write_image(pixels), out.geterror()
    out.close()


if __name__ == "__main__":
    main()
