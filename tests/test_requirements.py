"""What pyproject.toml asks for is what the code uses, and what was tried."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path

import dagster as dg
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cosmos_pipelines"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIRED = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}
OPTIONAL = {
    canonicalize_name(r.name): r
    for extra in PROJECT["optional-dependencies"].values()
    for r in map(Requirement, extra)
}
PRIVATE = {
    "typer": "cosmos_pipelines.cli.typer_private",
    "dagster": "cosmos_pipelines.resources.dagster_private",
}
USES = PRIVATE | {"paramiko": "cosmos_pipelines.remote.ssh.algorithms"}
"""The modules that import private parts, and one that uses those of a public class."""


def source(module: str) -> str:
    """The text of a module of ours."""
    return (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")


@pytest.mark.parametrize("library", PRIVATE)
def test_the_private_parts_of_a_library_that_we_use_are_there(library: str) -> None:
    nodes = list(ast.walk(ast.parse(source(PRIVATE[library]))))
    parts = [
        (node.module, name.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(library)
        for name in node.names
    ]
    assert any(module.startswith(f"{library}._") for module, _ in parts)
    for module, name in parts:
        try:
            getattr(import_module(module), name)
        except (ImportError, AttributeError) as e:
            pytest.fail(
                f"{library} {version(library)} has no `{name}` in `{module}` any more, which "
                f"{PRIVATE[library]} imports: find its new place, or do without it. ({e})"
            )


def test_the_private_method_of_dagsters_launcher_is_there() -> None:
    assert hasattr(dg.DefaultRunLauncher, "_get_grpc_client_for_termination"), (
        f"dagster {version('dagster')}: ask the code server in another way, in "
        f"{PRIVATE['dagster']}.executed_by_code_server"
    )


PARTS_OF_PARAMIKO = (
    "transport.Transport._kex_info", "transport.Transport._cipher_info",
    "transport.Transport._mac_info", "transport.Transport._send_message",
    "transport.Transport._really_parse_kex_init",
    "auth_handler.AuthHandler._parse_service_accept",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS_OF_PARAMIKO)
def test_the_private_parts_of_paramiko_that_we_use_are_there(part: str) -> None:
    module, owner, attribute = part.split(".")
    assert attribute in source(USES["paramiko"])
    assert hasattr(getattr(import_module(f"paramiko.{module}"), owner), attribute), (
        f"paramiko {version('paramiko')} has no {part} any more: do without it, in "
        f"{USES['paramiko']}"
    )


def test_no_other_file_uses_private_parts_of_what_connects() -> None:
    words = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "SLF001"]
    words += ["--output-format", "json", str(PACKAGE / "remote"), str(PACKAGE / "backends")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = {Path(one["filename"]).name for one in json.loads(done.stdout)}
    assert found == {"algorithms.py"}


@pytest.mark.parametrize("library", USES)
def test_the_versions_with_which_private_parts_were_tried_are_told(library: str) -> None:
    lowest = next(s.version for s in REQUIRED[library].specifier if s.operator == ">=")
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    locked = re.search(rf'^name = "{library}"\nversion = "(.+)"$', lock, re.M)
    told = re.search(r"Tried with \w+ (.+)\.\s", source(USES[library]))
    assert locked
    assert told
    assert told[1] == " and ".join(dict.fromkeys([lowest, locked[1]])), (
        f"{USES[library]} was tried with {told[1]}, but {library} {lowest} is the lowest that "
        f"is allowed and {locked[1]} the one in uv.lock: try both, then say so there."
    )


def test_every_library_that_is_imported_is_required_by_name() -> None:
    owners = packages_distributions()
    used = {
        canonicalize_name(owner)
        for folder in (PACKAGE, ROOT / "gpu_scripts" / "preview")
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for module in imported(node)
        for owner in owners.get(module.partition(".")[0], ())
    }
    assert used - {"cosmos-pipelines"} <= set(REQUIRED) | set(OPTIONAL)


def test_every_requirement_says_from_which_version_on() -> None:
    assert [str(r) for r in (REQUIRED | OPTIONAL).values() if ">=" not in str(r.specifier)] == []


def imported(node: ast.AST) -> list[str]:
    """The modules that a node of a syntax tree imports."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []
