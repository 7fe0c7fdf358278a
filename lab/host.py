"""One lab host: its files, its container, its life."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from lab import inventory
from lab.cgroup import Cgroup, mount_point
from lab.commands import CLEAN_ENVIRONMENT
from lab.errors import LabError
from lab.image import BOT_USER_ID, OPERATOR_ID
from lab.network import Network
from lab.registry import HostRecord, LabRecord

_SCRIPT = Path(__file__).with_name("host.sh")
_IDS = {"ops": OPERATOR_ID, "trader": BOT_USER_ID}


class Host:
    """A host of one lab. Stateless but for the child process, so that any later process can take over."""

    def __init__(self, lab: LabRecord, record: HostRecord) -> None:
        self.lab, self.record = lab, record
        self.folder = lab.folder / "hosts" / record.name
        self.cgroup = Cgroup(record.unique)
        self._child: subprocess.Popen[bytes] | None = None

    def prepare(self, authorized_key: str) -> str:
        """Lay out the host's own self on top of the image: name, machine-id, host key, address, log-ins.

        Returns the public line of its ssh host key.
        """
        upper = self.folder / "upper"
        (self.folder / "root").mkdir(parents=True)
        (self.folder / "work").mkdir()
        upper.mkdir()
        network = Network(self.lab.network)
        names = [f"{host.address} {host.name}\n" for host in self.lab.hosts]
        files = {
            "etc/hostname": f"{self.record.name}\n",
            "etc/machine-id": f"{uuid.uuid4().hex}\n",
            "etc/hosts": "".join(["127.0.0.1 localhost\n", f"{network.controller} controller\n", *names]),
            # Without this file systemd-networkd gives host0 a link-local address of its own.
            "etc/systemd/network/10-host0.network": "[Match]\nName=host0\n[Network]\nDHCP=no\nLinkLocalAddressing=no\n"
            f"Address={self.record.address}/24\n",
        }
        for name, text in files.items():
            _make_parents(upper, name)
            (upper / name).write_text(text)
        (upper / "etc/machine-id").chmod(0o444)
        for user, number in _IDS.items():
            _make_parents(upper, f"home/{user}/.ssh/authorized_keys")
            (upper / f"home/{user}/.ssh/authorized_keys").write_text(f"{authorized_key}\n")
            for path in ("", "/.ssh", "/.ssh/authorized_keys"):
                os.chown(upper / f"home/{user}{path}", number, number)
        _make_parents(upper, "etc/ssh/x")
        return inventory.make_key(upper / "etc/ssh/ssh_host_ed25519_key", f"root@{self.record.name}")

    def start(self) -> None:
        """Switch the host on; `wait_ready` tells when it is up."""
        self.cgroup.create()
        arguments = [str(mount_point()), self.record.unique, str(self.folder), self.lab.image]
        arguments += [self.record.unique, self.record.name, Network(self.lab.network).bridge]
        with (self.folder / "console.log").open("ab") as console:
            self._child = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", str(_SCRIPT), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = 60, other_than: int | None = None) -> None:
        """Wait until the host's sshd answers at its address and systemd has nothing left to start.

        `other_than` is the init of a life that is ending (a reboot under way).

        Raises:
            LabError: not within `timeout` seconds, or the host ended; with the last lines of its console.
        """
        deadline = time.monotonic() + timeout
        while self.init_pid() in (None, other_than) or not self._ssh_answers():
            if time.monotonic() > deadline:
                raise LabError(f"{self.record.name} is not up after {timeout:g} s; {self._last_words()}")
            if self._child is not None and self._child.poll() is not None:
                raise LabError(f"{self.record.name} ended with {self._child.returncode}; {self._last_words()}")
            time.sleep(0.02)
        # Fails where a unit failed ("degraded"), which is for the test to judge.
        subprocess.run(
            self.enter(["systemctl", "is-system-running", "--wait"]),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(1.0, deadline - time.monotonic()),
        )

    def is_up(self) -> bool:
        """Whether its init runs."""
        return self.init_pid() is not None

    def init_pid(self) -> int | None:
        """The host's PID 1 as this machine numbers it, or None."""
        for pid in self.cgroup.pids():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                if len(inside) == 2 and inside[1] == "1" and "\nState:\tZ" not in status:
                    return pid
        return None

    def enter(self, argv: Sequence[str], user: str = "root") -> list[str]:
        """The command line that runs `argv` inside the host, without ssh, with a clean environment.

        Raises:
            LabError: the host is off.
        """
        pid = self.init_pid()
        if pid is None:
            raise LabError(f"{self.record.name} is off")
        home = "/root" if user == "root" else f"/home/{user}"
        settings = CLEAN_ENVIRONMENT | {"HOME": home, "USER": user, "LOGNAME": user}
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        variables = [f"{name}={value}" for name, value in settings.items()]
        # Into the host's own part of the cgroup tree, or its shutdown (systemd 257) would overlook the process.
        group = self.cgroup.path / "payload" / "exec"
        group.mkdir(exist_ok=True)
        join = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "join"]
        inside = [*join, "nsenter", "--target", str(pid), *spaces, f"--wd=/proc/{pid}/root{home}"]
        return [*inside, "env", "-i", *variables, *become, *argv]

    def shut_down(self, timeout: float = 60) -> None:
        """Shut the host down in an orderly way, as its power button would.

        Raises:
            LabError: it still runs after `timeout` seconds.
        """
        supervisor = next((pid for pid in self.cgroup.pids() if self._is_supervisor(pid)), None)
        if supervisor is not None:
            os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.cgroup.pids():
            if time.monotonic() > deadline:
                raise LabError(f"{self.record.name} did not shut down within {timeout:g} s; {self._last_words()}")
            self._reap()
            time.sleep(0.02)
        self.cut_power()

    def cut_power(self) -> None:
        """End everything in the host at once; what it wrote to its disk stays."""
        self.cgroup.remove()
        self._reap(wait=True)

    def discard(self) -> None:
        """Cut the power and remove the host's disk."""
        self.cut_power()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ssh_answers(self) -> bool:
        try:
            with socket.create_connection((self.record.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _is_supervisor(self, pid: int) -> bool:
        try:
            return str(_SCRIPT).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False

    def _reap(self, wait: bool = False) -> None:
        """Take the exit status of our child, if it is ours; another process's child is init's to reap."""
        if self._child is not None and (wait or self._child.poll() is not None):
            self._child.wait()
            self._child = None

    def _last_words(self) -> str:
        console = self.folder / "console.log"
        try:
            lines = console.read_text(errors="replace").strip().splitlines()[-3:]
        except OSError:
            lines = []
        return f"{console} ends with: {' | '.join(lines) or 'nothing'}"


def _make_parents(upper: Path, name: str) -> None:
    """The folders above `name`, with the modes that they have in the image."""
    folder = upper
    for part in Path(name).parts[:-1]:
        folder = folder / part
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700 if part == ".ssh" else 0o755)
