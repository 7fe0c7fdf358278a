"""Reads cron's tables line by line, and edits single lines of them without touching any other."""

from __future__ import annotations

import glob
import os
import re
from typing import NamedTuple

from .system import read_text, replace_text, run

_ASSIGNMENT = re.compile(r"""^\s*["']?([A-Za-z_]\w*)["']?\s*=\s*(.*?)\s*$""")
_JOB = re.compile(r"^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+(.*)$")
_PERCENT = re.compile(r"(?<!\\)%")


class Table(NamedTuple):
    """One table: a file of the system, or the table of one user."""

    where: str
    path: str | None
    user: str | None
    text: str


class Job(NamedTuple):
    """One job: its line as it stands there, who runs it, what is run, and the assignments above it."""

    table: Table
    number: int
    line: str
    user: str
    command: str
    variables: dict[str, str]


def tables(users: list[str], own: str) -> list[Table]:
    """The system's tables and those of these users; `own` is the user that we are."""
    found = []
    for path in ["/etc/crontab", *sorted(glob.glob("/etc/cron.d/*"))]:
        text = read_text(path)
        # cron itself passes over names with a dot: leftovers of editors and packages
        if text is not None and "." not in os.path.basename(path):
            found.append(Table(path, path, None, text))
    for user in users:
        text = read_user_table(user, own)
        if text:
            found.append(Table(f"crontab of {user}", None, user, text))
    return found


def read_user_table(user: str, own: str) -> str:
    """A user's table as `crontab -l` shows it; empty where there is none or it cannot be read."""
    result = run(_crontab(user, own, "-l"))
    return result.out if result.code == 0 else ""


def write_user_table(user: str, own: str, text: str) -> str | None:
    """Install a user's table, or remove it where nothing is left. Returns what went wrong, or None."""
    result = run(_crontab(user, own, "-"), text=text) if text.strip() else run(_crontab(user, own, "-r"))
    return None if result.code == 0 else result.line


def _crontab(user: str, own: str, action: str) -> list[str]:
    return ["crontab", action] if user == own else ["crontab", "-u", user, action]


def jobs(table: Table) -> list[Job]:
    """The jobs of a table; comments, blank lines and assignments are none."""
    found = []
    variables: dict[str, str] = {}
    for number, line in enumerate(table.text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.match(line)
        if assignment:
            variables = {**variables, assignment[1]: assignment[2].strip("\"'")}
            continue
        job = _JOB.match(line)
        if not job:
            continue
        user, command = table.user or "", job[1]
        if table.user is None:
            user, command = [*command.split(None, 1), ""][:2]
        command = _PERCENT.split(command, maxsplit=1)[0].replace("\\%", "%")
        found.append(Job(table, number, line, user, command.strip(), variables))
    return found


def retire(table: Table, numbers: list[int], mark: str, own: str) -> str | None:
    """Comment out these lines behind `mark`, every other byte kept. Returns what went wrong, or None."""
    lines = table.text.split("\n")
    for number in numbers:
        lines[number - 1] = f"{mark} {lines[number - 1]}"
    text = "\n".join(lines)
    if table.user is not None:
        return write_user_table(table.user, own, text)
    path = table.path or table.where
    try:
        before = os.stat(path)
        replace_text(path, text, before.st_mode & 0o7777, (before.st_uid, before.st_gid))
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None
