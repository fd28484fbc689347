"""The manifests of checkpoints and the Dockerfiles: whole, and in agreement with the engines."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from cosmos_pipelines.backends.tar_bundle import SCRIPTS
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.engines.cosmos3 import facts as facts3
from cosmos_pipelines.engines.cosmos_transfer1 import facts
from cosmos_pipelines.engines.cosmos_transfer2_5 import facts as facts25
from cosmos_pipelines.errors import SettingsError
from cosmos_pipelines.hosts.manifest import Manifest, read_manifest

SET_UP = sorted(name for name, engine in ENGINES.items() if engine.setup is not None)


def manifest_of(engine: str) -> Manifest:
    setup = ENGINES[engine].setup
    assert setup is not None
    return read_manifest(SCRIPTS / setup.manifest)


@pytest.mark.parametrize("engine", SET_UP)
def test_each_engine_has_its_manifest_and_its_dockerfile(engine: str) -> None:
    manifest = manifest_of(engine)
    assert manifest.engine == engine
    assert any(one.always or one.needed for one in manifest.files)
    pairs = [(one.target, one.repo, one.revision, one.path) for one in manifest.files]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("engine", SET_UP)
def test_the_program_on_the_host_reads_the_same_as_we_do(engine: str) -> None:
    setup = ENGINES[engine].setup
    assert setup is not None
    program = (
        "import sys; from pathlib import Path; import checkpoints_manifest as m\n"
        "for e in m.chosen(m.read_manifest(Path(sys.argv[1]))): print(e.repo, e.path)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(SCRIPTS / setup.manifest)],
        cwd=SCRIPTS / "checkpoints", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    needed = [f"{one.repo} {one.path}" for one in manifest_of(engine).files if one.needed]
    assert said.splitlines() == needed


def brings(engine: str, wanted: str) -> bool:
    """Whether a download brings `OWNER/NAME@REVISION/FILE`, or a path below a place."""
    for one in manifest_of(engine).files:
        base, branch, _ = one.place
        if branch and wanted == f"{base}/refs/{branch}":  # written with the files
            return True
        in_hub = one.target == "huggingface" and not one.into
        start = f"{one.repo}@{one.revision or 'main'}/" if in_hub else f"{base}/"
        path = wanted.removeprefix(start)
        listed = fnmatchcase(path, one.path) and not any(fnmatchcase(path, x) for x in one.exclude)
        if one.needed_for and wanted.startswith(start) and listed:
            return True
    return False


TRANSFER1 = [
    *(name for wanted in facts.CHECKPOINTS for name in wanted.split("|")[:1]),
    *(facts.CONTROL_FILE.format(c) for c in ("vis", "edge", "depth", "seg", "keypoint")),
    *(facts.DISTILLED_FILE, facts.UPSCALER_FILE, facts.UPSAMPLER_FILE),
    *(facts.HUB_DEPTH, *facts.HUB_SEG),
]
TRANSFER2_5 = [
    *facts25.CONTROL_FILES.values(),
    *(facts25.DISTILLED_FILE, *facts25.HUB, facts25.HUB_ALONE, *facts25.HUB_SEG),
    facts25.DEPTH_FILE,
]
COSMOS3 = [*(f"nvidia/Cosmos3-{size}@main/config.json" for size in ("Nano", "Super")), *facts3.HUB]


@pytest.mark.parametrize(
    ("engine", "wanted"),
    [
        *(("cosmos_transfer1", name) for name in TRANSFER1),
        *(("cosmos_transfer2_5", name) for name in TRANSFER2_5),
        *(("cosmos3", name) for name in COSMOS3),
    ],
)
def test_every_file_that_a_run_asks_for_is_downloaded(engine: str, wanted: str) -> None:
    assert brings(engine, wanted)


def test_super_alone_brings_the_parts_of_nano_that_it_loads() -> None:
    program = (
        "import sys; from pathlib import Path; import checkpoints_manifest as m\n"
        "for e in m.chosen(m.read_manifest(Path(sys.argv[1])), ['super']): print(e.repo, e.path)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(SCRIPTS / "checkpoints" / "cosmos3.json")],
        cwd=SCRIPTS / "checkpoints", capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "nvidia/Cosmos3-Nano sound_tokenizer/*" in said.splitlines()
    assert "nvidia/Cosmos3-Nano *" not in said.splitlines()


def test_all_published_md5_sums_of_transfer1_are_there() -> None:
    files = manifest_of("cosmos_transfer1").files
    sums = {one.md5 for one in files if one.target == "checkpoints" and one.md5}
    assert len(sums) == 29
    assert {one.size for one in files} == {None}  # published nowhere


def test_a_manifest_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"engine": "x", "files": [{"repo": "a/b"}]}')
    with pytest.raises(SettingsError, match=r"m\.json: files\.0\.path"):
        read_manifest(tmp_path / "m.json")
    with pytest.raises(SettingsError, match="There is no"):
        read_manifest(tmp_path / "none.json")


@pytest.mark.parametrize("engine", SET_UP)
def test_a_dockerfile_lets_its_base_be_chosen_and_holds_no_token_and_no_weights(
    engine: str,
) -> None:
    setup = ENGINES[engine].setup
    assert setup is not None
    text = (SCRIPTS / setup.dockerfile).read_text()
    assert "\nARG BASE=" in text
    assert "ENTRYPOINT []" in text
    assert "ffmpeg" in text
    for word in ("HF_TOKEN", "gpu_scripts", ".safetensors", "checkpoints"):
        assert word not in text
