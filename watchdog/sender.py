"""The sender: a short-lived process that empties the outbox. It may hang: the kernel ends it after a minute."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

from . import clock, locks, mail, outbox, store
from .config import Config
from .errors import WatchdogError
from .journal import Journal
from .paths import Paths

LIFETIME = 60
"""Seconds until SIGALRM ends the process, whatever a name server or a mail server does (alarm(2))."""

GIVE_UP = 7 * 86400.0
"""Seconds after which an alert that no server took is set aside."""


def run(config: Config, paths: Paths, journal: Journal, from_stdin: bool) -> None:
    """Send what waits; alerts that the server takes are removed, the others stay for the next sender."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIFETIME)
    if from_stdin:
        _send(config, journal, [json.loads(sys.stdin.buffer.read())], [None], paths)
        return
    os.makedirs(paths.state_dir, mode=0o700, exist_ok=True)
    lock = locks.acquire(paths.outbox_lock)
    if lock is None:
        return
    try:
        if not os.access(os.path.join(paths.outbox, "new"), os.W_OK):
            return  # what cannot be removed after it was sent would be sent for ever
        outbox.clear_up(paths.outbox)
        tried: set[str] = set()
        while files := [file for file in outbox.pending(paths.outbox) if file not in tried]:  # more may come meanwhile
            tried.update(files)
            loaded = [(file, entry) for file in files if (entry := _load(file, paths)) is not None]
            if loaded:
                _send(config, journal, [entry for _, entry in loaded], [file for file, _ in loaded], paths)
    finally:
        os.close(lock)


def _send(
    config: Config, journal: Journal, entries: list[dict[str, Any]], files: list[str | None], paths: Paths
) -> None:
    def done(index: int, error: mail.DeliveryError | None) -> None:
        file, subject = files[index], entries[index].get("subject", "")
        if error is None:
            journal.say("alert", f"mail sent: {subject}")
            if file:
                with contextlib.suppress(FileNotFoundError):  # it may have given way to newer ones meanwhile
                    os.unlink(file)
        else:
            journal.say("warning", f"mail not taken: {subject}: {error}")
            if file and error.permanent:
                _bury(file, paths)

    try:
        mail.deliver(mail.settings(config.smtp), entries, done)
    except WatchdogError as error:
        journal.say("warning", f"mail not sent, {len(entries)} waiting: {error}")
        for file, entry in zip(files, entries):
            if file and clock.utc() - _written(entry) > GIVE_UP:
                _bury(file, paths)
    except Exception as error:  # never its text: it may quote a password
        journal.say("error", f"the sender failed with {type(error).__name__}; {len(entries)} alerts wait")


def _written(entry: dict[str, Any]) -> float:
    moment = entry.get("utc")
    return float(moment) if isinstance(moment, (int, float)) else 0.0


def _load(file: str, paths: Paths) -> dict[str, Any] | None:
    try:
        return store.load(file)
    except ValueError:
        _bury(file, paths)
        return None


def _bury(file: str, paths: Paths) -> None:
    with contextlib.suppress(OSError):
        os.rename(file, os.path.join(paths.outbox, "dead", os.path.basename(file)))
