"""What a manifest, a hub and an address may say: no path leads elsewhere, no secret is told."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_scripts.checkpoints.checkpoint_places import (
    REPO,
    SCRIPTS,
    Places,
    Said,
    entry,
    placed,
)
from tests.support.hub import COMMIT

sys.path.append(str(SCRIPTS))

from checkpoints_names import endpoint_of, host_of, is_repo, is_revision, keeps_secrets

PASSWORD = "hunter2:and@more"
ENCODED = "hunter2%3Aand%40more"


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Empty places below a directory of their own, and a hub with one repository."""
    (tmp_path / "deep").mkdir()
    with placed(tmp_path / "deep") as found:
        yield found


@pytest.mark.parametrize("path", ["base.pt", "*.json"])
@pytest.mark.parametrize("commit", ["../../../../out", "/out", "C" * 40, "c" * 6, "c" * 65, "main"])
def test_a_commit_that_is_none_is_a_problem_and_no_path(
    places: Places, commit: str, path: str
) -> None:
    places.hub.commits[REPO] = [commit]
    said = places.run(places.manifest(entry(path, target="huggingface")), "download")
    assert said.code == 1
    assert f"says that {REPO} is at '{commit}" in said.problems[0]
    assert "which is not a commit" in said.problems[0]
    assert not places.cache.exists()
    assert [p.name for p in places.root.parent.iterdir()] == ["deep"]


@pytest.mark.parametrize("commit", [COMMIT, "c" * 7, "0f" * 32])
def test_short_and_long_hashes_are_commits(places: Places, commit: str) -> None:
    places.hub.commits[REPO] = [commit]
    manifest = places.manifest(entry("*.json", target="huggingface"))
    assert places.run(manifest, "download").code == 0
    assert (places.cache / "snapshots" / commit / "config.json").exists()
    assert places.run(manifest, "verify").code == 0


def test_what_the_cache_says_of_main_is_no_path_either(places: Places) -> None:
    (places.cache / "refs").mkdir(parents=True)
    (places.cache / "refs" / "main").write_text("../../../../..")
    (places.root / "config.json").write_text("{}")
    manifest = places.manifest(entry("config.json", target="huggingface"))
    assert places.run(manifest, "verify").result["counts"] == {"missing": 1}


@pytest.mark.parametrize(
    "name", ["../../../x.json", "a/../../../x.json", "/tmp/x.json", "a\\x.json", "a\nx.json", "."]
)
def test_a_listed_name_that_leads_elsewhere_is_a_problem(places: Places, name: str) -> None:
    places.hub.add(REPO, {name: b"{}"})
    said = places.run(places.manifest(entry("*.json")), "download")
    assert said.code == 1
    (problem,) = [x for x in said.problems if "leads out of the directory" in x]
    assert f"lists {name!a} in {REPO}" in problem
    assert not [p for p in places.root.parent.rglob("*.json") if p.name != "manifest.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"repo": "../../etc"},
        {"repo": "owner/.."},
        {"repo": "/etc"},
        {"repo": "a/b/c"},
        {"repo": "a/b?x=1"},
        {"repo": "./b"},
        {"revision": "../main"},
        {"revision": "/main"},
        {"revision": "a/../b"},
        {"revision": "a b"},
        {"revision": "a//b"},
        {"path": "a\\b"},
        {"path": "a\nb"},
        {"path": "../b"},
        {"into": "../b"},
        {"into": "/b"},
        {"cache": "../b"},
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(places: Places, change: dict[str, Any]) -> None:
    said = places.run(places.manifest(entry("base.pt") | change), "download")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert places.hub.asked == []


def test_repositories_and_revisions_of_the_real_hub_are_plain() -> None:
    assert is_repo("depth-anything/Video-Depth-Anything-Small")
    assert is_repo("google/siglip2-so400m.v1_x")
    assert all(map(is_revision, ("main", "refs/pr/12", "v1.0+cu12", COMMIT)))


def everything(places: Places, said: Said) -> str:
    """All that was said and written."""
    files = [p for p in places.root.rglob("*") if p.is_file() and p.name != "manifest.json"]
    return said.out + said.err + "".join(p.read_text("utf-8", "replace") for p in files)


def told_nothing(places: Places, said: Said) -> bool:
    text = everything(places, said)
    return not any(word in text for word in ("hunter2", "and@more", "and%40more"))


def with_password(places: Places) -> str:
    """The endpoint with a user and a password, which it wants."""
    places.hub.token = f"Basic {b64encode(f'me:{PASSWORD}'.encode()).decode()}"
    return places.hub.endpoint.replace("://", f"://me:{ENCODED}@")


def test_a_password_in_the_endpoint_is_used_and_never_told(places: Places) -> None:
    places.hub.gated.add(REPO)
    endpoint = with_password(places)
    manifest = places.manifest(entry("base.pt"), entry("*.json"), entry("none.pt"))
    run = places.root / "run"
    run.mkdir()
    more = {"HF_ENDPOINT": endpoint, "COSMOS_RUN_DIR": str(run)}
    said = places.run(manifest, "download", **more)
    assert "accept the licence" in said.problems[0]
    assert told_nothing(places, said)
    places.hub.accepted.add(REPO)
    places.hub.failures["config.json"] = [500] * 9
    said = places.run(manifest, "download", **more)
    assert [p.partition(": ")[2] for p in said.problems if "config.json" in p] == [
        f"{host_of(endpoint)} answers 500"
    ]
    assert (places.checkpoints / REPO / "base.pt").exists()
    assert told_nothing(places, said)
    store = [a for a in places.hub.asked if "/resolve/" not in a.path and "/api/" not in a.path]
    assert {a.token for a in store} == {None}


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        (f"http://me:{ENCODED}@127.0.0.1:1", 1),
        ("http://me:hunter2", 2),
        ("http://me:and@more:hunter2", 2),
        ("http://[hunter2", 2),
        ("ftp://me:hunter2@host", 2),
        ("me:hunter2@host", 2),
    ],
)
def test_an_endpoint_that_does_not_answer_is_told_without_its_password(
    places: Places, endpoint: str, code: int
) -> None:
    said = places.run(places.manifest(entry("base.pt")), "download", HF_ENDPOINT=endpoint)
    assert said.code == code
    assert told_nothing(places, said)
    assert "Traceback" not in said.err


