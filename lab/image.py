"""The base image: one debootstrap per suite and package list, shared read-only by all hosts."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab import mirror
from lab.commands import CLEAN_ENVIRONMENT, run
from lab.errors import LabError
from lab.locking import exclusive
from lab.paths import cache_root

#: The support matrix: Python 3.9, 3.11 and 3.13.
SUITES = ("bullseye", "bookworm", "trixie")

#: A small Debian server. No pip, no compiler, no logrotate: what the role needs more than this it must bring along.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "cron",
    "python3",
    "python3-venv",
    "iproute2",
    "sudo",
    "util-linux",
    "ca-certificates",
)

#: The administrator who deploys, and the bot's own user. Their ids are fixed because hosts get files for them unbooted.
OPERATOR, OPERATOR_ID = "ops", 1000
BOT_USER, BOT_USER_ID = "trader", 1001

#: Runs inside the new root. Identity (host keys, machine-id, hostname) is left out: every host gets its own.
_SETUP = f"""
set -eu
useradd --create-home --shell /bin/bash --uid {OPERATOR_ID} --user-group {OPERATOR}
useradd --create-home --shell /bin/bash --uid {BOT_USER_ID} --user-group {BOT_USER}
chmod 0755 /home/{OPERATOR} /home/{BOT_USER}
echo '{OPERATOR} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
chmod 0440 /etc/sudoers.d/lab
echo 'HostKey /etc/ssh/ssh_host_ed25519_key' > /etc/ssh/sshd_config.d/lab.conf
rm -f /etc/ssh/ssh_host_* /etc/hostname /etc/resolv.conf
: > /etc/machine-id
systemctl enable systemd-networkd ssh cron
systemctl mask systemd-networkd-wait-online.service systemd-timesyncd.service getty.target console-getty.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
apt-get clean
rm -rf /var/lib/apt/lists/*
"""


def ensure(suite: str, say: Callable[[str], None]) -> Path:
    """The folder of the base image for `suite`, made now if it is not there (about a minute).

    Raises:
        LabError: an unknown suite, or the image could not be made (no mirror, no network).
    """
    if suite not in SUITES:
        raise LabError(f"unknown suite {suite!r}: use one of {', '.join(SUITES)}")
    folder = cache_root() / f"{suite}-{_key(suite)}"
    if folder.is_dir():
        return folder
    cache_root().mkdir(parents=True, exist_ok=True)
    with exclusive(cache_root() / f"{suite}.lock", lambda: say(f"waiting for another run that makes {suite}'s image")):
        if not folder.is_dir():
            say(f"making the base image for {suite}, once (about a minute)")
            _build(suite, folder)
            _remove_older(suite, folder)
    return folder


def _key(suite: str) -> str:
    recipe = json.dumps([suite, PACKAGES, _SETUP])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _build(suite: str, folder: Path) -> None:
    """Build beside the final place and rename, so that a half-made image is never used."""
    building = folder.with_name(folder.name + ".building")
    log = folder.with_name(folder.name + ".log")
    shutil.rmtree(building, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(building)]
    with log.open("w") as output:
        done = subprocess.run(
            [*command, mirror.debian()],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=CLEAN_ENVIRONMENT | mirror.proxy(),
        )
    if done.returncode:
        words = (log.read_text().strip() or "no output").splitlines()[-1]
        shutil.rmtree(building, ignore_errors=True)
        raise LabError(f"debootstrap {suite} failed: {words} (all of it: {log})")
    run(["chroot", str(building), "/bin/sh", "-c", _SETUP], env=CLEAN_ENVIRONMENT, timeout=120)
    building.rename(folder)
    log.unlink()


def _remove_older(suite: str, current: Path) -> None:
    """Images of an older recipe, some 230 MB each, unless a host stands on one."""
    for other in cache_root().glob(f"{suite}-*"):
        if other.is_dir() and other != current and not in_use(other):
            shutil.rmtree(other, ignore_errors=True)


def in_use(folder: Path) -> bool:
    """Whether some process's mount namespace has an overlay on top of this image."""
    for mounts in Path("/proc").glob("[0-9]*/mounts"):
        try:
            if f"lowerdir={folder}," in mounts.read_text():
                return True
        except OSError:
            continue
    return False
