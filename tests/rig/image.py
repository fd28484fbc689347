"""Container images made offline, from files of this machine."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final

MODELS: Final = Path(__file__).resolve().parents[1] / "models"
PYTHON: Final = "opt/python"
PACKAGES: Final = ("numpy", "av", "pillow")
LEFT_OUT: Final = {"__pycache__", "test", "tests", "idlelib", "ensurepip", "lib2to3", "tkinter",
                   "turtledemo", "site-packages", "dist-packages"}  # fmt: skip


class Images:
    """Root file systems as tar files, made at the first use, kept for the session.

    `busybox`: a shell and its programs. `preview`: busybox, and the same Python, numpy, PyAV and
    Pillow that run these tests, so that results in a container are the same to the last bit.
    `models`: preview with ffmpeg and the simulated torchrun, for the simulators of tests/models.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def tar(self, name: str) -> Path:
        """Return the image's root file system as a tar file."""
        path = self._place / f"{name}.tar"
        if not path.exists():
            part = path.with_suffix(".part")
            with tarfile.open(part, "w") as tar:
                {"busybox": _busybox, "preview": _preview, "models": _models}[name](tar)
            part.rename(path)
        return path


def _busybox(tar: tarfile.TarFile) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    tar.add(Path(busybox).resolve(), "bin/busybox")
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        if applet != "busybox":
            _link(tar, f"bin/{applet}", "/bin/busybox")
    for directory in ("tmp", "root", "proc", "sys", "dev", "etc", "var/tmp", "usr/bin"):
        entry = tarfile.TarInfo(directory)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory.endswith("tmp") else 0o755
        tar.addfile(entry)
    _text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    _text(tar, "etc/group", "root:x:0:\n")


def _preview(tar: tarfile.TarFile) -> None:
    _busybox(tar)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    stdlib = Path(sysconfig.get_path("stdlib"))
    tar.add(interpreter, f"{PYTHON}/bin/{version}")
    tar.add(stdlib, f"{PYTHON}/lib/{version}", filter=_wanted)
    for name in ("python3", "python"):
        _link(tar, f"usr/bin/{name}", f"/{PYTHON}/bin/{version}")
    binaries = [interpreter, *stdlib.glob("lib-dynload/*.so")]
    for file, name in _installed(PACKAGES):
        tar.add(file, f"{PYTHON}/lib/{version}/site-packages/{name}")
        if ".so" in file.name:
            binaries.append(file)
    for library in sorted(_libraries(binaries)):
        tar.add(Path(library).resolve(), library.lstrip("/"))


def _models(tar: tarfile.TarFile) -> None:
    _preview(tar)
    tar.add(MODELS / "bin" / "torchrun", "usr/bin/torchrun")
    _link(tar, "usr/bin/env", "/bin/busybox")
    programs = [Path(found) for name in ("ffmpeg", "ffprobe") if (found := shutil.which(name))]
    for program in programs:
        tar.add(program.resolve(), f"usr/bin/{program.name}")
    packed = set(tar.getnames())
    for library in sorted(_libraries(programs)):
        if library.lstrip("/") not in packed:
            tar.add(Path(library).resolve(), library.lstrip("/"))


def _installed(names: Iterable[str]) -> Iterable[tuple[Path, str]]:
    for name in names:
        for file in metadata.files(name) or ():
            if not (set(file.parts) & {"__pycache__", "tests", ".."}):
                yield Path(str(file.locate())), str(file)


def _libraries(binaries: Iterable[Path]) -> set[str]:
    """Return the system's shared libraries of binaries, without the libraries of the packages."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    found = set(re.findall(r"(/\S+) \(0x", done.stdout))
    return {path for path in found if ".libs/" not in path}


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(entry.name).parts
    return None if set(parts) & LEFT_OUT or parts[-1].startswith("config-") else entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    tar.addfile(entry, io.BytesIO(text.encode()))
