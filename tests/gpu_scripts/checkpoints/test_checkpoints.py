"""`checkpoints.py`, as a program, before a real HTTP server that plays the hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu_scripts.checkpoints.checkpoint_places import BIG, REPO, Places, entry, placed
from tests.support.hub import COMMIT
from tests.support.waiting import until

PINNED = "a" * 40


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Empty places, and a hub with one repository."""
    with placed(tmp_path) as found:
        yield found


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_what_is_missing_is_named_and_the_exit_code_says_so(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"), entry("config.json"))
    (places.checkpoints / REPO).mkdir(parents=True)
    (places.checkpoints / REPO / "config.json").write_bytes(b"x")
    said = places.run(manifest, "verify")
    assert (said.code, said.problems) == (1, [f"{REPO}/base.pt: missing"])
    assert said.result["counts"] == {"missing": 1, "ok": 1}
    assert not said.result["well"]


def test_a_missing_file_with_a_licence_says_what_it_takes(places: Places) -> None:
    said = places.run(places.manifest(entry("base.pt", gated=True)), "verify")
    what = "missing; gated: accept its licence on the hub's page, and give a token"
    assert said.problems == [f"{REPO}/base.pt: {what}"]


def test_a_download_is_whole_and_verified_and_needed_once(places: Places) -> None:
    manifest = places.manifest(entry("base.pt", md5=md5(BIG)), entry("*.json"))
    said = places.run(manifest, "download")
    assert (said.code, said.problems) == (0, []), said
    made = places.checkpoints / REPO
    assert (made / "base.pt").read_bytes() == BIG
    assert (made / "config.json").read_bytes() == b'{"a": 1}'
    assert (made / "sub" / "more.json").read_bytes() == b"{}"
    assert not list(places.checkpoints.rglob("*.part"))
    again = places.run(manifest, "download")
    assert again.code == 0
    assert len(places.hub.downloads("base.pt")) == 2  # the hub's redirect and the store's content
    assert "0 of 3 files are to be downloaded" in again.out
    assert places.run(manifest, "verify", "--deep").result["counts"] == {"ok": 3}


def test_only_what_the_manifest_names_is_downloaded(places: Places) -> None:
    places.hub.add(REPO, {"tf_model.h5": BIG, "original/params.json": b"{}"})
    manifest = places.manifest(entry("*.json", exclude=["original/*"]))
    assert places.run(manifest, "download").code == 0
    names = sorted(p.name for p in (places.checkpoints / REPO).rglob("*") if p.is_file())
    assert names == ["config.json", "more.json"]


def test_the_cache_gets_the_snapshot_of_its_commit_and_what_main_means(places: Places) -> None:
    places.hub.commits[REPO] = [COMMIT, PINNED]
    manifest = places.manifest(
        entry("base.pt", target="huggingface", revision=PINNED),
        entry("config.json", target="huggingface"),
    )
    assert places.run(manifest, "download").code == 0
    assert (places.cache / "snapshots" / PINNED / "base.pt").read_bytes() == BIG
    assert (places.cache / "snapshots" / COMMIT / "config.json").exists()
    assert (places.cache / "refs" / "main").read_text() == COMMIT
    assert places.run(manifest, "verify", "--deep").result["counts"] == {"ok": 2}


def test_what_a_model_looks_for_elsewhere_goes_there(places: Places) -> None:
    row = entry("base.pt", target="huggingface", into="depth_models/small")
    assert places.run(places.manifest(row), "download").code == 0
    assert (places.root / "hf" / "depth_models" / "small" / "base.pt").read_bytes() == BIG
    assert not places.cache.exists()
    assert places.run(places.manifest(row), "verify", "--deep").result["counts"] == {"ok": 1}


def test_a_directory_that_a_library_uses_as_a_cache_is_filled_like_one(places: Places) -> None:
    own = entry("*", cache="guard/filter", exclude=["sub/*"])
    manifest = places.manifest(own)
    assert places.run(manifest, "verify").result["counts"] == {"missing": 1}
    said = places.run(manifest, "download")
    assert (said.code, said.result["counts"]) == (0, {"ok": 2}), said.out
    model = places.checkpoints / "guard" / "filter" / "models--maker--model"
    assert (model / "refs" / "main").read_text() == COMMIT
    assert (model / "snapshots" / COMMIT / "base.pt").read_bytes() == BIG
    assert places.run(manifest, "verify", "--deep").result["counts"] == {"ok": 2}
    assert "0 of 2 files are to be downloaded" in places.run(manifest, "download").out


@pytest.mark.parametrize("resumes", [True, False])
def test_a_broken_connection_is_resumed_where_it_broke(places: Places, resumes: bool) -> None:
    places.hub.resumes = resumes
    places.hub.cuts["base.pt"] = [300_000, 200_000]
    said = places.run(places.manifest(entry("base.pt", md5=md5(BIG))), "download")
    assert (said.code, said.problems) == (0, []), said
    assert (places.checkpoints / REPO / "base.pt").read_bytes() == BIG
    ranges = [a.range for a in places.hub.downloads("base.pt") if "resolve" not in a.path]
    assert len(ranges) == 3
    assert ranges[0] is None
    assert ranges[1] == "bytes=300000-"


def test_a_killed_download_goes_on_in_another_process(places: Places) -> None:
    places.hub.cuts["base.pt"] = [400_000]
    manifest = places.manifest(entry("base.pt", md5=md5(BIG)))
    process = places.start(manifest, "download", "--pause=30")  # it waits after the cut
    parts = places.checkpoints / REPO
    until(
        lambda: any(p.stat().st_size >= 300_000 for p in parts.glob(".*.part")),
        "the part before the cut",
    )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (parts / "base.pt").exists()
    said = places.run(manifest, "download")
    assert said.code == 0, said
    last = places.hub.downloads("base.pt")[-1]
    assert last.range is not None
    assert (parts / "base.pt").read_bytes() == BIG


def test_a_server_that_fails_for_a_moment_is_asked_again(places: Places) -> None:
    places.hub.failures["base.pt"] = [503, 429]
    assert places.run(places.manifest(entry("base.pt")), "download").code == 0


def test_an_expired_address_in_the_store_is_asked_for_anew(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"))
    places.hub.failures[f"{REPO}/base.pt"] = [403]  # of the store: the hub's paths have /resolve/
    said = places.run(manifest, "download")
    assert said.code == 0, said


def test_one_that_fails_does_not_keep_the_others_from_coming(places: Places) -> None:
    manifest = places.manifest(entry("not-there.pt"), entry("base.pt"))
    said = places.run(manifest, "download")
    assert said.code == 1
    assert said.problems == [f"{REPO}/not-there.pt: {REPO} has no such file at main"]
    assert (places.checkpoints / REPO / "base.pt").exists()


def test_a_gated_repository_says_what_to_do_for_each_reason(places: Places) -> None:
    places.hub.gated.add(REPO)
    manifest = places.manifest(entry("base.pt", gated=True), entry("*.json", gated=True))
    said = places.run(manifest, "download")
    assert said.code == 1
    assert said.problems[0].endswith("needs a token, and no token was given: set HF_TOKEN")
    said = places.run(manifest, "download", HF_TOKEN="hf_another_one")
    assert "the token is not accepted by 127.0.0.1" in said.problems[0]
    said = places.run(manifest, "download", HF_TOKEN=places.hub.token)
    page = f"{places.hub.endpoint}/{REPO}"
    assert f"accept the licence of {REPO} at {page}" in said.problems[0]
    places.hub.accepted.add(REPO)
    assert places.run(manifest, "download", HF_TOKEN=places.hub.token).code == 0


def test_a_pinned_revision_that_vanished_is_told_as_that(places: Places) -> None:
    said = places.run(places.manifest(entry("base.pt", revision=PINNED)), "download")
    assert said.code == 1
    assert said.problems == [f"{REPO}/base.pt: {REPO} no longer has the pinned revision {PINNED}"]


def test_a_hub_that_is_not_there_is_a_problem_of_each_file(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"))
    said = places.run(manifest, "download", HF_ENDPOINT="http://127.0.0.1:1")
    assert said.code == 1
    assert "127.0.0.1:1 cannot be reached" in said.problems[0]


def test_the_token_is_shown_to_the_endpoint_alone_and_never_printed(places: Places) -> None:
    file = places.root / "token"
    file.write_text(f"{places.hub.token}\n")
    file.chmod(0o600)
    places.hub.gated.add(REPO)
    places.hub.failures["config.json"] = [500]
    manifest = places.manifest(entry("base.pt"), entry("config.json"))
    said = places.run(manifest, "download", HF_TOKEN_PATH=str(file))
    assert said.code == 1  # the licence
    assert not file.exists()
    assert places.hub.token not in said.out + said.err
    places.hub.accepted.add(REPO)
    said = places.run(manifest, "download", HF_TOKEN=places.hub.token)
    assert said.code == 0
    at_store = [a for a in places.hub.asked if "/resolve/" not in a.path]
    assert at_store
    assert {a.token for a in at_store} == {None}
    everywhere = b"".join(p.read_bytes() for p in places.root.rglob("*") if p.is_file())
    assert places.hub.token.encode() not in everywhere


def test_other_content_than_the_published_hash_is_not_kept(places: Places) -> None:
    said = places.run(places.manifest(entry("base.pt", md5="0" * 32)), "download")
    assert said.code == 1
    assert f"its md5 is {md5(BIG)} instead of {'0' * 32}" in said.problems[0]
    assert not list((places.checkpoints / REPO).iterdir())


@pytest.mark.parametrize("how", ["md5", "sha256", "git"])
def test_deep_finds_a_flipped_byte_that_fast_does_not(places: Places, how: str) -> None:
    path = "config.json" if how == "git" else "base.pt"
    manifest = places.manifest(entry(path, md5=md5(BIG) if how == "md5" else None))
    assert places.run(manifest, "download").code == 0
    file = places.checkpoints / REPO / path
    content = bytearray(file.read_bytes())
    content[3] ^= 1
    file.write_bytes(content)
    assert places.run(manifest, "verify").code == 0
    said = places.run(manifest, "verify", "--deep")
    assert said.code == 1
    assert said.problems[0].startswith(f"{REPO}/{path}: its {how} is ")
    assert said.result["counts"] == {"wrong_hash": 1}


def test_fast_finds_a_file_that_was_cut_since_it_was_downloaded(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"))
    assert places.run(manifest, "download").code == 0
    file = places.checkpoints / REPO / "base.pt"
    os.truncate(file, 1000)
    said = places.run(manifest, "verify")
    assert said.problems == [f"{REPO}/base.pt: has 1000 bytes instead of {len(BIG)}"]
    assert places.run(manifest, "download").code == 0
    assert file.read_bytes() == BIG


def test_what_has_no_known_hash_is_told_as_unverifiable_and_is_well(places: Places) -> None:
    (places.checkpoints / REPO).mkdir(parents=True)
    (places.checkpoints / REPO / "base.pt").write_bytes(b"brought by hand")
    said = places.run(places.manifest(entry("base.pt")), "verify", "--deep")
    assert said.code == 0
    assert said.result["counts"] == {"unverifiable": 1}


def test_of_a_known_list_a_missing_file_is_missed(places: Places) -> None:
    manifest = places.manifest(entry("*.json"))
    assert places.run(manifest, "download").code == 0
    (places.checkpoints / REPO / "sub" / "more.json").unlink()
    assert places.run(manifest, "verify").problems == [f"{REPO}/sub/more.json: missing"]


def test_progress_has_files_and_percent_and_is_no_flood(places: Places) -> None:
    places.hub.add(REPO, {f"part-{n}.bin": BIG for n in range(30)})
    manifest = places.manifest(entry("*.bin"))
    said = places.run(manifest, "download")
    lines = [x for x in said.out.splitlines() if re.match(r"\[\d+/30\] \d+ % ", x)]
    assert lines[-1].startswith("[30/30] 100 % ")
    assert len(lines) < 10
    deep = places.run(manifest, "verify", "--deep").out
    assert "[30/30] 100 % " in deep


def test_only_takes_operations_and_controls(places: Places) -> None:
    manifest = places.manifest(
        entry("base.pt"),
        entry("edge.pt", control="edge"),
        entry("depth.pt", control="depth"),
        entry("upscaler.pt", needed_for=["upscale"]),
        entry("super.pt", control="super", optional=True),
        entry("tf_model.h5", needed_for=[]),
    )

    def names(*only: str) -> list[str]:
        words = [word for one in only for word in ("--only", one)]
        result = places.run(manifest, "verify", *words).result
        return [file["path"].rpartition("/")[2] for file in result["files"]]

    assert names() == ["base.pt", "edge.pt", "depth.pt", "upscaler.pt"]
    assert names("transfer,edge") == ["base.pt", "edge.pt"]
    assert names("edge", "upscale") == ["upscaler.pt"]
    assert names("super") == ["base.pt", "upscaler.pt", "super.pt"]
    said = places.run(manifest, "verify", "--only", "moon")
    assert said.code == 2
    assert "the manifest has no moon; known: depth, edge, super, transfer, upscale" in said.err


def test_wrong_usage_and_unset_places_exit_with_2(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"))
    assert places.run(manifest, "sing").code == 2
    assert "set COSMOS_CHECKPOINTS" in places.run(manifest, "verify", COSMOS_CHECKPOINTS="").err
    assert places.run(places.root / "none.json", "verify").code == 2
    climbs = places.manifest(entry("../../etc/passwd"))
    assert places.run(climbs, "verify").code == 2


def test_a_full_disk_is_told_before_anything_is_downloaded(
    places: Places, small_disk: Path
) -> None:
    manifest = places.manifest(entry("base.pt"))
    said = places.run(manifest, "download", COSMOS_CHECKPOINTS=str(small_disk / "checkpoints"))
    assert said.code == 1
    assert len(said.problems) == 1
    assert "no space left" in said.problems[0]
    assert not places.hub.downloads("base.pt")


def test_in_a_run_folder_the_result_is_an_output(places: Places, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    said = places.run(
        places.manifest(entry("base.pt")), "download", COSMOS_RUN_DIR=f"{tmp_path}/run"
    )
    result = json.loads((tmp_path / "run/outputs/checkpoints.json").read_text())
    assert result["well"]
    assert result["bytes"] == len(BIG)
    assert said.out.splitlines()[-1] == "1 files, 0.0 GB: 1 ok."
