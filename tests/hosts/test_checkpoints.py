"""Checkpoints verified and downloaded on a host of the rig, from a hub on its own loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.errors import BackendError, InputError, StateError
from cosmos_pipelines.hosts.checkpoints import checkpoints, stop_checkpoints
from cosmos_pipelines.hosts.orders import checkpoints_id
from cosmos_pipelines.operate.kill import kill_stray
from cosmos_pipelines.operate.status import status
from cosmos_pipelines.settings import Settings
from tests.rig.fleet import Fleet
from tests.rig.machine import until
from tests.support.host_engine import IMAGE, NAME, Ready, settings_for
from tests.support.hub import Hub, serving

NANO, GUARD, QWEN = "nvidia/Cosmos3-Nano", "nvidia/Cosmos-Guardrail1", "Qwen/Qwen3Guard-Gen-0.6B"
BIG = bytes(range(256)) * 4096


@dataclass
class Weighed:
    """A host with an image, and a hub that has the checkpoints of the engine's manifest."""

    bare: Ready
    hub: Hub
    settings: Settings

    def do(
        self,
        action: Any = "download",
        on_line: Callable[[str], None] | None = None,
        **how: Any,
    ) -> dict[str, Any]:
        """Verify or download."""
        return checkpoints(self.settings, NAME, action, on_line=on_line, **how)

    def cached(self, repo: str, name: str) -> Path:
        """A file of the cache on the host."""
        folder = f"models--{repo.replace('/', '--')}"
        (found,) = (self.bare.own / "huggingface" / "hub" / folder / "snapshots").glob(f"*/{name}")
        return found

    def slow(self) -> None:
        """Let the next download break once; it waits for two seconds then."""
        self.hub.cuts["large.pt"] = [100_000]

    def containers(self) -> list[str]:
        """Names of all containers there."""
        return self.bare.host.docker("ps", "--all", "--format={{.Names}}").split()

    @property
    def tokens(self) -> list[str]:
        """What is left of tokens there."""
        return [p.name for p in self.bare.own.glob(".token*")]


@pytest.fixture
def weighed(bare: Ready, fleet: Fleet) -> Iterator[Weighed]:
    """The host, its image tagged, and the hub."""
    bare.host.docker("tag", "cosmos-rig/preview:1", IMAGE)
    # On the host's own loopback: a token is shown to no other address without encryption.
    with serving(namespace=Path("/run/netns") / bare.host.link.name) as hub:
        hub.add(NANO, {"config.json": b"{}", "large.pt": BIG, "assets/picture.png": b"p"})
        hub.add(GUARD, {"blocklist/words": b"w", "filter.pt": BIG})
        hub.add(QWEN, {"model.safetensors": BIG})
        hub.gated.add(GUARD)
        hub.accepted.add(GUARD)
        docker = f'network = "host"\nenv = {{ HF_ENDPOINT = "{hub.endpoint}" }}'
        settings = settings_for(bare.settings.home, fleet, docker)
        yield Weighed(bare, hub, settings)


def with_token_file(settings: Settings, file: Path, token: str, mode: int = 0o600) -> Settings:
    """A project that names a file for the token."""
    file.write_text(f"{token}\n")
    file.chmod(mode)
    remote = settings.remote.model_copy(update={"hf_token_file": file})
    return settings.model_copy(update={"remote": remote})


