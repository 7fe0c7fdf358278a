"""Who owns a file and what it holds, to see whether it is as it should be."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from typing import NamedTuple

from .system import read_text


class Rights(NamedTuple):
    """Mode and owner, as `0644`, `root` and `root`."""

    mode: str
    owner: str
    group: str

    @property
    def ids(self) -> tuple[int, int]:
        """The numbers of owner and group; a group without a name is its number. Raises KeyError, ValueError."""
        try:
            gid = grp.getgrnam(self.group).gr_gid
        except KeyError:
            gid = int(self.group)
        return pwd.getpwnam(self.owner).pw_uid, gid


def rights(path: str) -> Rights | None:
    """Those of a file or folder itself, not of what a link leads to; None where it is missing or nobody's."""
    try:
        found = os.lstat(path)
        names = pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return None
    return Rights(f"{found.st_mode & 0o7777:04o}", *names)


def is_folder(path: str, wanted: Rights) -> bool:
    """Whether there is a folder, no link, with these rights."""
    return os.path.isdir(path) and not os.path.islink(path) and rights(path) == wanted


def fingerprint(path: str) -> str:
    """Content hash, mode and owner of a file; empty where it is missing or something else, as a link is."""
    text, found = read_text(path), rights(path)
    if text is None or found is None or not stat.S_ISREG(os.lstat(path).st_mode):
        return ""
    return " ".join([hash_of(text), *found])


def hash_of(text: str) -> str:
    """What `fingerprint` begins with."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
