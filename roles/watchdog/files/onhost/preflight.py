"""Looks at the host before anything is changed: what is missing, what is in the way, what is there already."""

from __future__ import annotations

import glob
import os
import platform
import re
import shutil
import sys
from typing import Any

from . import rivals
from .commandline import Bot
from .crontabs import read_user_table
from .envsettings import DEFAULT_SCRIPT, read_settings, script_of
from .layout import Layout, current_release, fingerprints, kept_releases, locate, open_digest, wanted_folders
from .logind import kills_user_processes, lingers
from .system import Account, account, account_of, expand, login_name, read_text, run, run_as

_USER_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9._-]*$")
_ARCHITECTURES = ("x86_64", "aarch64")
_PROBE = """
import os, sys
app, script, python, env = sys.argv[1:5]
def say(text):
    print(text)
    sys.exit(1)
if not os.path.isdir(app):
    say("watchdog_app_dir: %s may not be a directory" % app)
if not os.access(app, os.R_OK | os.X_OK):
    say("watchdog_app_dir: %s may not be entered by the bot's user; give it to that user" % app)
for name, path in (("watchdog_app_script", script), ("watchdog_app_env_file", env)):
    if path and not (os.path.isfile(path) and os.access(path, os.R_OK)):
        say("%s: no file that the bot's user may read at %s" % (name, path))
if python and not (os.path.isfile(python) and os.access(python, os.X_OK)):
    say("watchdog_app_python: nothing that the bot's user may run at %s" % python)
"""


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Everything the role has to know about this host. `problems` is empty exactly where a deploy may begin."""
    login = login_name(arguments["login"])
    user = account(arguments["user"] or login)
    if user is None:
        return {"problems": [f"watchdog_user: this host has no user {arguments['user'] or login}; create it first"]}
    layout = locate(arguments["name"], arguments["root"], arguments["system"], user.home)
    problems = [*_ground(arguments), *_user_problems(arguments, user, login)]
    found: list[rivals.Rival] = []
    if not problems:
        problems += _app_problems(arguments, user)
    if not problems:
        problems += _release_problems(arguments, layout)
        bot = _bot(arguments, user, layout)
        problems += _name_problems(layout, bot, user)
        found = rivals.find(bot, user, sorted(_table_owners(user, login, layout)), _own_name())
        problems += [_rival_problem(rival) for rival in found if not (rival.retirable and arguments["retire_old"])]
    sudo_rule = layout.system and login not in {user.name, "root"} and bool(_visudo())
    return {
        "problems": problems,
        "notes": _notes(arguments, user, login),
        "user": user.name,
        "group": user.group,
        "login": login,
        "arch": platform.machine(),
        "root": layout.root,
        "base": layout.base,
        "door": layout.door,
        "current": current_release(layout),
        "releases": kept_releases(layout),
        "folders": wanted_folders(layout, user),
        "files": fingerprints(layout),
        "settings_digest": open_digest(layout),
        "rivals": [rival._asdict() for rival in found],
        "sudo_rule": sudo_rule,
        "stale_sudo_rule": layout.system and not sudo_rule and os.path.exists(layout.sudoers_file),
        "visudo": _visudo(),
        "cron_entry": _cron_entry(layout, user),
    }


def _ground(arguments: dict[str, Any]) -> list[str]:
    problems = []
    if sys.version_info < (3, 9):  # noqa: UP036 - that is to be found out here
        problems.append(
            f"python: 3.9 or newer is needed and {sys.executable} is {platform.python_version()}; "
            "install a newer one and name it in watchdog_python"
        )
    release = platform.release()
    version = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if platform.system() != "Linux" or version < (5, 3):
        problems.append(f"kernel: Linux 5.3 or newer is needed (pidfd) and this is {platform.system()} {release}")
    if platform.machine() not in _ARCHITECTURES:
        problems.append(f"architecture: {platform.machine()} is not one of {', '.join(_ARCHITECTURES)}")
    elif glob.glob("/lib/ld-musl-*") and not glob.glob("/lib*/ld-linux-*"):
        problems.append("libc: glibc is needed and this host has musl")
    if "--no-fork" not in _help("flock") or not _which("setpriv"):
        problems.append("util-linux: its flock and setpriv are needed; install the package util-linux")
    return [*problems, *(_cron_problems(arguments) if arguments["cron"] else [])]


def _cron_problems(arguments: dict[str, Any]) -> list[str]:
    hint = "install the package cron, or set watchdog_cron: false and start the guard at boot in your own way"
    if not arguments["system"]:
        if not _which("crontab"):
            return [f"cron: there is no crontab command; {hint}"]
        answer = run(["crontab", "-l"])
        if answer.code != 0 and "not allowed" in answer.err:
            return [f"cron: {answer.line}; have the user allowed in /etc/cron.allow, or set watchdog_cron: false"]
        return []
    if not os.path.isdir("/etc/cron.d") or not any(_which(name) for name in ("cron", "crond")):
        return [f"cron: it is not installed; {hint}"]
    return []


def _user_problems(arguments: dict[str, Any], user: Account, login: str) -> list[str]:
    problems = []
    euid = os.geteuid()
    if arguments["system"] and euid != 0:
        problems.append("root: watchdog_system needs become; set ansible_become: true, or watchdog_system: false")
    if not arguments["system"] and user.uid != euid:
        problems.append(
            f"watchdog_user: without watchdog_system the bot runs as the user that logs in ({_own_name()}), not as "
            f"{user.name}; log in as {user.name} and leave become off"
        )
    odd = [name for name in (user.name, login) if not _USER_NAME.match(name)]
    if odd:
        problems.append(f"watchdog_user: the user name {odd[0]!r} cannot stand in cron's and sudo's files")
    if user.uid == 0 and not arguments["allow_root"]:
        problems.append("watchdog_user: the bot would run as root; name its own user, or set watchdog_allow_root: true")
    if not os.path.isdir(user.home):
        problems.append(f"watchdog_user: {user.name} has no home directory ({user.home}), where the locks belong")
    return problems


def _app_problems(arguments: dict[str, Any], user: Account) -> list[str]:
    app = expand(arguments["app_dir"], user.home)
    if not os.path.isabs(app):
        return ["watchdog_app_dir: name the bot's project directory on the host, as an absolute path"]

    def path(key: str, default: str = "") -> str:
        value = arguments[key] or default
        return os.path.join(app, expand(value, user.home)) if value else ""

    script, python = path("app_script", DEFAULT_SCRIPT), path("app_python")
    if not os.path.isdir(app):
        return [f"watchdog_app_dir: there is no directory {app} on this host"]
    probe = run_as(user, [sys.executable, "-I", "-S", "-c", _PROBE, app, script, python, path("app_env_file")])
    if probe.code != 0:
        return [probe.line]
    if python and run_as(user, [python, "-c", ""]).code != 0:
        return [f"watchdog_app_python: {python} does not run; is it a Python interpreter?"]
    return []


def _release_problems(arguments: dict[str, Any], layout: Layout) -> list[str]:
    wanted, kept = arguments["release"], kept_releases(layout)
    if not wanted or wanted in kept:
        return []
    return [f"watchdog_release: {wanted} is not on this host; kept here: {', '.join(kept) or 'none'}"]


def _bot(arguments: dict[str, Any], user: Account, layout: Layout) -> Bot:
    app = os.path.realpath(expand(arguments["app_dir"], user.home))
    script = expand(arguments["app_script"] or DEFAULT_SCRIPT, user.home)
    return Bot(app, os.path.realpath(os.path.join(app, script)), layout.door)


def _name_problems(layout: Layout, bot: Bot, user: Account) -> list[str]:
    settings = read_settings(layout.settings)
    if not settings or script_of(settings, user.home) == bot.script:
        return []
    other = script_of(settings, user.home)
    hint = "give this bot a name of its own, or take the other away with remove.yml first"
    return [f"watchdog_name: {layout.name} is already deployed here for {other}; {hint}"]


def _rival_problem(rival: rivals.Rival) -> str:
    by_role = ", or set watchdog_retire_old: true to have it commented out" if rival.retirable else ""
    return f"{rival.describe()} — {rival.remedy}{by_role}"


def _table_owners(user: Account, login: str, layout: Layout) -> set[str]:
    return {user.name, "root", login} if layout.system else {user.name}


def _notes(arguments: dict[str, Any], user: Account, login: str) -> list[str]:
    notes = []
    if arguments["cron"] and not _runs({"cron", "crond"}):
        notes.append("cron is installed but does not run: until it does, nothing starts the guard at boot")
    if not arguments["system"] and kills_user_processes() and not lingers(user):
        notes.append(
            f"KillUserProcesses=yes: what this deploy starts ends with the login and cron brings it back; "
            f"`loginctl enable-linger {user.name}` keeps it"
        )
    if arguments["system"] and login not in {user.name, "root"} and not _visudo():
        notes.append(f"sudo is not installed: {login} cannot run the bot's door as {user.name}, so fab will not work")
    return notes


def _cron_entry(layout: Layout, user: Account) -> bool:
    if layout.system:
        return os.path.exists(layout.cron_file)
    if not _which("crontab"):
        return False
    return any(mark in read_user_table(user.name, _own_name()) for mark in layout.cron_marks)


def _runs(names: set[str]) -> bool:
    return any((read_text(path) or "").strip() in names for path in glob.glob("/proc/[0-9]*/comm"))


def _own_name() -> str:
    current = account_of(os.geteuid())
    return current.name if current else ""


def _which(name: str) -> str | None:
    return shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def _visudo() -> str:
    return _which("visudo") or ""


def _help(tool: str) -> str:
    return run([tool, "--help"]).out if _which(tool) else ""
