"""A host's link: a network namespace, a pair of virtual Ethernet ends, a bridge."""

from __future__ import annotations

import subprocess
from pathlib import Path


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _quiet(name: str) -> None:
    """Let a link get no address of IPv6.

    Addresses that come and go end the requests of browsers on this machine, which other tests use.
    """
    _ip("link", "set", name, "addrgenmode", "none")


class Bridge:
    """The rig's network `10.77.<slot>.0/24`; this machine has the address `.1`."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.name = f"cosmosbr{slot}"

    def create(self) -> None:
        """Make the bridge."""
        _ip("link", "add", self.name, "type", "bridge", "forward_delay", "0")
        _quiet(self.name)
        _ip("addr", "add", f"10.77.{self.slot}.1/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def remove(self) -> None:
        """Remove the bridge, if it exists."""
        _ip("link", "del", self.name, check=False)


class Link:
    """The link of host `number`: `cosmos<slot>gpu<number>` here, `eth0` on the host."""

    def __init__(self, bridge: Bridge, number: int) -> None:
        self.name = f"cosmos{bridge.slot}gpu{number}"
        self.address = f"10.77.{bridge.slot}.{10 + number}"
        self._bridge = bridge
        # The same MAC after a power cut, else the neighbour tables would be wrong for a while.
        self._mac = f"02:77:00:00:{bridge.slot:02x}:{number:02x}"

    def create(self) -> None:
        """Make the namespace and both ends."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "address", self._mac,
            "netns", self.name)  # fmt: skip
        _quiet(self.name)
        _ip("link", "set", self.name, "master", self._bridge.name, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove both ends and the namespace with all its connections, if they exist."""
        _ip("link", "del", self.name, check=False)
        if Path("/run/netns", self.name).exists():
            _ip("netns", "del", self.name, check=False)

    def cut(self) -> None:
        """Set the link down, as if the cable were out."""
        _ip("link", "set", self.name, "down")

    def mend(self) -> None:
        """Set the link up again."""
        _ip("link", "set", self.name, "up")

    def slow(self, rate: str | None) -> None:
        """Limit both directions, as `1mbit`; None: no limit."""
        for where, device in (([], self.name), (["-n", self.name], "eth0")):
            words = ["tc", *where, "qdisc"]
            subprocess.run([*words, "del", "dev", device, "root"], capture_output=True, check=False)
            if rate is not None:
                limit = ["tbf", "rate", rate, "burst", "32kbit", "latency", "400ms"]
                subprocess.run([*words, "add", "dev", device, "root", *limit], check=True)
