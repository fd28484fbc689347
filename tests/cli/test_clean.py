"""`cosmos clean` as people type it."""

from __future__ import annotations

import json

from tests.cli.conftest import Cosmos
from tests.support.project import Project


def test_a_clean_says_what_and_how_much_and_a_dry_run_removes_nothing(
    cosmos: Cosmos, project: Project
) -> None:
    kept = project.backend.cas / ("0" * 64)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(bytes(1234))
    assert cosmos("clean").out == ""
    said = cosmos("clean", "--older", "0s", "--dry-run")
    assert (said.code, said.out.split("\n")[1].split()) == (
        0, ["inputs", "this", "machine", "1", "1,234"],
    )  # fmt: skip
    assert "Nothing was done" in said.err
    assert kept.exists()
    listed = cosmos("clean", "--older", "0s", "--dry-run", "--verbose")
    assert kept.name in listed.out
    done = cosmos("clean", "--older", "0s", "--json")
    assert json.loads(done.out)["kinds"] == [
        {"kind": "inputs", "place": "this machine", "number": 1, "bytes": 1234}
    ]
    assert not kept.exists()


def test_an_age_that_is_none_is_refused(cosmos: Cosmos) -> None:
    for age in ("30", "-1d", "d", "month"):
        said = cosmos("clean", f"--older={age}")
        assert said.code == 2
        assert "is no age like 12h, 30d or 8w" in said.error
