"""Makes a staged release and the installed settings the ones in force, and leaves a running bot alone.

`current` moves in one step, the guard goes on as the new release only where something changed, and one that refuses it
or does not come up takes the host back to the release it had.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import importlib.util
import json
import os
import shutil
from typing import Any

from . import crontabs
from .agent import Door
from .layout import Layout, current_release, kept_releases
from .stage import precompile
from .system import Account, account, account_of, read_text, replace_text

_SETTLE_S = 10.0


class ActivateError(Exception):
    """The deploy could not be completed; the text says where the host stands now."""


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Activate, or in check mode tell what would be done. Returns problem, changed, message and status."""
    layout = Layout(arguments["name"], arguments["root"], arguments["system"])
    user = account(arguments["user"])
    if user is None:
        return {"problem": f"this host has no user {arguments['user']}"}
    if not arguments["check"] and arguments["release"] not in kept_releases(layout):
        return {
            "problem": f"{layout.name}: release {arguments['release']} is not on this host yet; deploy without --tags"
        }
    step = _Activation(arguments, layout, user)
    try:
        return step.foretell() if arguments["check"] else step.perform()
    except (ActivateError, OSError) as error:
        return {"problem": f"{layout.name}: {error}", "changed": bool(step.changes)}


class _Activation:
    """One activation, from the old lines that are retired to the releases that are dropped."""

    def __init__(self, arguments: dict[str, Any], layout: Layout, user: Account) -> None:
        self.arguments, self.layout, self.user = arguments, layout, user
        self.door = Door(layout, user)
        self.release: str = arguments["release"]
        self.previous = current_release(layout)
        self.moves = self.previous != self.release
        self.changes: list[str] = []

    def foretell(self) -> dict[str, Any]:
        """What a deploy would change here, without changing it."""
        status = self.door.status() if self.previous else {}
        pending = bool(self.arguments["pending"]) or self._applied() != self._in_force()
        if self.arguments["rivals"]:
            self.changes.append("would comment out " + ", ".join(_places(self.arguments["rivals"])))
        if self.moves:
            self.changes.append(f"release was {self.previous or 'none'}")
        if self.previous is None:
            self.changes.append(self._first_plan())
        elif not _lives(status):
            self.changes.append("would start the guard")
        elif self.moves or pending:
            self.changes.append("would upgrade the guard, the bot stays")
        return self._report(status, "check mode")

    def perform(self) -> dict[str, Any]:
        """Do it."""
        before = self.door.status() if self.previous else {}
        self._retire_rivals()
        self._compile()
        try:
            if self.moves:
                self._point_to(self.release)
                self.changes.append(f"release was {self.previous or 'none'}")
            if "state" not in before:
                before = self.door.status()
            if self.previous is None:
                self._record_stop(before)
            changed = self._applied() != self._in_force()
            self._ensure_guard(before, changed)
        except (ActivateError, OSError) as error:
            raise ActivateError(f"{error}; {self._go_back()}") from None
        status = self.door.settle(_SETTLE_S + float(self.arguments["start_grace"] or 0))
        if changed:
            replace_text(self.layout.applied, self._in_force(), 0o600)
        self._prune()
        return self._judge(before, status, changed)

    def _first_plan(self) -> str:
        return "would start the bot" if self.arguments["start"] else "would record `stop`, so that the bot stays down"

    def _retire_rivals(self) -> None:
        wanted: dict[str, list[dict[str, Any]]] = {}
        for rival in self.arguments["rivals"]:
            wanted.setdefault(rival["where"], []).append(rival)
        if not wanted:
            return
        current = account_of(os.geteuid())
        own = current.name if current else ""
        users = [where[len("crontab of ") :] for where in wanted if where.startswith("crontab of ")]
        for table in crontabs.tables(users, own):
            rivals = wanted.pop(table.where, [])
            lines = table.text.split("\n")
            if any(lines[rival["number"] - 1].strip() != rival["text"] for rival in rivals):
                raise ActivateError(f"{table.where} changed while we looked at it; deploy again")
            if rivals:
                mark = f"# retired by dca-watchdog {self.layout.name}:"
                problem = crontabs.retire(table, [rival["number"] for rival in rivals], mark, own)
                if problem:
                    raise ActivateError(f"cannot comment out the older watchdog: {problem}")
                self.changes.append("commented out " + ", ".join(_places(rivals)))
        if wanted:
            raise ActivateError(f"{', '.join(wanted)} changed while we looked at it; deploy again")

    def _compile(self) -> None:
        """A new Python of the host finds no bytecode of its version; the release itself stays as it is."""
        folder = os.path.join(self.layout.releases, self.release)
        if not os.path.exists(importlib.util.cache_from_source(os.path.join(folder, "lib", "watchdog", "__init__.py"))):
            precompile(folder)

    def _point_to(self, release: str) -> None:
        link = f"{self.layout.current}.{os.getpid()}"
        os.symlink(os.path.join("releases", release), link)
        os.rename(link, self.layout.current)
        os.utime(os.path.join(self.layout.releases, release))

    def _go_back(self) -> str:
        """Undo the change of `current`. Returns where the host stands now."""
        if not self.moves:
            return "the release did not change"
        if self.previous is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.layout.current)
            return "nothing is active"
        self._point_to(self.previous)
        again = self.door.guard(replace=False, new=True)
        return f"back on {self.previous}" + ("" if again.code == 0 else f", whose guard says: {again.line}")

    def _record_stop(self, status: dict[str, Any]) -> None:
        """With watchdog_start: false the operator's word stands before a first guard could start the bot."""
        if self.arguments["start"] or status.get("pid") or status.get("desired_since"):
            return
        words = ["stop", "--by", self.arguments["by"], "--reason", "first deploy with watchdog_start: false", "--json"]
        result = self.door.call(*words)
        if result.code != 0:
            raise ActivateError(f"`stop` could not be recorded: {result.line}")
        self.changes.append("recorded `stop`")

    def _ensure_guard(self, before: dict[str, Any], changed: bool) -> None:
        result = self.door.guard(replace=changed and bool(before.get("guard")), new=changed or not _lives(before))
        if result.code != 0:
            raise ActivateError(f"{self.release} did not become the guard: {result.line}")

    def _applied(self) -> str:
        return read_text(self.layout.applied) or ""

    def _in_force(self) -> str:
        """What a guard is started with: release, settings and door, as a hash that tells nothing about the secrets."""
        seen = hashlib.sha256(self.release.encode())
        for path in (self.layout.settings, self.layout.smtp, self.layout.door):
            seen.update(f"\0{path}\0{read_text(path)}".encode(errors="surrogateescape"))
        return json.dumps({"release": self.release, "sha256": seen.hexdigest()}) + "\n"

    def _prune(self) -> None:
        keep = max(1, int(self.arguments["keep"]))
        used = self._releases_in_use() | {self.release}
        for release in [name for name in kept_releases(self.layout) if name not in used][max(0, keep - 1) :]:
            shutil.rmtree(os.path.join(self.layout.releases, release))
            self.changes.append(f"dropped release {release}")

    def _releases_in_use(self) -> set[str]:
        """Releases that a process was started from: an old guard may still be on its way out."""
        prefix, found = self.layout.releases + "/", set()
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            for word in (read_text(path) or "").split("\0"):
                if word.startswith(prefix):
                    found.add(word[len(prefix) :].split("/", 1)[0])
        return found

    def _judge(self, before: dict[str, Any], status: dict[str, Any], changed: bool) -> dict[str, Any]:
        old, new = before.get("pid"), status.get("pid")
        guards = [(said.get("guard") or {}).get("pid") for said in (before, status)]
        if guards[0] != guards[1]:
            self.changes.append("guard replaced" if guards[0] else "guard started")
        elif guards[0] and changed:
            self.changes.append("guard upgraded")
        if old and new == old:
            did = "adopted" if self.changes and guards[0] != guards[1] else "left alone"
        elif new:
            did = f"was PID {old}" if old else "started"
        else:
            did = "not started"
        report = self._report(status, did)
        if status.get("error"):
            report["problem"] = f"{self.layout.name}: the guard is up, but status says: {status['error']}"
        elif self.previous is None and self.arguments["start"] and status.get("desired") == "run" and not new:
            last = (status.get("last_exit") or {}).get("text") or "see logs/bot.out"
            report["problem"] = (
                f"{self.layout.name}: the watchdog is installed and keeps trying, but the bot does not stay up "
                f"({status.get('state')}: {last})"
            )
        return report

    def _report(self, status: dict[str, Any], did: str) -> dict[str, Any]:
        pid = f"PID {status['pid']}" if status.get("pid") else "no PID"
        state = status.get("state") or "not deployed"
        resting = " (maintenance)" if status.get("maintenance") else ""
        message = f"{self.layout.name}: {state}{resting}, {pid}, release {self.release}, {did}"
        return {
            "problem": "",
            "changed": bool(self.changes),
            "message": " · ".join([message, *self.changes]),
            "status": status,
        }


def _lives(status: dict[str, Any]) -> bool:
    return bool((status.get("guard") or {}).get("answers"))


def _places(rivals: list[dict[str, Any]]) -> list[str]:
    return [f"{rival['where']} line {rival['number']}" for rival in rivals]
