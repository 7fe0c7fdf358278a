"""Runs the real `fab` of this checkout against an inventory, ssh configuration and cache of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FAB = Path(sys.executable).with_name("fab")


class Result:
    """What a run of fab left, and how long it took."""

    def __init__(self, code: int, out: str, err: str, seconds: float) -> None:
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def rows(self) -> list[list[str]]:
        """The table's lines without the header, split at blanks."""
        return [line.split() for line in self.out.splitlines()[1:]]

    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    def __repr__(self) -> str:
        return f"exit {self.code} after {self.seconds:.2f} s\n--- out\n{self.out}\n--- err\n{self.err}"


class Checkout:
    """One test's view of the project: its own inventory, its own known_hosts, its own home for caches."""

    def __init__(self, folder: Path, key: Path) -> None:
        self.folder = folder
        self.key = key
        self.known_hosts = folder / "known_hosts"
        self.ssh_config = folder / "ssh_config"
        self.ssh_config.touch()
        self.known_hosts.touch()
        self.inventory = folder / "hosts.json"
        (folder / "ansible.cfg").write_text("[defaults]\n")
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ANSIBLE_", "FABRIC_", "INVOKE_"))
            },
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "COLUMNS": "200",
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
        }
        self.environment.pop("SSH_AUTH_SOCK", None)

    @property
    def common_args(self) -> str:
        """ssh arguments that keep the developer's own configuration out."""
        return f"-F {self.ssh_config} -o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=/dev/null"

    def host(self, sshd: Any, *parts: dict[str, Any]) -> dict[str, Any]:
        """Inventory variables of a host behind ``sshd``."""
        variables: dict[str, Any] = {
            "ansible_host": sshd.address,
            "ansible_port": sshd.port,
            "ansible_user": sshd.user,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": self.common_args,
            "watchdog_user": "",
        }
        for part in parts:
            variables.update(part)
        return variables

    def trust(self, *lines: str) -> None:
        """Replace known_hosts."""
        self.known_hosts.write_text("".join(lines))

    def write_inventory(self, hosts: dict[str, dict[str, Any]], groups: dict[str, list[str]] | None = None) -> None:
        """An inventory of these hosts in the group bots, and of more groups."""
        children: dict[str, Any] = {"bots": {"hosts": hosts}}
        for name, members in (groups or {}).items():
            children[name] = {"hosts": {member: {} for member in members}}
        self.inventory.write_text(json.dumps({"all": {"children": children}}))

    def argv(self, *words: str) -> list[str]:
        """The command line of fab."""
        return [str(FAB), *words]

    def fab(self, *words: str, timeout: float = 60, **environment: str) -> Result:
        """Run it to the end, without a terminal."""
        began = time.monotonic()
        done = subprocess.run(
            self.argv(*words),
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
        )
        took = time.monotonic() - began
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode(), took)
        assert "Traceback" not in result.err, result
        return result
