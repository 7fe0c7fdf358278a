"""Users, processes and files of the host, as the other modules need them."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from typing import NamedTuple

TIMEOUT_S = 60


class Account(NamedTuple):
    """The user that the bot runs as."""

    name: str
    uid: int
    gid: int
    home: str

    @property
    def group(self) -> str:
        """The name of its primary group, or the number where it has no name."""
        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return str(self.gid)


class Result(NamedTuple):
    """How a command ended. 126: it could not be started; 124: it took too long."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """Its last word: the last line of stderr, or of stdout."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}, no message"


def account(name: str) -> Account | None:
    """The account called `name`, or None."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)


def account_of(uid: int) -> Account | None:
    """The account with this number, or None."""
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)


def login_name(configured: str) -> str:
    """Who logged in: as the inventory says, else as sudo says, else whoever we are."""
    current = account_of(os.geteuid())
    return configured or os.environ.get("SUDO_USER") or (current.name if current else "")


def environment(user: Account) -> dict[str, str]:
    """What cron would give a job of this user: nothing of the deploying session reaches the guard or the bot."""
    return {
        "HOME": user.home,
        "LOGNAME": user.name,
        "USER": user.name,
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
    }


def run_as(user: Account, argv: list[str], wrapper: tuple[str, ...] = (), timeout: float = TIMEOUT_S) -> Result:
    """Run a command as the bot's user, in its home directory, with cron's environment and no terminal.

    `wrapper` is run as ourselves and starts setpriv, which changes the user: so a scope can be opened as root.
    """
    command = list(argv)
    if os.geteuid() != user.uid:
        setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
        command = [setpriv, f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups", "--", *command]
    return run([*wrapper, *command], environment(user), user.home if os.path.isdir(user.home) else "/", timeout)


def run(
    argv: list[str], env: dict[str, str] | None = None, cwd: str = "/", timeout: float = TIMEOUT_S, text: str = ""
) -> Result:
    """Run a command to its end; its output goes to files, so that something it leaves running keeps no pipe open."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(text.encode())
        given.seek(0)
        try:
            code = subprocess.run(
                argv, stdin=given, stdout=out, stderr=err, env=env, cwd=cwd, timeout=timeout, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return Result(124, "", f"{argv[0]} did not end within {timeout:g} s")
        except OSError as error:
            return Result(126, "", f"{argv[0]}: {error.strerror}")
        out.seek(0)
        err.seek(0)
        return Result(code, out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def read_text(path: str) -> str | None:
    """The file's text, or None where it is missing or not to be read. Never blocks on something that is no file."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError:
        return None


def replace_text(path: str, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write a file so that readers see the old or the new one, never half of it. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=".dca-watchdog-", dir=os.path.dirname(path))
    try:
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            os.fchmod(file.fileno(), mode)
            if owner is not None and os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def expand(path: str, home: str) -> str:
    """`~` at the start stands for this home directory, whatever HOME says."""
    return home + path[1:] if path == "~" or path.startswith("~/") else path
