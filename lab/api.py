"""Labs for tests and tools.

with session(hosts=2) as lab:
    lab.exec("bot1", ["systemctl", "is-active", "cron"])
    lab.ssh("bot2", "sudo -n -u trader whoami")
    lab.reboot("bot1")
    subprocess.run(["ansible-playbook", "-i", lab.inventory_path, "deploy.yml"])
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab import image, inventory, limits, network, registry
from lab.commands import why_not
from lab.errors import LabError, MissingPrerequisite
from lab.host import Host
from lab.registry import HostRecord, LabRecord, Owner


class Lab:
    """The hosts of one lab, by name (`bot1`, `bot2`, ...)."""

    def __init__(self, record: LabRecord) -> None:
        self.record = record
        self.hosts = {host.name: Host(record, host) for host in record.hosts}
        self.network = network.Network(record.network)

    @property
    def inventory_path(self) -> Path:
        """The inventory for `ansible -i` and, as ANSIBLE_INVENTORY, for `fab`. Group `bots`."""
        return inventory.inventory(self.record)

    @property
    def private_key(self) -> Path:
        """The key that opens `ops` and `trader`."""
        return inventory.private_key(self.record)

    @property
    def known_hosts(self) -> Path:
        """The hosts' true keys, under their names and addresses."""
        return inventory.known_hosts(self.record)

    @property
    def controller_address(self) -> str:
        """This machine as the hosts reach it (also by the name `controller`): the place for a mail sink."""
        return self.network.controller

    def environment(self) -> dict[str, str]:
        """This process's environment with the lab's inventory chosen and this Python's `ansible-playbook` and `fab`."""
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
        return os.environ | {"PATH": path, "ANSIBLE_INVENTORY": str(self.inventory_path)}

    def address(self, host: str) -> str:
        """The host's IPv4 address."""
        return self._host(host).record.address

    def exec(
        self,
        host: str,
        argv: Sequence[str],
        *,
        user: str = "root",
        input: str | None = None,  # noqa: A002 - the name subprocess uses
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the host as `user`, without ssh, in that user's home.

        Raises:
            LabError: the host is off, or (with `check`) the command failed; with its output.
        """
        return _capture(self._host(host).enter(argv, user), f"{host}: {' '.join(argv)}", input, check, timeout)

    def ssh(
        self,
        host: str,
        command: str,
        *,
        user: str = image.OPERATOR,
        input: str | None = None,  # noqa: A002 - the name subprocess uses
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over ssh, as `ops` (may use sudo) or `trader`. Raises as `exec` does."""
        return _capture([*self.ssh_argv(host, user=user), command], f"ssh {host} {command}", input, check, timeout)

    def ssh_argv(self, host: str, *, user: str = image.OPERATOR) -> list[str]:
        """The ssh command line that opens a shell there; append a command to run it."""
        return ["ssh", *inventory.ssh_options(self.record), "-l", user, self.address(host)]

    def put(self, host: str, source: Path, target: str, *, owner: str = "root") -> None:
        """Copy a file or a folder's tree to the absolute path `target`, owned by `owner`; parents are made as root."""
        pack = ["tar", "-C", str(source.parent), "--exclude=__pycache__", "-cf", "-", source.name]
        unpack = 'mkdir -p "$1" && tar -C "$1" --transform "s,^$2,$3," -xf - && chown -R "$4:" "$1/$3"'
        place = Path(target)
        inside = ["sh", "-c", unpack, "put", str(place.parent), source.name, place.name, owner]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
            done = subprocess.run(
                self._host(host).enter(inside), check=False, stdin=packing.stdout, capture_output=True, text=True
            )
        if packing.returncode or done.returncode:
            raise LabError(f"copying {source} to {host}:{target} failed: {done.stderr.strip()}")

    def pids(self, host: str) -> dict[int, list[str]]:
        """Every process of the host, by this machine's PID, with its arguments.

        A signal sent to such a PID reaches the process in the host.
        """
        found = {}
        for pid in self._host(host).cgroup.pids("payload"):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
                if words:
                    found[pid] = words
        return found

    def boot_id(self, host: str) -> str:
        """The host's boot id: another one after each boot."""
        return self.exec(host, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def reboot(self, host: str, timeout: float = 60) -> None:
        """Reboot from inside, as an administrator does; returns when the host is up again. Its disk stays."""
        machine = self._host(host)
        before = machine.init_pid()
        self.exec(host, ["systemctl", "reboot"], check=False)
        machine.wait_ready(timeout, other_than=before)

    def shut_down(self, host: str) -> None:
        """Shut the host down in an orderly way and wait for the end."""
        self._host(host).shut_down()

    def cut_power(self, host: str) -> None:
        """Switch the host off without warning; its disk keeps what was written."""
        self._host(host).cut_power()

    def switch_on(self, host: str, timeout: float = 60) -> None:
        """Start a host that is off and wait until it is up."""
        machine = self._host(host)
        if not machine.is_up():
            machine.start()
        machine.wait_ready(timeout)

    def freeze(self, host: str, frozen: bool = True) -> None:
        """Stop all its processes: connections open and stay open, but nobody is at home. False: go on."""
        self._host(host).cgroup.freeze(frozen)

    def plug(self, host: str, plugged: bool) -> None:
        """Pull (False) or put back (True) the host's network cable."""
        change = ["ip", "link", "set", "host0", "up" if plugged else "down"]
        self.exec(host, change)

    def down(self) -> None:
        """End the hosts and remove everything that belongs to this lab. Safe to repeat, and for a half-started lab."""
        with registry.locked():
            _remove(self)

    def _host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise LabError(f"no host {name!r} in this lab: it has {', '.join(self.hosts)}") from None


def up(
    hosts: int | Sequence[str] = 1,
    suite: str = "bookworm",
    *,
    name: str = "lab",
    owned: bool = False,
    base: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Lab:
    """Start a lab of that many hosts (or of hosts with these names) and return it when all are up.

    The hosts stand on the suite's own image, or on the image `base`. A lab that is `owned` belongs to this process:
    once the process is gone, the next `up` or `down` removes it.

    Raises:
        MissingPrerequisite: no root or no packages.
        LabError: a lab of that name is up already, or a host did not come up (then nothing is left).
    """
    if reason := why_not():
        raise MissingPrerequisite(reason)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise LabError(f"{name!r} is no name for a lab: use up to 40 lower-case letters, digits and dashes")
    names = [f"bot{number}" for number in range(1, hosts + 1)] if isinstance(hosts, int) else list(hosts)
    if not 1 <= len(names) <= network.MAX_HOSTS:
        raise LabError(f"a lab has 1 to {network.MAX_HOSTS} hosts, not {len(names)}")
    base = base or image.ensure(suite, say)
    with registry.locked():
        lab = _record(names, suite, base, name, Owner.me() if owned else None)
        try:
            _switch_on(lab)
        except BaseException:
            _remove(lab)
            raise
    try:
        for host in lab.hosts.values():
            host.wait_ready()
    except BaseException:
        lab.down()
        raise
    return lab


@contextlib.contextmanager
def session(
    hosts: int | Sequence[str] = 1,
    suite: str = "bookworm",
    *,
    base: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Lab]:
    """A lab of one's own for the length of a `with` block; several may be up at the same time."""
    name = f"session-{os.getpid()}-{secrets.token_hex(3)}"
    lab = up(hosts, suite, name=name, owned=True, base=base, say=say)
    try:
        yield lab
    finally:
        lab.down()


def find(name: str = "lab") -> Lab:
    """The lab of that name that is up. Raises LabError if there is none."""
    return Lab(registry.load(name))


def remove_abandoned() -> list[str]:
    """Remove labs whose owner is gone, and the remains of killed runs; returns their names."""
    with registry.locked():
        return _remove_abandoned()


def _record(names: Sequence[str], suite: str, base: Path, name: str, owner: Owner | None) -> Lab:
    """Write the lab down before anything of it exists."""
    _remove_abandoned()
    labs = registry.all_labs()
    if name in (lab.name for lab in labs):
        raise LabError(f"a lab named {name!r} is up already; end it: invoke lab.down --name {name}")
    net = network.free({lab.network for lab in labs})
    token = secrets.token_hex(2)
    records = tuple(
        HostRecord(name=host, address=net.address(index), unique=f"lab-{token}-{index + 1}")
        for index, host in enumerate(names)
    )
    record = LabRecord(name=name, suite=suite, image=str(base), network=net.number, owner=owner, hosts=records)
    record.save()
    limits.adjust([len(other.hosts) for other in (*labs, record)])
    return Lab(record)


def _switch_on(lab: Lab) -> None:
    lab.network.create()
    public = inventory.make_key(lab.private_key, "lab")
    keys = {name: host.prepare(public) for name, host in lab.hosts.items()}
    inventory.write(lab.record, keys)
    for host in lab.hosts.values():
        host.start()


def _remove(lab: Lab) -> None:
    for host in lab.hosts.values():
        host.cgroup.kill()
    for host in lab.hosts.values():
        host.discard()
    lab.network.remove()
    registry.forget(lab.record)
    limits.adjust([len(other.hosts) for other in registry.all_labs()])


def _remove_abandoned() -> list[str]:
    gone = [lab for lab in registry.all_labs() if lab.abandoned()]
    for record in gone:
        _remove(Lab(record))
    return [lab.name for lab in gone]


def _capture(
    argv: Sequence[str], shown: str, text: str | None, check: bool, timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            argv,
            check=False,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shown}` did not end within {timeout:g} s") from error
    if check and done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise LabError(f"`{shown}` failed with exit code {done.returncode}: {said}")
    return done
