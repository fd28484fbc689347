"""Where a run for any place goes, and why it cannot go elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.runs.known_places import (
    KNOWN_S,
    KnownGpu,
    PlaceState,
    known_places,
    place_file,
    remember,
)
from cosmos_pipelines.runs.places_for import Needs, places_for
from cosmos_pipelines.settings import Settings
from tests.support.project import settings_in

NOW = datetime(2026, 1, 1, tzinfo=UTC)
H100 = KnownGpu(0, "H100", 81920)
TEXT = """
[hosts.own]
host = "a"
[hosts.rented]
host = "b"
price_per_gpu_hour = 3
labels = ["h100"]
[hosts.dear]
host = "c"
price_per_gpu_hour = 4
labels = ["h100"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "home", TEXT)


def up(name: str, *gpus: KnownGpu, **engines: str | None) -> PlaceState:
    return PlaceState(name, True, gpus or (H100,), engines=engines or {"m": None}, looked_at=NOW)


def away(name: str, seconds: float, **engines: str | None) -> PlaceState:
    state = up(name, **engines)
    since = NOW - timedelta(seconds=seconds)
    return replace(state, up=False, away_since=since, said="it does not answer.")


ALL = {name: up(name) for name in ("own", "rented", "dear")} | {"local": up("local", m="no GPU")}


def test_the_cheapest_place_comes_first_then_the_one_that_has_the_scene(settings: Settings) -> None:
    needs = Needs("m")
    assert places_for(settings, needs, ALL).places == ("own", "rented", "dear")
    assert places_for(settings, needs, ALL, with_scene={"dear"}).places[0] == "own"
    free = {**ALL, "local": up("local")}
    assert places_for(settings, needs, free).places[:2] == ("local", "own")
    assert places_for(settings, needs, free, with_scene={"own"}).places[:2] == ("own", "local")


def test_a_place_that_cannot_take_a_run_is_refused_with_the_reason(settings: Settings) -> None:
    known = {
        **ALL,
        "own": up("own", KnownGpu(0, "T4", 16384)),
        "rented": up("rented", m="it is not set up there"),
    }
    choice = places_for(settings, Needs("m", memory_mib=75776), known, paused={"dear"})
    assert choice.places == ()
    assert choice.refused == {
        "local": "cannot run m: no GPU",
        "own": "has GPUs of 16 GiB, and 74 GiB are needed",
        "rented": "cannot run m: it is not set up there",
        "dear": "is paused",
    }
    assert choice.said.startswith("No place can take it now: local cannot run m: no GPU; own has")


@pytest.mark.parametrize(
    ("state", "gpus", "why"),
    [
        (up("own"), 2, "has 1 GPU, and 2 are needed"),
        (replace(up("own"), gpus=()), 1, "has no GPU, and 1 are needed"),
        (PlaceState("own"), 1, "has not answered yet"),
        (up("own", other=None), 1, "has not been asked about m yet"),
        (up("own", KnownGpu(0, "x", 90000), KnownGpu(1, "y", None)), 2, "has GPUs of 88 GiB"),
    ],
    ids=["too few", "none", "unknown", "other engine", "unknown memory"],
)
def test_what_is_not_known_is_not_taken_for_enough(
    settings: Settings, state: PlaceState, gpus: int, why: str
) -> None:
    choice = places_for(settings, Needs("m", gpus=gpus, memory_mib=1024), {"own": state})
    assert choice.refused["own"].startswith(why)


def test_gpus_that_cannot_be_seen_from_a_login_node_are_not_missed(settings: Settings) -> None:
    cluster = replace(up("own"), gpus=(), sees_gpus=False)
    assert places_for(settings, Needs("m", gpus=8), {"own": cluster}).places == ("own",)


def test_what_needs_no_gpu_goes_where_none_is(settings: Settings) -> None:
    known = {"local": replace(up("local"), gpus=())}
    assert places_for(settings, Needs("m", gpus=0), known).places == ("local",)


