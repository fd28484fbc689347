"""What `checkpoints.py` keeps: older commits, whole branches, files that rot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu_scripts.checkpoints.checkpoint_places import BIG, REPO, Places, entry, placed
from tests.support.hub import COMMIT

NEWER = "e" * 40
OTHER = BIG[::-1]


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Empty places, and a hub with one repository."""
    with placed(tmp_path) as found:
        yield found


def cached(path: str, **fields: object) -> dict[str, object]:
    """A row for the cache of Hugging Face."""
    return entry(path, target="huggingface", **fields)


def move_main(places: Places) -> None:
    """Let `main` mean another commit."""
    places.hub.commits[REPO] = [NEWER, COMMIT]


def main_of(places: Places) -> str:
    """What it means in the cache."""
    return (places.cache / "refs" / "main").read_text()


def rot(file: Path) -> None:
    """Another content of the same size."""
    file.write_bytes(b"\1" + file.read_bytes()[1:])


def test_a_branch_moves_when_all_of_its_files_have_come(places: Places) -> None:
    manifest = places.manifest(cached("base.pt"), cached("config.json"))
    assert places.run(manifest, "download").code == 0
    move_main(places)
    places.hub.add(REPO, {"base.pt": OTHER, "config.json": b"{}"})
    places.hub.failures["resolve/main/base.pt"] = [404]
    said = places.run(manifest, "download")
    assert (said.code, said.result["counts"]) == (1, {"failed": 1, "ok": 1})
    assert main_of(places) == COMMIT
    assert places.run(manifest, "verify", "--deep").result["counts"] == {"ok": 2}
    assert places.run(manifest, "download").code == 0
    assert main_of(places) == NEWER
    assert (places.cache / "snapshots" / NEWER / "base.pt").read_bytes() == OTHER
    assert (places.cache / "snapshots" / COMMIT / "base.pt").read_bytes() == BIG


def test_a_first_download_that_fails_names_no_commit(places: Places) -> None:
    manifest = places.manifest(cached("base.pt"), cached("not-there.pt"))
    said = places.run(manifest, "download")
    assert (said.code, said.result["counts"]) == (1, {"failed": 1, "ok": 1})
    assert not (places.cache / "refs").exists()


def test_what_is_the_same_at_an_older_commit_is_not_brought_again(places: Places) -> None:
    manifest = places.manifest(cached("base.pt"), cached("*.json"))
    assert places.run(manifest, "download").code == 0
    asked = len(places.hub.downloads("base.pt"))
    move_main(places)
    places.hub.add(REPO, {"config.json": b"[]"})
    said = places.run(manifest, "download")
    assert (said.code, said.result["counts"]) == (0, {"ok": 3}), said
    assert len(places.hub.downloads("base.pt")) == asked
    old, new = (places.cache / "snapshots" / commit / "base.pt" for commit in (COMMIT, NEWER))
    assert old.samefile(new)
    assert (new.parent / "config.json").read_bytes() == b"[]"
    assert (old.parent / "config.json").read_bytes() == b'{"a": 1}'
    assert not list(places.cache.rglob("*.part"))


def test_an_older_file_that_has_rotted_is_not_reused(places: Places) -> None:
    manifest = places.manifest(cached("base.pt"))
    assert places.run(manifest, "download").code == 0
    rot(places.cache / "snapshots" / COMMIT / "base.pt")
    move_main(places)
    assert places.run(manifest, "download").code == 0
    assert (places.cache / "snapshots" / NEWER / "base.pt").read_bytes() == BIG


def test_one_file_of_a_branch_that_moved_brings_the_others_that_were_there(
    places: Places,
) -> None:
    places.hub.add(REPO, {"edge.pt": BIG, "depth.pt": BIG})
    manifest = places.manifest(
        cached("base.pt"),
        cached("edge.pt", control="edge"),
        cached("depth.pt", control="depth"),
        cached("config.json", control="seg"),
    )
    assert places.run(manifest, "download", "--only", "edge,depth").code == 0
    move_main(places)
    places.hub.add(REPO, {"depth.pt": OTHER})
    said = places.run(manifest, "download", "--only", "edge")
    assert (said.code, main_of(places)) == (0, NEWER)
    assert [file["path"].rpartition("/")[2] for file in said.result["files"]] == [
        "base.pt",
        "edge.pt",
    ]
    assert places.run(manifest, "verify", "--only", "edge,depth").code == 0
    assert not (places.cache / "snapshots" / NEWER / "config.json").exists()


@pytest.mark.parametrize("pattern", ["base.pt", "*.pt"])
def test_a_file_that_rotted_is_brought_anew_by_a_deep_download(
    places: Places, pattern: str
) -> None:
    manifest = places.manifest(entry(pattern), entry("config.json"))
    assert places.run(manifest, "download").code == 0
    file = places.checkpoints / REPO / "base.pt"
    rot(file)
    assert places.run(manifest, "download").code == 0  # it only looks at sizes
    assert file.read_bytes() != BIG
    said = places.run(manifest, "download", "--deep")
    assert (said.code, said.result["counts"]) == (0, {"ok": 2}), said
    assert file.read_bytes() == BIG
    assert "1 files have a wrong hash: they are downloaded again." in said.out


def test_a_rotten_file_stays_until_the_new_one_is_whole(places: Places) -> None:
    manifest = places.manifest(entry("base.pt"))
    assert places.run(manifest, "download").code == 0
    file = places.checkpoints / REPO / "base.pt"
    rot(file)
    places.hub.failures[f"{REPO}/base.pt"] = [500] * 20  # of the store
    said = places.run(manifest, "download", "--deep")
    assert (said.code, said.result["counts"]) == (1, {"failed": 1})
    assert file.read_bytes()[1:] == BIG[1:]
    places.hub.failures.clear()
    assert places.run(manifest, "download", "--deep").code == 0
    assert file.read_bytes() == BIG


def test_a_size_that_contradicts_the_manifest_is_told_before_the_first_byte(
    places: Places,
) -> None:
    said = places.run(places.manifest(entry("base.pt", size=17)), "download")
    assert said.code == 1
    assert said.problems == [f"{REPO}/base.pt: the hub's file has {len(BIG)} bytes instead of 17"]
    assert not places.hub.downloads("base.pt")


def test_a_token_that_was_removed_before_it_was_read_is_told(places: Places) -> None:
    gone = places.root / "token"
    said = places.run(places.manifest(entry("base.pt")), "download", HF_TOKEN_PATH=str(gone))
    assert said.code == 1
    assert said.problems == ["HF_TOKEN: the token's file was removed before it was read"]
    assert not places.hub.asked


def test_two_engines_that_share_a_cache_bring_each_file_once(places: Places) -> None:
    files = {f"weights.{n}.bin": bytes([n]) + BIG * 8 for n in range(4)}
    places.hub.add(REPO, files)
    mine = places.manifest(cached("*.bin")).rename(places.root / "mine.json")
    yours = places.manifest(cached("*.bin"), cached("config.json"))
    started = [places.start(manifest, "download") for manifest in (mine, yours)]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    for name, content in files.items():
        assert (places.cache / "snapshots" / COMMIT / name).read_bytes() == content
        assert len([a for a in places.hub.downloads(name) if "resolve" not in a.path]) == 1
    assert not list(places.cache.rglob("*.part"))
    for manifest, count in ((mine, 4), (yours, 5)):  # what each has noted is there for both
        assert places.run(manifest, "verify", "--deep").result["counts"] == {"ok": count}
    record = json.loads((places.root / "hf" / ".cosmos-sizes.json").read_text())
    assert len(record["files"]) == 5
