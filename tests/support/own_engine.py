"""Packages with engines, installed offline into a directory, as pip would install them.

`studio-tint` is the example of docs/engines.md, word for word.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cosmos_pipelines.engines.registry import GROUP

ROOT = Path(__file__).resolve().parents[2]


def documented() -> dict[str, str]:
    """Return the example's files by path: the fenced blocks of docs/engines.md that name a file."""
    text = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```\w+ (\S+/\S+)\n(.*?)^```", text, re.M | re.S))


def install_tint(site: Path) -> Path:
    """Install the example into a directory for PYTHONPATH; return the directory."""
    files = documented()
    project = tomllib.loads(files["studio-tint/pyproject.toml"])["project"]
    sources = {name.removeprefix("studio-tint/"): text for name, text in files.items()}
    install(
        site,
        f"{project['name']} {project['version']}",
        project["entry-points"][GROUP],
        {name: text for name, text in sources.items() if name.startswith("studio_tint/")},
    )
    return site


def install(site: Path, package: str, engines: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Install a package (name and version) with entry points for engines."""
    name, version = package.split()
    entries = "\n".join(f"{engine} = {where}" for engine, where in engines.items())
    metadata = f"{name.replace('-', '_')}-{version}.dist-info"
    written = {
        **files,
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{metadata}/entry_points.txt": f"[{GROUP}]\n{entries}\n",
    }
    for path, text in written.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, encoding="utf-8")
