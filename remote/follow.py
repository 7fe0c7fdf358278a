"""Logs of several hosts on one terminal: aligned prefixes, one writer, and an end that leaves nothing behind."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from typing import Any

from watchdog.states import SCHEMA

from . import answers
from .calls import Caller, CallSettings
from .commands import Request
from .errors import HostError
from .hosts import Host
from .parallel import Fleet, Job
from .report import action_exit_code
from .session import Completed
from .style import PREFIX_COLOURS, Style
from .terminal import Terminal
from .text import clean, pad, width

_BACKLOG = 10_000  # lines read ahead of a slow terminal; then the hosts wait
_NOISE = 20  # lines that are no JSON, kept to explain a failure


class LogPrinter:
    """Prints lines under their host's name; a single host needs no prefix."""

    def __init__(self, names: Sequence[str], terminal: Terminal, *, as_json: bool) -> None:
        self._terminal = terminal
        self._as_json = as_json
        columns = max(map(width, names), default=0)
        style = Style(terminal.out)
        self._prefixes = {
            name: style.paint(f"{pad(name, columns)} | ", PREFIX_COLOURS[position % len(PREFIX_COLOURS)])
            for position, name in enumerate(names)
        }
        self._alone = len(names) == 1

    def line(self, name: str, text: str, *, flush: bool = False) -> None:
        """One line of ``name``'s log."""
        if self._as_json:
            self._terminal.data(json.dumps({"schema": SCHEMA, "host": name, "line": text}), flush=flush)
        else:
            self._terminal.data(clean(text) if self._alone else self._prefixes[name] + clean(text), flush=flush)

    def problem(self, name: str, error: HostError) -> None:
        """A host that has nothing more to say, and why."""
        self._terminal.note(f"{name}: {clean(error)}")


class _HostLog:
    """What one host has sent that was no log line, in case it has to be explained."""

    def __init__(self) -> None:
        self.noise: list[bytes] = []

    def take(self, raw: bytes) -> str | None:
        """The log line in ``raw``, if it is one."""
        try:
            document: Any = json.loads(raw)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict) and document.get("schema") == SCHEMA and isinstance(document.get("line"), str):
            return str(document["line"])
        if len(self.noise) < _NOISE:
            self.noise.append(raw)
        return None


def follow(hosts: Sequence[Host], settings: CallSettings, request: Request, printer: LogPrinter) -> int:
    """Print what the hosts log until they all have ended. Returns the exit code for how they did.

    :raises KeyboardInterrupt: Ctrl-C, after every connection has been closed.
    """
    caller = Caller(settings, request)
    events: queue.Queue[tuple[str, str | None, HostError | None]] = queue.Queue(_BACKLOG)

    def work(job: Job) -> None:
        log = _HostLog()

        def on_line(raw: bytes) -> None:
            if (text := log.take(raw)) is not None:
                events.put((job.host.name, text, None))

        done, login = caller.follow(job, on_line)
        if done.exit_code != 0:
            explained = Completed(done.exit_code, b"\n".join(log.noise), done.stderr)
            answers.read(job.host, request.verb, explained, login)

    fleet: Fleet[None] = Fleet(hosts, work, threads=len(hosts), setup_limit=settings.setup_limit)

    def watch() -> None:
        for host, _, error in fleet.run():
            events.put((host.name, None, error))

    threading.Thread(target=watch, daemon=True).start()
    codes: list[int] = []
    try:
        while len(codes) < len(hosts):
            name, text, error = events.get()
            if text is not None:
                printer.line(name, text, flush=events.empty())
            else:
                codes.append(error.exit_code if error else 0)
                if error:
                    printer.problem(name, error)
    except BaseException:
        fleet.abort()
        caller.close()
        raise
    caller.close()
    return action_exit_code(codes)
