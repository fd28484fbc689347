"""The manifests of checkpoints and the Dockerfiles: whole, and in agreement with the engines."""

from __future__ import annotations

import subprocess
import sys
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


def test_every_file_that_a_run_of_transfer1_asks_for_is_downloaded() -> None:
    files = [one for one in manifest_of("cosmos_transfer1").files if one.needed]
    brought = {f"{one.repo}/{one.path}" for one in files if one.target == "checkpoints"}
    controls = [facts.CONTROL_FILE.format(c) for c in ("vis", "edge", "depth", "seg", "keypoint")]
    others = [facts.DISTILLED_FILE, facts.UPSCALER_FILE, facts.UPSAMPLER_FILE]
    for wanted in (*facts.CHECKPOINTS, *controls, *others):
        assert brought & set(wanted.split("|")), wanted
    assert {facts.HUB_DEPTH, *facts.HUB_SEG} <= cached_of("cosmos_transfer1")


def cached_of(engine: str) -> set[str]:
    """The repositories that the cache gets, as their directories are called."""
    files = [one for one in manifest_of(engine).files if one.needed]
    cached = [one.repo for one in files if one.target == "huggingface"]
    return {f"models--{repo.replace('/', '--')}" for repo in cached}


def test_every_repository_that_a_run_of_the_others_asks_for_is_downloaded() -> None:
    assert {*facts25.HUB, *facts25.HUB_SEG} <= cached_of("cosmos_transfer2_5")
    places = [f"{one.place[0]}/{one.path}" for one in manifest_of("cosmos_transfer2_5").files]
    assert facts25.DEPTH_FILE in places
    assert {"models--nvidia--Cosmos3-Nano", *facts3.HUB} <= cached_of("cosmos3")


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
