"""The soak's project: two Docker hosts of two GPUs, a Slurm cluster of two nodes, one catalog."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cosmos_pipelines.catalog.store import Catalog
from cosmos_pipelines.settings import Settings, environment_of
from tests.rig.fleet import Fleet
from tests.rig.host import Host, until
from tests.rig.slurm import running_cluster
from tests.soak.account import Cut, Program, programs_of
from tests.support.own_engine import install
from tests.support.postgres import fresh_database, running_server
from tests.support.project import settings_in

ROOT: Final = Path(__file__).resolve().parents[2]
HOSTS: Final = {"a": "gpu1", "b": "gpu2"}
CARD: Final = "{}, Simulated H100 80GB, 81559, 612, 0, 41, 92.10, 550.54.15, GPU-{}\n"

_SETTINGS: Final = """
{database}
[execution]
backend = "auto"
engine = "soak"
grace_s = 2
stall_s = 8
stall_end_s = 20
transfer_timeout_s = 120
[soak]
place = "{shared}"
seed = {seed}
"""
_HOST: Final = """
[hosts.{name}]
host = "{host}"
ssh_config = "{config}"
remote_dir = "/data/cosmos"
connect_timeout_s = 5
lost_after_s = 10
image = "cosmos-rig/preview:1"
docker = {{ mounts = ["/data/soak:{shared}"], env = {{ SOAK_HOST = "{name}" }} }}
"""
_CLUSTER: Final = """
[hosts.cluster]
host = "loop"
ssh_config = "{config}"
remote_dir = "{base}/cosmos"
docker = {{ python = "{python}" }}
[hosts.cluster.slurm]
images = "none"
memory = "100M"
cpus = 1
most_gpus = 4
"""


@dataclass
class Place:
    """The project, and what has been done to its hosts."""

    base: Path
    settings: Settings
    catalog: Catalog
    fleet: Fleet
    env: dict[str, str]
    cuts: list[Cut] = field(default_factory=list)

    @property
    def shared(self) -> Path:
        """Directory of the model and of the account, by the same path everywhere."""
        return self.base / "soak"

    def cut_power(self, name: str, off_s: float) -> None:
        """Let a host be without power for so long."""
        host = self.fleet.hosts[HOSTS[name]]
        off = time.time()
        host.power_off()
        time.sleep(off_s)
        host.boot(wait=False)

        def has_files() -> bool:
            return (host.root / "opt/rig/nvidia-smi").exists()

        until(has_files, f"the boot of {name}")
        _two_gpus(host)
        host.wait()
        self.cuts.append((name, off, time.time()))

    def programs(self) -> list[Program]:
        """All starts of the model so far, as the hosts tell them."""
        files = [self.fleet.hosts[host].root / "data/soak" for host in HOSTS.values()]
        accounts = [folder / "account.jsonl" for folder in [*files, self.shared]]
        return [one for file in accounts if file.exists() for one in programs_of(file.read_text())]


def _two_gpus(host: Host) -> None:
    host.gpu("".join(CARD.format(i, i) for i in range(2)))


def _equip(host: Host) -> None:
    host.image("preview")
    _two_gpus(host)
    folder = host.root / "data/soak"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("model.py"), folder)
    host.console("chmod", "777", "/data/soak")


@contextmanager
def soak_place(base: Path, seed: int, *, sqlite: bool) -> Iterator[Place]:
    """Start hosts, cluster and database, and make the project; end everything after the block."""
    with ExitStack() as stack:
        database = ""
        if not sqlite:
            url = stack.enter_context(fresh_database(stack.enter_context(running_server())))
            database = f"[postgres]\nurl = {json.dumps(url)}"
        _, login = stack.enter_context(running_cluster())
        fleet = Fleet(len(HOSTS))
        stack.callback(fleet.stop)
        fleet.start()
        shared = base / "soak"
        shared.mkdir()
        shutil.copy(Path(__file__).with_name("model.py"), shared)
        text = _SETTINGS.format(database=database, shared=shared, seed=seed)
        for name, host in HOSTS.items():
            _equip(fleet.hosts[host])
            text += _HOST.format(name=name, host=host, config=fleet.ssh_config, shared=shared)
        text += _CLUSTER.format(config=login.config, base=base, python=sys.executable)
        install(base / "site", "cosmos-soak 1.0", {"soak": "tests.soak.engine:Soak"}, {})
        sys.path.insert(0, str(base / "site"))  # this process knows the engine too
        settings = settings_in(base / "home", text)
        env = {**environment_of(settings), "PYTHONPATH": f"{base / 'site'}:{ROOT}"}
        subprocess.run(
            [sys.executable, "-m", "cosmos_pipelines.cli", "host", "list"],
            env=env, cwd=settings.home, check=True,
        )  # fmt: skip
        with Catalog.open(settings.catalog_url, settings.home) as catalog:
            yield Place(base, settings, catalog, fleet, env)
