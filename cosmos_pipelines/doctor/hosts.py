"""`cosmos doctor` on all GPU hosts at the same time: one that is away holds up none."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cosmos_pipelines.backends.checks import Check, Checked, fail, go_through
from cosmos_pipelines.backends.registry import carrier_of, host_backend_name, place_of
from cosmos_pipelines.engines import ENGINES
from cosmos_pipelines.settings import Settings

if TYPE_CHECKING:
    from cosmos_pipelines.doctor.host import HostChecks


def examine_hosts(
    settings: Settings, names: Sequence[str], engines: Mapping[str, str]
) -> Iterator[Checked]:
    """Make the checks of these hosts; yield a block a host, last what is wrong between hosts.

    One host's results come one by one; of several, each block when it is whole.

    Args:
        settings: of the project.
        names: places on hosts.
        engines: those of new runs, each with the ending of its checks' names.
    """
    folders: dict[str, str | None] = {}
    if len(names) == 1:
        yield from _examine(settings, names[0], engines, folders)
        return
    blocks: queue.Queue[list[Checked] | BaseException] = queue.Queue()

    def look(name: str) -> None:
        try:
            blocks.put(list(_examine(settings, name, engines, folders)))
        except BaseException as e:  # noqa: BLE001 - raised below, in the thread that asked
            blocks.put(e)

    for name in names:
        threading.Thread(target=look, args=(name,), name=f"doctor-{name}", daemon=True).start()
    for _ in names:
        block = blocks.get()
        if isinstance(block, BaseException):
            raise block
        yield from block
    yield from go_through(_shared(settings, {name: folders.get(name) for name in names}))


def _shared(settings: Settings, folders: Mapping[str, str | None]) -> list[Check]:
    """Return a failing check for each host that turned out to be another one, folder and all."""
    seen: dict[str, str] = {}
    wrong = []
    for name, folder in folders.items():
        other = seen.setdefault(folder, name) if folder else name
        if other != name:
            place, table = place_of(settings, name), place_of(settings, other).table
            found = fail(
                f"{place.table} and {table} are one host and one folder, {place.remote.remote_dir}",
                f"Give {place.table} another remote_dir in cosmos.toml, or leave it out.",
            )
            wrong.append(Check(f"folder of {name}", partial(replace, found), place="settings"))
    return wrong


def _examine(
    settings: Settings, name: str, engines: Mapping[str, str], folders: dict[str, str | None]
) -> Iterator[Checked]:
    """Make the checks of one host; note which folder its `remote_dir` is."""
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS, scripts_bundle
    from cosmos_pipelines.doctor.host import HostChecks

    place = place_of(settings, name)
    with HostChecks(
        settings.ssh_target(place),
        carrier_of(settings, name),
        place=place,
        needs_gpu=any(one in ENGINES and not ENGINES[one].simulated for one in engines),
        scripts=scripts_bundle(SCRIPTS).name,
    ) as host:
        images, others = [], []
        for engine, suffix in engines.items():
            image, *more = _of_engine(settings, host, engine, suffix)
            images.append(image)
            others += more
        writable = False
        for checked in go_through([*host.checks(images), *others]):
            writable |= checked.name == "write access" and checked.result == "ok"
            yield replace(checked, host=name)
        folders[name] = host.folder() if writable else None


def _of_engine(settings: Settings, host: HostChecks, name: str, suffix: str) -> list[Check]:
    """Return the check of an engine's image, and the checks of its set-up if it has one."""
    from cosmos_pipelines.backends.tar_bundle import SCRIPTS
    from cosmos_pipelines.doctor.engine import EngineChecks
    from cosmos_pipelines.doctor.image import ImageCheck
    from cosmos_pipelines.hosts.manifest import read_manifest

    engine = settings.engine(name) if name in ENGINES else None
    setup = engine.setup if engine else None
    own = setup.image if setup else None
    usual = host.place.name == host_backend_name(settings)
    option = "" if usual else f" --host {host.place.name}"
    set_up = f"cosmos host setup {name}{option}" if setup else None
    image = ImageCheck(host, name, own, set_up, suffix)
    if engine is None or setup is None:
        return [image.check()]
    file = SCRIPTS / setup.manifest
    checks = EngineChecks(host, image, engine, setup, lambda: read_manifest(file), option)
    return [image.check(), *checks.checks()]
