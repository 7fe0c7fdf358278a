"""Writing down what the engine did: state, events, PID file, alerts. Best effort, and always after the deed."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, NamedTuple

from . import __version__, clock, decision, identity, model, pidfile, procfs, redact, snapshot
from .config import Config
from .decision import Decision
from .instance import Instance
from .journal import Journal
from .lastwords import Span
from .paths import Paths


class Effect(NamedTuple):
    """An action of the policy, the end of the bot that was the last one then, and the decision that it comes from."""

    action: model.Action
    end: dict[str, Any] | None
    decision: Decision | None = None


AlertSink = Callable[[str, str, dict[str, Any]], None]


class Recorder:
    """Remembers what is on disk already, and says a failure once instead of every time."""

    def __init__(self, config: Config, paths: Paths, journal: Journal, alert: AlertSink) -> None:
        self._config, self._paths, self._journal, self._alert = config, paths, journal, alert
        self._saved: snapshot.Snapshot | None = None
        self._failed = False

    def load(self) -> tuple[snapshot.Snapshot, str | None]:
        """What was remembered, and a sentence when that could not be used. Clears up after writers that were killed."""
        for path in (self._paths.state_file, self._config.pid_file):
            _clear_up(path)
        try:
            return snapshot.load(self._paths.state_file), None
        except ValueError as error:
            return snapshot.Snapshot(), f"state could not be used and begins anew: {error}"

    def save(self, current: snapshot.Snapshot) -> None:
        """Write state.json when something changed."""
        if current == self._saved:
            return
        try:
            snapshot.save(self._paths.state_file, current)
            self._saved, self._failed = current, False
        except OSError as error:
            if not self._failed:
                self._journal.say(
                    "warning", f"cannot write {self._paths.state_file}: {error.strerror}; going on without it"
                )
            self._failed = True

    def tell(self, effects: list[Effect], current: snapshot.Snapshot) -> None:
        """Events first, alerts last."""
        pid = current.bot.pid if current.bot else None
        before: Decision | None = None
        for action, end, made in effects:
            if not isinstance(action, model.Note):
                continue
            fields: dict[str, Any] = {"pid": end["pid"], "exit": end} if action.kind == "died" and end else {"pid": pid}
            if made:
                same = made is before  # told by an event before this one
                fields["decision"] = {"same": True} if same else decision.document(made, clock.boot_id(), __version__)
            before = made
            self._journal.event(action.kind, action.text, action.level, **fields)
        for action, end, _ in effects:
            if isinstance(action, model.Alert):
                self._alert(action.kind, action.text, {"last_exit": end, "bot_out": self._paths.bot_out})

    def last_lines(self, said: Span) -> list[str]:
        """What a bot printed last, without its secrets. Nothing where there is no memory for it: that is no news."""
        try:
            return said.lines(redact.secrets(self._config))
        except MemoryError:
            return []

    def write_pid_file(self, pid: int) -> None:
        """Name the verified holder of the lock in the PID file."""
        path = self._config.pid_file
        if identity.read_pid_file(path) == pid:
            return
        try:
            pidfile.write_pid_file(path, pid)
        except OSError as error:
            self._journal.say("warning", f"cannot write {path}: {error.strerror}; going on without it")

    def vouch(self, instance: Instance, found: identity.Identity) -> None:
        """Say whom we hold the lock for: its own ``create_pid_file()``, if it comes later, must not give up."""
        try:
            pidfile.write_voucher(instance.directory, found.pid, found.start, found.boot)
        except OSError as error:
            self._journal.say("warning", f"cannot write to {instance.directory}: {error.strerror}; going on")

    def remove_stale_pid_file(self) -> None:
        """Remove a PID file that names a number. Call it only under the bot's lock, when no bot was found."""
        path = self._config.pid_file
        if identity.read_pid_file(path) is None:
            return
        try:
            os.unlink(path)
            self._journal.say("info", f"stale PID file removed: {path}")
        except OSError as error:
            self._journal.say("warning", f"cannot remove the stale {path}: {error.strerror}")


def _clear_up(path: str) -> None:
    """Remove the temporary files of writers that were killed between writing and renaming."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            writer = (
                entry[len(name) + 1 : -len(".tmp")] if entry.startswith(f"{name}.") and entry.endswith(".tmp") else ""
            )
            if writer.isdigit() and procfs.stat(int(writer)) is None:
                os.unlink(os.path.join(folder, entry))
