"""Where a deployment's files lie, and what of them is there already."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import stat
from typing import Any, NamedTuple

from .system import Account, read_text

DEFAULT_ROOT = "/opt/dca-watchdog"
HOME_ROOT = ".local/share/dca-watchdog"
CRON_FOLDER = "/etc/cron.d"
SUDOERS_FOLDER = "/etc/sudoers.d"
RELEASE_ID = re.compile(r"^[0-9][0-9A-Za-z.+-]*-[0-9a-f]{12}$")


class Layout(NamedTuple):
    """The paths of one deployment."""

    name: str
    root: str
    system: bool

    @property
    def base(self) -> str:
        return os.path.join(self.root, self.name)

    @property
    def door(self) -> str:
        return os.path.join(self.root, "bin", self.name)

    @property
    def releases(self) -> str:
        return os.path.join(self.base, "releases")

    @property
    def current(self) -> str:
        return os.path.join(self.base, "current")

    @property
    def settings(self) -> str:
        return os.path.join(self.base, "etc", "watchdog.env")

    @property
    def smtp(self) -> str:
        return os.path.join(self.base, "etc", "smtp.env")

    @property
    def applied(self) -> str:
        """What the live guard was last started with; it holds a hash over the secrets, so it is 0600."""
        return os.path.join(self.base, "etc", ".applied")

    @property
    def cron_file(self) -> str:
        return os.path.join(CRON_FOLDER, f"dca-watchdog-{self.name}")

    @property
    def sudoers_file(self) -> str:
        return os.path.join(SUDOERS_FOLDER, f"dca-watchdog-{self.name}")

    @property
    def cron_marks(self) -> tuple[str, str]:
        """The comments above our two lines in a user's own table, as the cron module writes them."""
        return (f"#Ansible: dca-watchdog {self.name} tick", f"#Ansible: dca-watchdog {self.name} reboot")


def locate(name: str, root: str, system: bool, home: str) -> Layout:
    """The layout for these variables: without root, the default root is a folder of the user's home."""
    if not system and root == DEFAULT_ROOT:
        root = os.path.join(home, HOME_ROOT)
    return Layout(name, os.path.normpath(root), system)


def current_release(layout: Layout) -> str | None:
    """The id that `current` points to, or None where nothing is deployed."""
    try:
        return os.path.basename(os.readlink(layout.current))
    except OSError:
        return None


def kept_releases(layout: Layout) -> list[str]:
    """The complete releases on this host, the one activated last first."""
    try:
        names = [name for name in os.listdir(layout.releases) if RELEASE_ID.match(name)]
    except OSError:
        return []
    complete = [name for name in names if os.path.isfile(os.path.join(layout.releases, name, "RELEASE"))]
    return sorted(complete, key=lambda name: os.stat(os.path.join(layout.releases, name)).st_mtime, reverse=True)


def wanted_folders(layout: Layout, owner: Account) -> list[dict[str, Any]]:
    """The folders that are missing or not as they should be, as arguments for the file module."""
    user, group = ("root", "root") if layout.system else (owner.name, owner.group)
    folders = (os.path.dirname(layout.door), layout.releases, os.path.dirname(layout.settings))
    return [
        {"path": path, "owner": user, "group": group, "mode": "0755"}
        for path in folders
        if not _is_folder(path, user, group, 0o755)
    ]


def _is_folder(path: str, user: str, group: str, mode: int) -> bool:
    try:
        found = os.lstat(path)
        owner, owning_group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return False
    return (stat.S_ISDIR(found.st_mode), owner, owning_group, found.st_mode & 0o7777) == (True, user, group, mode)


def fingerprints(layout: Layout) -> dict[str, str]:
    """Content hash, mode and owner of each file without a secret, so that only what differs has to be sent."""
    paths = {"settings": layout.settings, "door": layout.door, "cron": layout.cron_file, "sudoers": layout.sudoers_file}
    return {name: _fingerprint(path) for name, path in paths.items()}


def _fingerprint(path: str) -> str:
    text = read_text(path)
    try:
        found = os.lstat(path)
        owner, group = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return ""
    if text is None or not stat.S_ISREG(found.st_mode):
        return ""
    content = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
    return f"{content} {found.st_mode & 0o7777:04o} {owner} {group}"


def open_digest(layout: Layout) -> str:
    """A hash over all settings but the password, to tell whether they have to be checked anew."""
    lines = "".join((read_text(path) or "") for path in (layout.settings, layout.smtp)).splitlines()
    kept = "\n".join(line for line in lines if not line.startswith("SMTP_PASSWORD="))
    return hashlib.sha256(kept.encode(errors="surrogateescape")).hexdigest()
