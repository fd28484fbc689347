"""What a clean removes on a real host with a real Docker engine, and what it never does."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from cosmos_pipelines.backends.registry import host_backend
from cosmos_pipelines.backends.tar_bundle import SCRIPTS, scripts_bundle
from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.operate.clean import Cleaned, clean
from cosmos_pipelines.operations import Order
from cosmos_pipelines.remote.files import transfer
from cosmos_pipelines.runs.execute import execute_runs
from tests.backends.ssh.test_backend import wait_for_frame
from tests.support.gpu_host import RemoteProject
from tests.support.waiting import LONG_S

MONTH = 30 * 24 * 3600
_ids = itertools.count(1)


def cleaned(remote: RemoteProject, older_s: float = 0, *, dry_run: bool = False) -> Cleaned:
    done = clean(remote.catalog, remote.settings, older_s, dry_run=dry_run)
    assert done.problems == []
    return done


def there(done: Cleaned) -> dict[str, set[str]]:
    """What a clean removed on the host, by kind."""
    found: dict[str, set[str]] = {}
    for one in done.removed:
        if one.place == "gpu1":
            found.setdefault(one.kind, set()).add(one.id)
    return found


def cas(remote: RemoteProject) -> set[str]:
    return {p.name for p in (remote.host.root / "data/cosmos/cas").iterdir() if p.is_file()}


def completed_while_away(remote: RemoteProject) -> str:
    """A run that has completed, whose container and folder are on the host."""
    (run,) = remote.execute(remote.pending("fail"))
    with remote.catalog.write() as tx:
        outputs = '{"video": "x"}'
        tx.connection.exec_driver_sql(
            f"UPDATE runs SET status = 'completed', error_kind = NULL, outputs = '{outputs}'"
        )
    assert remote.containers() == [f"cosmos-{run.id}"]
    assert remote.left_on_host() == [run.id]
    return run.id


def test_the_container_and_folder_of_a_run_that_completed_while_the_host_was_away_go(
    remote: RemoteProject,
) -> None:
    order = completed_while_away(remote)
    assert there(cleaned(remote, MONTH)) == {}
    assert there(cleaned(remote, dry_run=True))["ended orders"] == {order}
    assert remote.containers() == [f"cosmos-{order}"]
    found = there(cleaned(remote))
    assert found["ended orders"] == {order}
    assert len(found["inputs"]) == 3
    assert (remote.containers(), remote.left_on_host(), cas(remote)) == ([], [], set())
    assert there(cleaned(remote)) == {}


def test_an_ended_container_without_its_folder_goes_too(remote: RemoteProject) -> None:
    order = completed_while_away(remote)
    remote.host.remove(f"/data/cosmos/runs/{order}")
    assert there(cleaned(remote))["ended orders"] == {order}
    assert remote.containers() == []


def test_a_directory_below_the_login_users_home_is_cleaned_too(remote: RemoteProject) -> None:
    below = remote.settings.remote.model_copy(update={"remote_dir": "cosmos"})
    settings = remote.settings.model_copy(update={"remote": below})
    with closing(host_backend(settings)) as backend:
        execute_runs([remote.pending("works").id], catalog=remote.catalog, settings=settings,
                     backend=backend)  # fmt: skip
    remote.host.console("mkdir", "-p", "/home/ops/cosmos/runs/.x.part")
    remote.host.console("chown", "ops:", "/home/ops/cosmos/runs/.x.part")
    remote.host.console("touch", "-d", "@0", "/home/ops/cosmos/runs/.x.part")
    found = there(clean(remote.catalog, settings, 0))
    assert len(found.pop("inputs")) == 3
    assert found == {"unfinished": {".x.part"}}


def test_a_run_in_work_loses_nothing_to_a_clean_also_if_its_process_died(
    remote: RemoteProject,
) -> None:
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    assert there(cleaned(remote)) == {}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert there(cleaned(remote)) == {}
    remote.go_on()
    (done,) = remote.execute(run)
    assert (done.status, done.attempt) == ("completed", 1)


def test_the_result_of_an_unreachable_run_stays_until_it_is_collected(
    remote: RemoteProject,
) -> None:
    (run,) = remote.execute(remote.pending("fail"))
    with remote.catalog.write() as tx:
        tx.connection.exec_driver_sql("UPDATE runs SET error_kind = 'unreachable'")
    assert "ended orders" not in there(cleaned(remote))
    assert remote.left_on_host() == [run.id]


def test_containers_and_folders_of_others_stay(remote: RemoteProject) -> None:
    """A container that is no order, another project's order, an order of another catalog."""
    image = remote.host.image("preview")
    run = remote.pending("fail")
    remote.host.docker("run", "--pull=never", "--name=other", image, "true")
    labels = [f"--label=cosmos.order_id={run.id}", f"--label=cosmos.run_id={run.id}"]
    remote.host.docker("run", "--pull=never", f"--name=cosmos-{run.id}", *labels,
                       "--label=cosmos.project=0123456789abcdef", image, "true")  # fmt: skip
    stranger = Order(
        id=f"rs_{'f' * 32}", run_ids=(f"rs_{'f' * 32}",), argv=("true",), engine="none",
        model_type="transfer", inputs={}, expected=(), gpus=0,
    )  # fmt: skip
    b"".join(remote.backend.follow(remote.backend.launch(stranger)))
    remote.catalog.cancel_pending(run.id)
    assert "ended orders" not in there(cleaned(remote))
    assert sorted(remote.containers()) == sorted(
        ["other", f"cosmos-{run.id}", f"cosmos-{stranger.id}"]
    )
    assert remote.left_on_host() == [stranger.id]


