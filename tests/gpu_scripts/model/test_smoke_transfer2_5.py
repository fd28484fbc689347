"""`gpu_scripts/model/smoke_transfer2_5.py`: it says of each package whether it can be imported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.gpu_scripts.model.model_orders import SCRIPTS

PROGRAM = SCRIPTS / "model" / "smoke_transfer2_5.py"
CUDA = "class cuda:\n    is_available = staticmethod(lambda: {})\n"


def names() -> list[str]:
    """Modules that it imports, in order."""
    listed = PROGRAM.read_text().partition("MODULES = (")[2].partition("\n)\n")[0]
    return re.findall(r'\("[\w.]+", "([\w.]+)"\)', listed)


def checkout(place: Path, *, gpu: bool = True) -> Path:
    for name in names():
        path = place.joinpath(*name.split("."))
        path.mkdir(parents=True)
        (path / "__init__.py").write_text(CUDA.format(gpu) if name == "torch" else "")
    return place


def run(place: Path) -> tuple[int, list[str]]:
    words = [sys.executable, "-S", str(PROGRAM)]
    done = subprocess.run(
        words, cwd=place, env=os.environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def test_all_that_is_there_is_a_success(tmp_path: Path) -> None:
    code, lines = run(checkout(tmp_path / "code"))
    assert code == 0
    assert lines[0] == "[SUCCESS] torch"
    assert lines[-2:] == ["[SUCCESS] cosmos_transfer2", "[SUCCESS] cuda"]
    assert len(lines) == len(names()) + 1


def test_one_that_is_missing_or_broken_is_told_and_the_rest_as_well(tmp_path: Path) -> None:
    place = checkout(tmp_path / "code")
    (place / "tyro" / "__init__.py").unlink()
    (place / "tyro").rmdir()
    (place / "flash_attn" / "__init__.py").write_text("raise OSError('undefined\\nsymbol: _ZN3')")
    code, lines = run(place)
    assert code == 1
    assert "[ERROR] tyro: ModuleNotFoundError: No module named 'tyro'" in lines
    assert "[ERROR] flash_attn: OSError: undefined symbol: _ZN3" in lines
    assert lines[-1] == "[SUCCESS] cuda"


def test_without_a_gpu_it_fails(tmp_path: Path) -> None:
    code, lines = run(checkout(tmp_path / "code", gpu=False))
    assert code == 1
    assert lines[-1] == "[ERROR] cuda: PyTorch finds no usable GPU"
