"""Takes a deployment away: the cron entry first, then the guard, then every file of ours. The bot is left alone."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from typing import Any

from .agent import Door, answer
from .crontabs import read_user_table, write_user_table
from .layout import Layout, locate
from .system import Account, account, account_of, login_name, replace_text


class RemoveError(Exception):
    """Something could not be taken away; the text says what, and how the host stands now."""


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Remove, or in check mode list what would go. Returns changed, removed, kept and message."""
    login = account(login_name(arguments["login"]))
    named = account(arguments["user"]) if arguments["user"] else login
    here = account_of(os.geteuid())
    if here is None or (not arguments["system"] and named is None):
        return {"problem": f"this host has no user {arguments['user'] or arguments['login']}", "changed": False}
    layout = locate(arguments["name"], arguments["root"], arguments["system"], (named or here).home)
    user = _bot_user(layout) or named
    present = [path for path in _paths(layout) if os.path.lexists(path)]
    entry = _has_cron_entry(layout, here)
    if arguments["system"] and here.uid != 0:
        return {"problem": "watchdog_system needs become; set ansible_become: true", "changed": False}
    if arguments["check"] or not (present or entry):
        return _report(layout, [*present, *(["the cron entry"] if entry else [])], [], check=arguments["check"])
    try:
        kept = _remove(layout, user, here)
    except (RemoveError, OSError) as error:
        return {"problem": f"{layout.name}: {error}", "changed": True}
    return _report(layout, [*present, *(["the cron entry"] if entry else [])], kept, check=False)


def _bot_user(layout: Layout) -> Account | None:
    """The owner of the mail settings is the one that the bot was deployed for, whatever the inventory says now."""
    try:
        return account_of(os.stat(layout.smtp).st_uid)
    except OSError:
        return None


def _paths(layout: Layout) -> list[str]:
    paths = [layout.door, layout.base]
    return [layout.cron_file, layout.sudoers_file, *paths] if layout.system else paths


def _has_cron_entry(layout: Layout, here: Account) -> bool:
    if layout.system:
        return False  # it is one of the paths
    return any(mark in read_user_table(here.name, here.name) for mark in layout.cron_marks)


def _remove(layout: Layout, user: Account | None, here: Account) -> list[str]:
    put_back = _stop_cron(layout, here)
    try:
        kept = _retire(layout, user)
    except RemoveError:
        put_back()
        raise
    for path in (layout.sudoers_file if layout.system else "", layout.door):
        with contextlib.suppress(FileNotFoundError):
            if path:
                os.unlink(path)
    if os.path.isdir(layout.base):
        shutil.rmtree(layout.base)
    for folder in (os.path.dirname(layout.door), layout.root):
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # only an empty one goes: others may hold another bot
    return kept


def _stop_cron(layout: Layout, here: Account) -> Callable[[], None]:
    """Take the cron entry away, so that no tick starts a guard behind our back. Returns what puts it back."""
    if layout.system:
        if not os.path.exists(layout.cron_file):
            return lambda: None
        with open(layout.cron_file, encoding="utf-8") as file:
            before = file.read()
        os.unlink(layout.cron_file)
        return lambda: replace_text(layout.cron_file, before, 0o644)
    table = read_user_table(here.name, here.name)
    rest: list[str] = []
    skip = False
    for line in table.splitlines(keepends=True):
        if line.strip() in layout.cron_marks:
            skip = True
        elif skip:
            skip = False
        else:
            rest.append(line)
    if "".join(rest) == table:
        return lambda: None
    problem = write_user_table(here.name, here.name, "".join(rest))
    if problem:
        raise RemoveError(f"cannot take the lines out of the crontab: {problem}")
    return lambda: _put_table_back(here, table)


def _put_table_back(here: Account, table: str) -> None:
    write_user_table(here.name, here.name, table)


def _retire(layout: Layout, user: Account | None) -> list[str]:
    """End the guard and drop its state. Returns what the agent keeps because the bot is alive."""
    if user is None or not os.path.exists(layout.door) or not os.path.exists(layout.current):
        return []
    result = Door(layout, user).call("retire", "--purge", "--json")
    if result.code != 0:
        raise RemoveError(f"the guard could not be retired: {result.line}; nothing was removed, the bot is as it was")
    return [str(path) for path in (answer(result) or {}).get("kept", [])]


def _report(layout: Layout, removed: list[str], kept: list[str], *, check: bool) -> dict[str, Any]:
    if not removed:
        message = "nothing of the watchdog is here"
    elif check:
        message = f"would remove {', '.join(removed)}"
    else:
        message = "the watchdog is removed, the bot was left alone"
        message += f"; kept while the bot runs: {', '.join(kept)}" if kept else ""
    return {
        "problem": "",
        "changed": bool(removed),
        "removed": removed,
        "kept": kept,
        "message": f"{layout.name}: {message}",
    }
