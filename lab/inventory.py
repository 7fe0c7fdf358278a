"""What the controller needs in order to talk to the hosts: keys, known hosts, and one inventory for ansible and fab."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from lab.commands import run
from lab.image import BOT_USER, OPERATOR
from lab.registry import LabRecord

#: Where the stand-in bot lives on a host, unless a test puts it elsewhere.
APP_DIR = f"/home/{BOT_USER}/dcaTrader"


def private_key(lab: LabRecord) -> Path:
    """The lab's own key; it opens OPERATOR and BOT_USER on its hosts."""
    return lab.folder / "id_ed25519"


def known_hosts(lab: LabRecord) -> Path:
    """The hosts' public keys, known before the hosts first boot, so nothing is trusted on first use."""
    return lab.folder / "known_hosts"


def inventory(lab: LabRecord) -> Path:
    """The Ansible inventory of this lab; `fab` reads the same one (ANSIBLE_INVENTORY)."""
    return lab.folder / "inventory.yml"


def make_key(path: Path, comment: str) -> str:
    """Make a key pair without a passphrase at `path`; returns the public line."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.with_name(path.name + ".pub").read_text().strip()


def ssh_options(lab: LabRecord) -> list[str]:
    """Options for a connection that trusts exactly the lab's keys and reads no personal configuration."""
    return [
        *("-F", "none", "-i", str(private_key(lab)), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", f"UserKnownHostsFile={known_hosts(lab)}", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
        *("-o", "ConnectTimeout=10"),
    ]


def write(lab: LabRecord, host_keys: dict[str, str]) -> None:
    """Write known_hosts (from each host's public key line) and the inventory."""
    lines = [f"{host.name},{host.address} {' '.join(host_keys[host.name].split()[:2])}\n" for host in lab.hosts]
    known_hosts(lab).write_text("".join(lines))
    common = ["-o", f"UserKnownHostsFile={known_hosts(lab)}", "-o", "StrictHostKeyChecking=yes", "-o"]
    content = {
        "bots": {
            "hosts": {host.name: {"ansible_host": host.address} for host in lab.hosts},
            "vars": {
                "ansible_user": OPERATOR,
                "ansible_ssh_private_key_file": str(private_key(lab)),
                "ansible_ssh_common_args": shlex.join([*common, "IdentitiesOnly=yes"]),
                "ansible_python_interpreter": "/usr/bin/python3",
                "watchdog_user": BOT_USER,
                "watchdog_app_dir": APP_DIR,
            },
        }
    }
    header = "---\n# Written by the lab; it holds until lab.down.\n"
    inventory(lab).write_text(header + yaml.safe_dump(content, sort_keys=False, width=1000))
