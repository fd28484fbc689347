"""Checks are made in their order, and say what to do."""

from __future__ import annotations

from pathlib import Path

from cosmos_pipelines.backends.checks import Check, Finding, fail, go_through, ok, warn
from cosmos_pipelines.doctor.here import checks_here, room, writable
from cosmos_pipelines.errors import StateError
from tests.support.project import make_project


def names(checks: list[Check]) -> list[tuple[str, str]]:
    """Name and result of each."""
    return [(checked.name, checked.result) for checked in go_through(checks)]


def unwanted() -> Finding:
    """A look that must not be made."""
    raise AssertionError("its prerequisite has failed")


def test_a_check_is_skipped_with_the_reason_where_its_prerequisite_failed() -> None:
    found = list(
        go_through(
            [
                Check("key", lambda: ok("there")),
                Check("login", lambda: fail("refused", "ssh-copy-id"), ("key",)),
                Check("docker", unwanted, ("login",)),
                Check("image", unwanted, ("docker",)),
                Check("disk", lambda: ok("much")),
            ]
        )
    )
    assert [c.result for c in found] == ["ok", "fail", "skipped", "skipped", "ok"]
    assert found[1].do == "ssh-copy-id"
    assert [c.found for c in found[2:4]] == ["not checked: login failed"] * 2


def test_a_warning_skips_nothing() -> None:
    checks = [Check("a", lambda: warn("old", "update")), Check("b", lambda: ok("fine"), ("a",))]
    assert names(checks) == [("a", "warn"), ("b", "ok")]


def test_an_error_of_ours_is_a_failure_with_its_hint() -> None:
    def look() -> Finding:
        raise StateError("It is so.", hint="Do this.")

    (checked,) = go_through([Check("a", look)])
    assert (checked.result, checked.found, checked.do) == ("fail", "It is so.", "Do this.")


def test_a_new_project_is_all_well(tmp_path: Path) -> None:
    settings = make_project(tmp_path / "home").settings
    found = list(go_through(checks_here(settings)))
    assert {c.result for c in found} <= {"ok", "warn"}
    assert [c.name for c in found] == [
        "project", "inputs", "outputs", "disk", "catalog", "preview engine", "Dagster home",
        "Dagster records",
    ]  # fmt: skip


def test_a_catalog_that_is_none_is_told_apart(tmp_path: Path) -> None:
    project = make_project(tmp_path / "home")
    project.catalog.close()
    settings = project.settings
    (settings.outputs / "cosmos.db").write_bytes(b"no database" * 1000)
    found = {c.name: c for c in go_through(checks_here(settings))}
    assert found["catalog"].result == "fail"
    assert "cosmos.db" in found["catalog"].found
    assert found["preview engine"].result == "ok"


def test_a_directory_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "inputs").write_text("a file")
    finding = writable(tmp_path / "inputs" / "videos")
    assert (finding.result, str(tmp_path / "inputs") in finding.found) == ("fail", True)
    assert finding.do


def test_nothing_is_left_by_looking(tmp_path: Path) -> None:
    assert writable(tmp_path).result == "ok"
    assert writable(tmp_path / "a" / "b").result == "ok"
    assert list(tmp_path.iterdir()) == []


def test_little_room_is_a_warning_and_hardly_any_a_failure() -> None:
    assert [room(gib, "/data", "free some").result for gib in (0.1, 2, 100)] == [
        "fail", "warn", "ok"
    ]  # fmt: skip