def test_a_download_brings_all_and_a_second_one_nothing(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    before = weighed.do("verify")
    assert not before["well"]
    assert before["counts"] == {"missing": 3}
    told: list[str] = []
    result = weighed.do(on_line=told.append)
    assert (result["well"], result["counts"]) == (True, {"ok": 5}), result
    assert weighed.cached(NANO, "large.pt").read_bytes() == BIG
    assert told[-2].startswith("[5/5] 100 % ")
    assert Path(result["log"]).read_text().splitlines() == told
    asked = len(weighed.hub.downloads("large.pt"))
    assert weighed.do(deep=True)["counts"] == {"ok": 5}
    assert len(weighed.hub.downloads("large.pt")) == asked
    assert weighed.containers() == []
    assert not list((weighed.bare.host.root / "data/cosmos/runs").glob("[!.]*"))


def test_a_file_that_rots_is_found_by_its_hash(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    weighed.do()
    file = weighed.cached(QWEN, "model.safetensors")
    file.write_bytes(b"\1" + BIG[1:])
    assert weighed.do("verify")["well"]
    told: list[str] = []
    result = weighed.do("verify", told.append, deep=True)
    assert (result["well"], result["counts"]) == (False, {"ok": 4, "wrong_hash": 1})
    (problem,) = [line for line in told if line.startswith("PROBLEM")]
    assert f"{QWEN}/model.safetensors: its sha256 is " in problem


def test_without_a_token_the_gated_ones_alone_are_missing(weighed: Weighed) -> None:
    told: list[str] = []
    result = weighed.do(on_line=told.append)
    assert not result["well"]
    assert result["counts"] == {"failed": 1, "ok": 3}
    assert any("needs a token, and no token was given: set HF_TOKEN" in line for line in told)


def test_a_token_is_seen_by_nobody(weighed: Weighed, tmp_path: Path) -> None:
    """Not in a process list, a container's facts, a log or an image, here or there."""
    token, host = weighed.hub.token, weighed.bare.host
    weighed.settings = with_token_file(weighed.settings, tmp_path / "token", token)
    weighed.slow()
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        processes = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
        containers = "docker inspect $(docker ps --all --quiet)"
        program = f"{{ {processes}; {containers}; }} 2>/dev/null || true"
        while not over.is_set():
            seen.append(host.console("sh", "-c", program).decode(errors="replace"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert weighed.do()["well"]
    finally:
        over.set()
        looking.join()
    assert any("checkpoints.py" in text for text in seen)
    assert not [text for text in seen if token in text]
    assert weighed.hub.gated  # it was needed
    assert {a.token for a in weighed.hub.asked} == {token, None}
    there = host.console("sh", "-c", f"grep -rl '{token}' /data /home /tmp 2>/dev/null || true")
    assert there == b""
    assert token not in host.docker("history", "--no-trunc", IMAGE)
    here = [p for p in weighed.settings.home.rglob("*") if p.is_file()]
    assert not [p for p in here if token.encode() in p.read_bytes()]
    assert weighed.tokens == []


def test_a_file_that_rotted_is_repaired(weighed: Weighed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    weighed.do()
    file = weighed.cached(QWEN, "model.safetensors")
    file.write_bytes(b"\1" + BIG[1:])
    assert weighed.do(deep=True)["counts"] == {"ok": 5}
    assert weighed.cached(QWEN, "model.safetensors").read_bytes() == BIG


def test_a_token_file_that_others_can_read_is_refused(weighed: Weighed, tmp_path: Path) -> None:
    weighed.settings = with_token_file(weighed.settings, tmp_path / "t", "hf_x", mode=0o644)
    with pytest.raises(InputError, match=r"Other users can read .* \(mode 644\)") as e:
        weighed.do()
    assert f"chmod 600 {tmp_path}/t" in str(e.value)
    (tmp_path / "t").unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        weighed.do()


def test_it_outlives_a_cut_link_and_who_asked_and_is_found_again(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    weighed.hub.goes_on.clear()

    def interrupt(line: str) -> None:
        if "are to be downloaded" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weighed.do(on_line=interrupt)
    assert weighed.containers() == [f"cosmos-{checkpoints_id(NAME, '/data/cosmos')}"]
    assert weighed.tokens == []
    told: list[str] = []
    cut = threading.Timer(0.5, weighed.bare.host.cut)
    mend = threading.Timer(2, weighed.bare.host.mend)
    cut.start(), mend.start()
    with pytest.raises(StateError, match=r"Another `checkpoints.py download` runs on gpu1") as e:
        weighed.do("verify")
    assert (e.value.exit_code, "end it with --stop" in str(e.value)) == (3, True)

    def tell(line: str) -> None:
        told.append(line)
        weighed.hub.goes_on.set()

    result = weighed.do(on_line=tell)
    assert told[0].startswith("A download has been running on the host for ")
    assert (result["action"], result["well"]) == ("download", True)
    assert [x for x in told if "are to be downloaded" in x]
    assert weighed.containers() == []


def test_two_who_ask_at_the_same_time_start_one(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    weighed.hub.cuts["large.pt"] = [100_000]
    results: list[dict[str, Any]] = []
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            results.append(weighed.do())
        except BackendError as e:  # who comes second may find the result collected
            failures.append(e)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0]["well"], failures
    assert len([a for a in weighed.hub.downloads("model.safetensors") if not a.token]) <= 2
    assert weighed.containers() == []
    assert weighed.tokens == []


def test_it_is_no_stray_container_and_can_be_stopped(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    with pytest.raises(StateError, match="No verify or download"):
        stop_checkpoints(weighed.settings, NAME)
    weighed.hub.goes_on.clear()
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            weighed.do()
        except BackendError as e:
            raised.append(e)

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: bool(weighed.hub.downloads("large.pt")), "the download")
    with Catalog.open(weighed.settings.catalog_url) as catalog:
        told = status(catalog, weighed.settings)
        assert (told["stray"], told["left"]) == ([], [])
        assert kill_stray(catalog, weighed.settings) == []
    assert stop_checkpoints(weighed.settings, NAME)["stopped"]
    asking.join()
    assert len(raised) == 1
    assert weighed.containers() == []
    weighed.hub.goes_on.set()
    assert weighed.do()["well"]


def test_another_user_of_the_same_docker_is_left_alone(
    weighed: Weighed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", weighed.hub.token)
    remote = weighed.settings.remote.model_copy(update={"remote_dir": "/data/other"})
    other = weighed.settings.model_copy(update={"remote": remote})
    weighed.hub.goes_on.clear()
    asking = threading.Thread(target=weighed.do)
    asking.start()
    until(lambda: bool(weighed.hub.downloads("large.pt")), "the download")
    with pytest.raises(StateError, match="No verify or download"):
        stop_checkpoints(other, NAME)
    assert checkpoints(other, NAME, "verify")["counts"] == {"missing": 3}
    assert len(weighed.containers()) == 1
    weighed.hub.goes_on.set()
    asking.join()
    assert weighed.containers() == []


def test_what_the_program_refuses_is_told(weighed: Weighed) -> None:
    with pytest.raises(InputError, match=r"No checkpoint is needed for moon\. Known: nano, super"):
        weighed.do("verify", only=["moon"])
    docker = weighed.settings.docker.model_copy(update={"python": "/no/python"})
    weighed.settings = weighed.settings.model_copy(update={"docker": docker})
    with pytest.raises(BackendError, match=r"ended with exit code 127"):
        weighed.do("verify")


def test_a_host_without_the_image_says_what_brings_it(weighed: Weighed) -> None:
    weighed.bare.host.docker("rmi", IMAGE)
    with pytest.raises(BackendError, match=r"is not on gpu1\. .*`cosmos host setup`"):
        weighed.do("verify")
    assert weighed.containers() == []
