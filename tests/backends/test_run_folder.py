"""What stands in a run folder may be anybody's: it is read as what it should be, or one error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos_pipelines.backends import run_folder
from cosmos_pipelines.backends.carriers.docker import DockerCarrier
from cosmos_pipelines.backends.local import LocalBackend
from cosmos_pipelines.backends.ssh.folder import Answer
from cosmos_pipelines.errors import BackendError, CosmosError
from cosmos_pipelines.identity import Identity
from cosmos_pipelines.operations.base import Order
from cosmos_pipelines.settings_tables import Docker
from tests.backends.test_local import finish, order, script

RUN = "rs_" + "1" * 32
HASH = "a" * 64


def result(**more: Any) -> str:
    facts = {"exit_code": 0, "outputs": {"rs.mp4": {"sha256": HASH, "size": 3}}, "refused": 0}
    return json.dumps(facts | more)


def finished(**more: Any) -> str:
    told = {"outputs": {"rs.mp4": {"sha256": HASH, "size": 3}}, "failed": {}, "samples": {}}
    return json.dumps(told | more)


def test_the_records_of_a_good_end_are_its_outcome() -> None:
    samples = {RUN: {"seconds": 3.5, "load_s": 1, "extra": [1]}}
    failed = {RUN: ["blocked", "A word."]}
    own = finished(samples=samples, failed=failed)
    outcome = run_folder.read_outcome("0\n", result(), None, own)
    assert outcome.exit_code == 0
    assert outcome.outputs == {"rs.mp4": HASH}
    assert outcome.sizes == {"rs.mp4": 3}
    assert outcome.finished == {"rs.mp4"}
    assert outcome.samples == samples
    assert outcome.failed[RUN].kind == "blocked"
    gone = run_folder.read_outcome(None, None, "timeout", own)
    assert (gone.exit_code, gone.stopped, gone.outputs) == (None, "timeout", {"rs.mp4": HASH})


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("exit_code", ("zero", result(), None, None)),
        ("exit_code", ("", result(), None, None)),
        ("exit_code", ("9" * 5000, result(), None, None)),
        ("exit_code", ("٣", result(), None, None)),
        ("result.json", ("0", "[" * 100_000, None, None)),
        ("result.json", ("0", "[]", None, None)),
        ("result.json", ("0", "", None, None)),
        ("result.json", ("0", result(outputs=3), None, None)),
        ("result.json", ("0", result(outputs={"a": {"sha256": "x"}}), None, None)),
        ("result.json", ("0", result(outputs={"a": {"sha256": 3}}), None, None)),
        ("result.json", ("0", result(outputs={"a": HASH}), None, None)),
        ("result.json", ("0", result(outputs={"../a": {"sha256": HASH}}), None, None)),
        ("result.json", ("0", result(outputs={"/etc/a": {"sha256": HASH}}), None, None)),
        ("result.json", ("0", result(outputs={"a\nb": {"sha256": HASH}}), None, None)),
        ("result.json", ("0", result(outputs={"x" * 256: {"sha256": HASH}}), None, None)),
        ("result.json", ("0", result(outputs={"\ud800": {"sha256": HASH}}), None, None)),
        ("result.json", ("0", result(outputs={"a": {"sha256": HASH, "size": -1}}), None, None)),
        ("result.json", ("0", result(outputs={"a": {"sha256": HASH, "size": "1"}}), None, None)),
        ("result.json", ("0", " " * (run_folder.MOST_RECORD + 1), None, None)),
        ("finished.json", ("0", result(), None, "[]," * (run_folder.MOST_RECORD // 3 + 1))),
        ("stop", ("0", result(), "because", None)),
        ("finished.json", ("0", result(), None, "{")),
        ("finished.json", (None, None, None, finished(failed={RUN: ["nonsense", "x"]}))),
        ("finished.json", (None, None, None, finished(failed={RUN: ["blocked"]}))),
        ("finished.json", (None, None, None, finished(failed=[]))),
        ("finished.json", (None, None, None, finished(samples={RUN: {"seconds": "x"}}))),
        ("finished.json", (None, None, None, finished(samples={RUN: {"load_s": 1}}))),
        ("finished.json", (None, None, None, finished(samples={RUN: {"seconds": -1}}))),
        ("finished.json", (None, None, None, '{"samples": {"r": {"seconds": NaN}}}')),
        ("finished.json", (None, None, None, finished(samples={RUN: []}))),
    ],
)  # fmt: skip
def test_records_of_another_shape_are_one_error_that_names_the_file(
    name: str, texts: tuple[str | None, ...]
) -> None:
    with pytest.raises(BackendError) as e:
        run_folder.read_outcome(*texts)
    said = str(e.value)
    assert f"The run's {name} cannot be read" in said
    assert len(said) < 700
    assert "\n" not in said


@pytest.mark.parametrize(
    "text", ["", "1", "1 2", "one two three", "1 2 3 4", "-1 2 b", "1 -2 b", f"{'9' * 5000} 1 b",
             "0 5 b", "٣ 5 b", "1.5 2 b", "1 2 " + "b" * 10_000, "1 2 b 3.", "1 2 b 3.4 5"],
)  # fmt: skip
def test_a_pid_file_that_says_nothing_is_of_no_process(text: str) -> None:
    assert run_folder.read_start(text) == Identity(0, 0, "", "")


def test_a_pid_file_says_process_start_boot_and_namespaces() -> None:
    started = run_folder.read_start("17 2345 0b-0t 4026531836.4026531834\n")
    assert started == Identity(17, 2345, "0b-0t", "4026531836.4026531834")


def test_a_pid_file_of_an_earlier_version_says_process_start_and_boot() -> None:
    assert run_folder.read_start("17 2345 0b-0t\n") == Identity(17, 2345, "0b-0t", "")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20), st.text(max_size=60))
def test_any_records_are_an_outcome_or_one_error(a: str, b: str, c: str, d: str) -> None:
    try:
        run_folder.read_outcome(a, b, c, d)
    except BackendError as e:
        assert "cannot be read" in str(e)
    run_folder.read_start(a)


# --- order.json -----------------------------------------------------------------------------------


def told(**more: Any) -> str:
    work = order("true", id=RUN)
    return json.dumps({**json.loads(work.model_dump_json()), **more})


EXPECTED = {"run_id": RUN, "name": "a.mp4", "kind": "video"}
VIDEO = {"path": "/a", "sha256": HASH, "size": 1, "width": 1, "height": 1, "frames": 1, "fps": "24"}


def test_an_order_comes_back_as_it_was_written() -> None:
    work = order("sh", "-c", "true", id=RUN, documents={"a.json": "{}"})
    assert run_folder.read_order(work.model_dump_json(), RUN) == work


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "[" * 100_000, "{}", " " * (run_folder.MOST + 1),
     told(id="rs_other"), told(run_ids=3), told(inputs=[]), told(timeout_s="soon"),
     told(expected=[{**EXPECTED, "name": "../../x.mp4"}]),
     told(expected=[{**EXPECTED, "name": "/etc/passwd"}]),
     told(expected=[{**EXPECTED, "run_id": "rs_other"}]),
     told(expected=[EXPECTED, EXPECTED]),
     told(documents={"../x": "y"}), told(documents={"pid": "y"}),
     told(inputs={"../../x": VIDEO}), told(inputs={"x": {**VIDEO, "sha256": "../x"}}),
     told(surprise=1)],
    ids=lambda x: x[:10],
)  # fmt: skip
def test_an_order_json_of_another_shape_is_one_error(text: str) -> None:
    with pytest.raises(BackendError) as e:
        run_folder.read_order(text, RUN)
    assert "The run's order.json cannot be read" in str(e.value)
    assert len(str(e.value)) < 900


# --- the folders of this machine ------------------------------------------------------------------


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "host", grace_s=5)


def test_one_spoilt_folder_hides_no_other(backend: LocalBackend) -> None:
    spoilt = finish(backend, script("true"))
    Path(spoilt.run_dir, "pid").unlink()
    Path(spoilt.run_dir, "pid").write_bytes(b"\xff\xfe garbage")
    running = backend.launch(script("sleep 60"))
    try:
        assert backend.active() == [running.order_id]
        found = backend.find(spoilt.order_id)
        assert found is not None
        assert not backend.alive(found)
    finally:
        backend.cancel(running, 0)


@pytest.mark.parametrize("name", ["order.json", "result.json", "exit_code", "finished.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"3", b"\0"])
def test_spoilt_records_of_a_run_are_errors_of_ours(
    backend: LocalBackend, name: str, content: bytes
) -> None:
    handle = finish(backend, script("true"))
    Path(handle.run_dir, name).unlink(missing_ok=True)
    Path(handle.run_dir, name).write_bytes(content)
    for ask in (backend.order_of, backend.outcome, backend.finished):
        try:
            ask(handle)
        except CosmosError as e:
            assert name in str(e)
    backend.discard(handle.order_id)


def test_records_of_gigabytes_are_not_read(backend: LocalBackend) -> None:
    handle = finish(backend, script("true"))
    for name in ("order.json", "result.json"):
        with Path(handle.run_dir, name).open("wb") as f:
            f.truncate(3 << 30)
    with pytest.raises(BackendError, match=r"result\.json cannot be read"):
        backend.outcome(handle)
    with pytest.raises(BackendError, match=r"order\.json cannot be read"):
        backend.order_of(handle)
    assert all(len(text) <= 256 << 10 for text in backend.examine(handle).values())


# --- what a host answers --------------------------------------------------------------------------

DOCKER = DockerCarrier(Docker())

CONTAINER = {
    "Id": "f" * 64, "Name": "/cosmos-x", "Created": "2026-01-01T00:00:00Z", "Image": "sha256:1",
    "Config": {"Image": "i", "Labels": {}}, "State": {"Status": "running", "Pid": 3},
}  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [
        {"carried": "[]"},
        {"carried": "{}"},
        {"carried": "[" * 100_000},
        {"carried": "[3]"},
        {"carried": json.dumps([CONTAINER, CONTAINER])},
        {"carried": json.dumps([{**CONTAINER, "Id": 3}])},
        {"carried": json.dumps([{**CONTAINER, "Config": {"Image": "i", "Labels": [1]}}])},
        {"carried": json.dumps([{**CONTAINER, "Config": {"Image": "i", "Labels": {"a": 1}}}])},
        {"carried": json.dumps([{**CONTAINER, "State": {"Status": 3}}])},
        {"carried": json.dumps([{**CONTAINER, "Created": "yesterday"}])},
        {"no_carried": "Error: No such container: x", "size": "many"},
        {"no_carried": "Error: No such container: x", "uptime": "x", "ticks": "1", "now": "1"},
        {"no_carried": "Error: No such container: x", "uptime": "1"},
        {"no_carried": "Error: No such container: x", "uptime": "nan", "ticks": "1", "now": "1"},
        {"no_carried": "Error: No such container: x", "uptime": "1", "ticks": "x", "now": "1"},
    ],
    ids=lambda x: str(x)[:40],
)
def test_an_answer_of_another_shape_is_one_error(parts: dict[str, str]) -> None:
    with pytest.raises(BackendError):
        Answer("gpu1", DOCKER, parts).seen("rs_1")


def test_a_part_that_did_not_come_is_one_error() -> None:
    with pytest.raises(BackendError, match="gpu1 did not answer"):
        Answer("gpu1", DOCKER, {}).part("root")
    assert Answer("gpu1", DOCKER, {"root": "/home"}).part("root") == "/home"


def test_an_order_is_the_same_after_it_was_read_twice() -> None:
    work = order("a", id=RUN)
    assert Order.model_validate_json(work.model_dump_json()) == work
