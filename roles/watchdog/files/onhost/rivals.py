"""Finds whatever else on this host starts the bot or watches over it, and would bring a stopped bot back."""

from __future__ import annotations

import configparser
import glob
import json
import os
import pwd
import re
from collections.abc import Iterator
from typing import NamedTuple

from . import commandline, crontabs
from .commandline import Bot, finding
from .envsettings import same_bot
from .system import Account, read_text, run

_UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/user",
)
_SUPERVISOR_FILES = (
    "/etc/supervisord.conf",
    "/etc/supervisord.d/*.ini",
    "/etc/supervisor/*.conf",
    "/etc/supervisor/conf.d/*.conf",
)
_SHOWN = 160


class Rival(NamedTuple):
    """One find: where it stands, what it says, why it is in the way, and how to end it by hand."""

    where: str
    number: int
    text: str
    reason: str
    remedy: str
    retirable: bool = False

    def describe(self) -> str:
        """One line for the operator."""
        place = f"{self.where}, line {self.number}" if self.number else self.where
        text = self.text if len(self.text) <= _SHOWN else self.text[:_SHOWN] + "…"
        return f"{place} {self.reason}: {text}"


def find(bot: Bot, user: Account, users: list[str], own: str) -> list[Rival]:
    """Every rival that can be seen from here."""
    return [
        *_cron(bot, users, own),
        *_units(bot, user),
        *_supervisor(bot, user),
        *_pm2(bot, user),
        *_deployments(bot),
        *_processes(bot, user),
    ]


def _cron(bot: Bot, users: list[str], own: str) -> Iterator[Rival]:
    for table in crontabs.tables(users, own):
        for job in crontabs.jobs(table):
            home = os.path.expanduser(f"~{job.user}")
            variables = {"LOGNAME": job.user, "USER": job.user, **job.variables}
            reason = finding(job.command, bot, home, home, variables)
            if reason:
                deployed = reason == commandline.OTHER_DEPLOYMENT
                remedy = "take that deployment away with remove.yml" if deployed else "remove the line"
                yield Rival(table.where, job.number, job.line.strip(), reason, remedy, not deployed)


def _units(bot: Bot, user: Account) -> Iterator[Rival]:
    folders = [(folder, False) for folder in _UNIT_FOLDERS]
    folders += [(os.path.join(user.home, ".config/systemd/user"), True)]
    hints = ("watchdog", os.path.basename(bot.script), bot.app_dir)
    for folder, personal in folders:
        for path in sorted(glob.glob(os.path.join(folder, "*.service"))):
            text = read_text(path) or ""
            if not any(hint in text for hint in hints):
                continue
            directory = re.search(r"^WorkingDirectory=-?(.*)$", text, re.MULTILINE)
            cwd = directory[1].strip() if directory else "/"
            for number, line in enumerate(text.splitlines(), start=1):
                command = re.match(r"^Exec(?:Start|StartPre|StartPost|Reload)=[-@:+!|]*(.*)$", line)
                reason = finding(command[1], bot, cwd, user.home, {}) if command else None
                if reason and _in_use(os.path.basename(path), path, personal):
                    unit = os.path.basename(path)
                    scope = "systemctl --user" if personal else "systemctl"
                    yield Rival(path, number, line.strip(), reason, f"{scope} disable --now {unit}")


def _in_use(unit: str, path: str, personal: bool) -> bool:
    """Enabled at boot, started by a timer, or active now. A unit file that merely lies there harms nobody."""
    names = [unit, f"{unit[: -len('.service')]}.timer"]
    roots = {os.path.dirname(path), "/etc/systemd/system", "/run/systemd/system", "/etc/systemd/user"}
    for root in roots:
        for name in names:
            if glob.glob(os.path.join(root, "*.wants", name)) or glob.glob(os.path.join(root, "*.requires", name)):
                return True
    if personal:
        return False
    return any(run(["systemctl", "is-active", "--quiet", name], timeout=10).code == 0 for name in names)


def _supervisor(bot: Bot, user: Account) -> Iterator[Rival]:
    for pattern in _SUPERVISOR_FILES:
        for path in sorted(glob.glob(pattern)):
            text = read_text(path) or ""
            parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(" ;",))
            try:
                parser.read_string(text)
            except configparser.Error:
                continue
            for section in parser.sections():
                command = parser.get(section, "command", fallback="")
                cwd = parser.get(section, "directory", fallback="/")
                reason = finding(command, bot, cwd, user.home, {}) if section.startswith("program:") else None
                if reason:
                    number = 1 + next((n for n, line in enumerate(text.splitlines()) if command and command in line), 0)
                    remedy = f"supervisorctl stop {section[8:]} and take the section out of the file"
                    yield Rival(path, number, f"command={command}", reason, remedy)


def _pm2(bot: Bot, user: Account) -> Iterator[Rival]:
    for path in sorted({os.path.join(home, ".pm2/dump.pm2") for home in (user.home, pwd.getpwuid(0).pw_dir)}):
        try:
            entries = json.loads(read_text(path) or "[]")
        except ValueError:
            continue
        for entry in entries if isinstance(entries, list) else []:
            if not isinstance(entry, dict):
                continue
            args = entry.get("args") or []
            words = [str(entry.get("pm_exec_path", "")), *([args] if isinstance(args, str) else map(str, args))]
            reason = finding(" ".join(words), bot, str(entry.get("pm_cwd") or "/"), user.home, {})
            if reason:
                name = entry.get("name", "?")
                yield Rival(path, 0, f"{name}: {' '.join(words)}", reason, f"pm2 delete {name} && pm2 save")


def _deployments(bot: Bot) -> Iterator[Rival]:
    """A deployment beside ours under another name, found by its files: its cron entry may be switched off."""
    root = os.path.dirname(os.path.dirname(bot.door))
    for path in sorted(glob.glob(os.path.join(root, "*", "etc", "watchdog.env"))):
        name = os.path.basename(os.path.dirname(os.path.dirname(path)))
        if name != os.path.basename(bot.door) and same_bot(path, bot.script):
            reason = commandline.OTHER_DEPLOYMENT
            yield Rival(path, 0, f"watchdog_name {name}", reason, "take it away with remove.yml first")


def _processes(bot: Bot, user: Account) -> Iterator[Rival]:
    """Older watchdogs that run now: one that loops by itself needs no cron line."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                argv = file.read().decode(errors="replace").split("\0")[:-1]
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if len(argv) < 2 or pid == os.getpid() or "-c" in argv[1:3]:
            continue
        reason = finding(" ".join(argv), bot, cwd, user.home, {})
        wrapper = reason.partition(" through ")[2] if reason else ""
        if reason == commandline.OLD_WATCHDOG or (wrapper and commandline.loops(wrapper)):
            yield Rival(f"process {pid}", 0, " ".join(argv), reason or "", f"end it: kill {pid}")