def test_only_places_with_all_labels_take_runs_for_any_place(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", TEXT + '[queue]\nlabels = ["h100"]\n')
    choice = places_for(settings, Needs("m"), ALL)
    assert choice.places == ("rented", "dear")
    assert choice.refused["own"] == "has no label h100 ([queue] labels)"
    assert places_for(settings, Needs("m", "own"), ALL).places == ("own",)  # it was named


def test_a_run_that_names_its_place_waits_for_it_and_says_so(settings: Settings) -> None:
    known = {**ALL, "rented": away("rented", 300)}
    choice = places_for(settings, Needs("m", "rented"), known, now=NOW)
    assert choice.places == ()
    assert choice.said == (
        "It waits for rented, which has been away for 5 min: it does not answer."
    )
    assert places_for(settings, Needs("m", "own"), {}).places == ("own",)  # not looked at yet
    gone = places_for(settings, Needs("m", "sold"), known)
    assert gone.said == "It waits for sold, which is not in cosmos.toml any more."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        pytest.param(0, "is away", id="just now"),
        pytest.param(0.4, "is away", id="less than a second"),
        pytest.param(1, "has been away for 1 s", id="a second"),
    ],
)
def test_a_place_that_has_just_gone_is_not_said_to_be_away_for_0_seconds(
    settings: Settings, seconds: float, said: str
) -> None:
    known = {**ALL, "rented": away("rented", seconds)}
    choice = places_for(settings, Needs("m", "rented"), known, now=NOW)
    assert choice.said == f"It waits for rented, which {said}: it does not answer."


def test_a_run_for_any_place_goes_past_one_that_is_away(settings: Settings) -> None:
    known = {**ALL, "own": away("own", 1)}
    assert places_for(settings, Needs("m"), known, now=NOW).places == ("rented", "dear")


states = st.builds(
    PlaceState,
    st.just("x"),
    st.sampled_from([None, True, False]),
    st.lists(st.builds(KnownGpu, st.integers(0, 3), st.just("g"), st.sampled_from([None, 0, 9]))),
    st.booleans(),
    st.dictionaries(st.sampled_from(["m", "n"]), st.sampled_from([None, "no"])),
    st.none(),
    st.sampled_from([None, NOW]),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_in(tmp_path_factory.mktemp("places") / "home", TEXT)


@given(
    known=st.dictionaries(st.sampled_from(["local", "own", "rented", "dear"]), states),
    backend=st.sampled_from(["auto", "own", "sold"]),
    gpus=st.integers(0, 2),
    paused=st.sets(st.sampled_from(["own", "dear"])),
)
def test_every_place_is_either_able_or_refused_with_a_reason(
    shared: Settings, known: dict[str, PlaceState], backend: str, gpus: int, paused: set[str]
) -> None:
    known = {name: replace(state, name=name) for name, state in known.items()}
    choice = places_for(shared, Needs("m", backend, gpus, 5), known, paused=paused, now=NOW)
    wanted = set(shared.places) if backend == "auto" else {backend}
    assert {*choice.places} | choice.refused.keys() == wanted
    assert not {*choice.places} & (choice.refused.keys() | paused)
    assert all(choice.refused.values())
    assert bool(choice.said) != bool(choice.places)


def test_what_was_seen_is_read_again_and_another_host_is_not_taken_for_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "home", TEXT)
    now = datetime.now(UTC).replace(microsecond=0)
    state = replace(away("own", 0, m="no", n=None), looked_at=now, away_since=now)
    remember(settings, settings.places["own"], state)
    assert known_places(settings)["own"] == state
    late = known_places(settings, now + timedelta(seconds=KNOWN_S + 1))["own"]
    assert (late.up, late.engines) == (None, {"m": "no", "n": None})
    changed = settings_in(tmp_path / "home", TEXT.replace('host = "a"', 'host = "z"'))
    assert known_places(changed)["own"] == PlaceState("own")


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff", '{"identity": 3}', "x" * 2_000_000])
def test_a_damaged_file_says_nothing(settings: Settings, text: str) -> None:
    file = place_file(settings, "own")
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="latin-1")
    assert known_places(settings)["own"] == PlaceState("own")
