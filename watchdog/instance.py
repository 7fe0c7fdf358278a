"""The instance directory: the one place where everybody who acts on a bot meets.

It depends on the user and on the real path of the bot's script alone (see `pidfile.instance_dir`). The locks, the
operator's word and the control socket lie there, so that two configurations of one bot share all three.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import NamedTuple

from . import locks, pidfile, store
from .errors import ConfigError

_NOT_LOCAL = frozenset(
    {
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "coda", "lustre", "ocfs2", "gfs2",
        "glusterfs", "beegfs", "gpfs", "orangefs", "virtiofs", "fuse", "fuseblk", "vboxsf",
    }
)  # fmt: skip


class Instance(NamedTuple):
    """Paths of one bot's instance directory. ``key`` marks the bot's environment; ``script`` is as configured."""

    key: str
    script: str
    directory: str
    bot_lock: str
    guard_lock: str
    heir_lock: str
    desired: str
    maintenance: str
    control_socket: str
    notify_socket: str
    script_record: str

    def moved(self) -> bool:
        """True when the script has another real path by now, as after a deploy that moved a symbolic link.

        Its locks are elsewhere then: whoever acts on the bot begins anew there. A user who is not in the password
        database any more, or for the moment, has no other place.
        """
        try:
            return os.path.exists(self.script) and pidfile.instance_dir(self.script) != self.directory
        except KeyError:
            return False


def locate(script: str) -> Instance:
    """Name the directory, touching nothing. Raises ConfigError for a user without a home."""
    try:
        directory = pidfile.instance_dir(script)
    except KeyError:
        raise ConfigError(f"uid {os.getuid()} is not in the password database: no home for the locks") from None

    def inside(name: str) -> str:
        return os.path.join(directory, name)

    return Instance(
        key=os.path.basename(directory),
        script=script,
        directory=directory,
        bot_lock=inside(pidfile.BOT_LOCK),
        guard_lock=inside("guard.lock"),
        heir_lock=inside("heir.lock"),
        desired=inside("desired"),
        maintenance=inside("maintenance"),
        control_socket=inside(pidfile.CONTROL_SOCKET),
        notify_socket=inside("notify.sock"),
        script_record=inside("script"),
    )


def prepare(instance: Instance) -> None:
    """Make the directory (0700) and check that locks in it can be trusted. Raises ConfigError: nothing may start."""
    try:
        os.makedirs(instance.directory, mode=0o700, exist_ok=True)
        descriptor = os.open(instance.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigError(
            f"no lock directory {instance.directory}: {error.strerror}; nothing is started without a lock"
        ) from None
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise ConfigError(
                f"{instance.directory} is writable by others or not ours: chown it to the bot's user and chmod 700 it"
            )
        kind = filesystem(descriptor)
        os.close(locks.open_lock(instance.bot_lock))
        _record_script(instance)
    except OSError as error:
        raise ConfigError(f"no lock {instance.bot_lock}: {error.strerror}; nothing is started without one") from None
    finally:
        os.close(descriptor)
    if kind in _NOT_LOCAL or kind.startswith("fuse."):
        raise ConfigError(
            f"{instance.directory} lies on {kind}, where a lock proves nothing: give the user a home on a local disk"
        )


def _record_script(instance: Instance) -> None:
    """Write down which path this directory stands for: whoever finds it by another real path later knows it again."""
    wanted = os.fsencode(instance.script)
    with contextlib.suppress(OSError):
        if os.path.exists(instance.script_record) and store.read(instance.script_record) == wanted:
            return
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(instance.script_record, flags, 0o600), "wb") as file:
            file.write(wanted)


def filesystem(descriptor: int) -> str:
    """Type of the file system an open file lies on, empty when the kernel does not tell (proc_pid_mountinfo(5))."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            mount = next(line.split()[1] for line in file if line.startswith("mnt_id:"))
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                left, _, right = line.partition(" - ")
                if left.split(" ", 1)[0] == mount:
                    return right.split()[0]
    except (OSError, StopIteration, IndexError):
        return ""
    return ""