def test_a_wrong_password_is_told_as_that(places: Places) -> None:
    endpoint = places.hub.endpoint.replace("://", "://me:hunter2@")
    said = places.run(places.manifest(entry("base.pt")), "download", HF_ENDPOINT=endpoint)
    why = f"{host_of(endpoint)} does not accept the user and password of HF_ENDPOINT"
    assert said.problems == [f"{REPO}/base.pt: {why}"]


def test_a_token_is_not_sent_by_http_to_another_machine(tmp_path: Path) -> None:
    """0.0.0.0 is no address of a loopback, and leads here all the same."""
    with placed(tmp_path, "0.0.0.0") as places:
        places.hub.add("maker/gated", {"a.pt": b"a"})
        places.hub.gated.add("maker/gated")
        manifest = places.manifest(entry("base.pt"), entry("a.pt") | {"repo": "maker/gated"})
        said = places.run(manifest, "download", HF_TOKEN=places.hub.token)
        assert {asked.token for asked in places.hub.asked} == {None}
    (line,) = [problem for problem in said.problems if "HF_TOKEN" in problem]
    host = host_of(places.hub.endpoint)
    assert line == f"HF_TOKEN: not sent to {host}: anybody could read it over http"
    assert said.problems[1].endswith("needs a token, and your token is not sent over http")
    assert (places.checkpoints / REPO / "base.pt").exists()
    assert (said.code, said.result["counts"]) == (1, {"failed": 1, "ok": 1})


@pytest.mark.parametrize(
    ("address", "host", "safe"),
    [
        ("https://huggingface.co", "huggingface.co", True),
        ("https://me:x@mirror:8443/a/", "mirror:8443", True),
        ("http://mirror", "mirror", False),
        ("http://localhost:8", "localhost:8", True),
        ("http://127.1.2.3", "127.1.2.3", True),
        ("http://[::1]:80", "[::1]:80", True),
        ("http://[fe80::1]", "[fe80::1]", False),
        ("http://localhost.example.com", "localhost.example.com", False),
        ("http://localhost@example.com", "example.com", False),
    ],
)
def test_hosts_are_told_alone_and_known_to_be_safe(address: str, host: str, safe: bool) -> None:
    assert host_of(address) == host
    assert keeps_secrets(address) is safe
    bare, _ = endpoint_of(address)
    assert "@" not in bare
    assert host_of(bare) == host