def test_nothing_is_removed_through_a_link_on_the_host(remote: RemoteProject) -> None:
    completed_while_away(remote)
    root = remote.host.root / "data"
    (root / "kept").mkdir()
    (root / "kept" / "file").write_text("not ours")
    (root / "cosmos/cas" / ("1" * 64)).symlink_to("/data/kept/file")
    (root / "cosmos/runs" / f"rs_{'1' * 32}").symlink_to("/data/kept")
    (root / "cosmos/runs" / ".x.part").symlink_to("/data/kept")
    (root / "cosmos/scripts" / ("1" * 16)).symlink_to("/data/kept")
    (root / "cosmos" / "mine").write_text("the user's")
    cleaned(remote)
    assert (root / "kept/file").read_text() == "not ours"
    assert (root / "cosmos/mine").exists()
    assert (root / "cosmos/cas" / ("1" * 64)).is_symlink()


def test_scripts_of_other_versions_go_when_no_order_runs_and_the_present_ones_stay(
    remote: RemoteProject,
) -> None:
    remote.execute(remote.pending("works"))
    present = scripts_bundle(SCRIPTS).name
    places = remote.host.root / "data/cosmos/scripts"
    for name, days in (("a" * 16, 3), ("b" * 16, 0)):
        (places / name).mkdir()
        (places / name / "run.sh").write_text("exit 0")
        os.utime(places / name, (0, 0) if days else None)
    remote.host.console("chown", "-R", "ops:", "/data/cosmos/scripts")
    os.utime(places / present, (0, 0))
    run = remote.held()
    process = remote.in_another_process(run)
    wait_for_frame(process, 1)
    assert "scripts" not in there(cleaned(remote))
    remote.go_on()
    process.communicate(timeout=LONG_S)
    assert there(cleaned(remote))["scripts"] == {"a" * 16}
    assert {p.name for p in places.iterdir()} == {present, "b" * 16}


def test_what_the_login_user_may_not_remove_is_told(remote: RemoteProject) -> None:
    remote.execute(remote.pending("works"))
    foreign = remote.host.root / "data/cosmos/scripts" / ("a" * 16)
    foreign.mkdir()
    (foreign / "run.sh").write_text("root's")
    os.utime(foreign, (0, 0))
    done = clean(remote.catalog, remote.settings, 0)
    assert done.problems == [f"On gpu1: {foreign.name} cannot be removed there."]
    assert len(there(done)["inputs"]) == 3


def test_what_an_interrupted_upload_left_goes_after_a_day(remote: RemoteProject) -> None:
    remote.execute(remote.pending("works"))
    root = remote.host.root / "data/cosmos"
    made = {root / "cas" / f"{'2' * 64}.part", root / "runs" / ".rs_1.x.part",
            root / "scripts" / ".abc.x.part", root / "cas/.incoming/token"}  # fmt: skip
    for path in made:
        path.parent.mkdir(exist_ok=True)
        path.touch() if "2222" in path.name else path.mkdir()
    assert "unfinished" not in there(cleaned(remote))
    for path in made:
        os.utime(path, (0, 0))
    assert there(cleaned(remote))["unfinished"] == {path.name for path in made}
    assert not any(path.exists() for path in made)


@pytest.mark.parametrize("what", ["inputs", "scripts"])
def test_a_clean_between_the_upload_and_the_start_of_a_run_costs_another_upload(
    remote: RemoteProject, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    remote.execute(remote.pending("first"))
    put: Callable[..., Any] = transfer.put_files
    cleans = iter([True])
    sent: list[int] = []

    def cleaned_after(*arguments: Any, **named: Any) -> Any:
        done = put(*arguments, **named)
        sent.append(done.files)
        if next(cleans, False):
            if what == "inputs":
                assert len(there(cleaned(remote))["inputs"]) == 3
            else:
                remote.host.console(
                    "rm", "-rf", f"/data/cosmos/scripts/{scripts_bundle(SCRIPTS).name}"
                )
        return done

    monkeypatch.setattr(transfer, "put_files", cleaned_after)
    (run,) = remote.execute(remote.pending("second"))
    assert (run.status, run.attempt) == ("completed", 1)
    assert sent == ([0, 3] if what == "inputs" else [0, 0])
    assert remote.containers() == []


def test_a_host_that_is_away_is_told_and_the_rest_is_cleaned(remote: RemoteProject) -> None:
    remote.execute(remote.pending("works"))
    kept = remote.settings.work / "cas" / ("0" * 64)
    kept.parent.mkdir(parents=True)
    kept.write_text("x")
    remote.host.cut()
    remote.backend.close()
    away = remote.settings.remote.model_copy(update={"wait_s": 0})
    settings = remote.settings.model_copy(update={"remote": away})
    try:
        done = clean(remote.catalog, settings, 0)
    finally:
        remote.host.mend()
    assert [one.id for one in done.removed] == ["0" * 64]
    assert len(done.problems) == 1
    assert "gpu1" in done.problems[0]


def test_a_catalog_that_knows_none_of_the_runs_removes_no_order(
    remote: RemoteProject, tmp_path: Any
) -> None:
    order = completed_while_away(remote)
    with Catalog.open(f"sqlite:///{tmp_path}/other.db") as other:
        done = clean(other, remote.settings, 0)
    assert "ended orders" not in there(done)
    assert remote.left_on_host() == [order]
