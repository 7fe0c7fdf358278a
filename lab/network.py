"""The lab's network: one bridge per lab, known to this machine and the lab's hosts only, with no way out."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection
from dataclasses import dataclass

from lab.commands import run
from lab.errors import LabError

#: The first host's last octet; below it there is room for the controller.
FIRST_HOST = 11
MAX_HOSTS = 255 - FIRST_HOST


@dataclass(frozen=True)
class Network:
    """A bridge and its /24, both named by one number."""

    number: int

    @property
    def bridge(self) -> str:
        """The interface's name on this machine."""
        return f"labbr{self.number}"

    @property
    def controller(self) -> str:
        """This machine's address as the hosts see it."""
        return f"10.77.{self.number}.1"

    def address(self, index: int) -> str:
        """The address of the host with this index, counted from 0."""
        return f"10.77.{self.number}.{FIRST_HOST + index}"

    def create(self) -> None:
        """Make the bridge and give it the controller's address."""
        run(["ip", "link", "add", self.bridge, "type", "bridge"])
        run(["ip", "addr", "add", f"{self.controller}/24", "dev", self.bridge])
        run(["ip", "link", "set", self.bridge, "up"])

    def remove(self) -> None:
        """Remove the bridge if it is there."""
        if self.bridge in _interfaces():
            run(["ip", "link", "delete", self.bridge])


def free(taken: Collection[int]) -> Network:
    """A network whose number is in no other lab and whose addresses are in no interface of this machine.

    Raises:
        LabError: all 256 are taken.
    """
    used = [ipaddress.ip_interface(address).network for address in _addresses()]
    for number in range(256):
        network = Network(number)
        subnet = ipaddress.ip_network(f"10.77.{number}.0/24")
        overlaps = any(other.version == 4 and subnet.overlaps(other) for other in used)
        if number not in taken and not overlaps and network.bridge not in _interfaces():
            return network
    raise LabError("every network 10.77.0.0/24 to 10.77.255.0/24 is in use; `invoke lab.down --all` frees the lab's")


def _interfaces() -> set[str]:
    return {link["ifname"] for link in json.loads(run(["ip", "-json", "link"]))}


def _addresses() -> list[str]:
    return [
        f"{info['local']}/{info['prefixlen']}"
        for link in json.loads(run(["ip", "-json", "addr"]))
        for info in link["addr_info"]
    ]
