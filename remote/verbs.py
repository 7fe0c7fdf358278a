"""What each verb does once the hosts are known: call them side by side, show the answers, return the exit code."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .answers import Answer, shown_lines
from .calls import Caller, CallSettings
from .commands import Request, Verb, action_options, explain_options, logs_options, maintenance_options, operator
from .errors import HostError, UsageError
from .follow import LogPrinter, follow
from .hosts import Host, host_from_variables
from .inventory import Inventory
from .outcome import host_width, outcome_line
from .parallel import Fleet
from .progress import Progress
from .report import Report, as_json, exit_code, report
from .style import Style
from .table import cut_events, draw, rows, summary
from .terminal import Terminal
from .text import clean

_MANY = 4  # names shown in a question
_SOURCES = ("app", "watchdog", "events")


@dataclass(frozen=True)
class Selection:
    """The hosts of this command and how they are to be called."""

    inventory: Inventory
    names: tuple[str, ...]
    explicit: bool
    """Named with -H, not merely "every bot"."""
    settings: CallSettings
    threads: int = 20
    dry: bool = False


class Control:
    """One remote verb over one selection. Every method returns the exit code of ``fab``."""

    def __init__(self, selection: Selection, terminal: Terminal | None = None) -> None:
        self._selection = selection
        self._terminal = terminal or Terminal()
        self._hosts: list[Host] = []
        self._misread: list[Report] = []
        for name in selection.names:
            try:
                variables = selection.inventory.hosts[name]
                self._hosts.append(host_from_variables(name, variables, selection.inventory.settings))
            except HostError as error:
                self._misread.append(Report(name, error=error))

    def status(self, *, json_output: bool) -> int:
        """The table, or its JSON."""
        request = Request(Verb.STATUS)
        if self._selection.dry:
            return self._dry_run(request)
        with self._progress() as progress:
            reports = list(self._in_order(self._reports(request, progress)))
        if json_output:
            self._json(request, reports)
        else:
            table = rows(reports, datetime.now(UTC))
            for line in draw(table, self._terminal.columns, Style(self._terminal.out)):
                self._terminal.data(line)
            self._remarks(reports, cut_events(table, self._terminal.columns))
        return exit_code(Verb.STATUS, (item.exit_code for item in reports))

    def act(self, verb: Verb, *, reason: str | None, yes: bool, json_output: bool, serial: str | None = None) -> int:
        """start, stop, restart or reset; with ``serial`` so many hosts at a time, and no further after a failure."""
        request = Request(verb, action_options(_operator(), reason))
        return self._change(request, yes=yes, json_output=json_output, serial=serial)

    def maintenance(
        self, word: str | None, *, duration: str | None, reason: str | None, yes: bool, json_output: bool
    ) -> int:
        """Switch it on or off, or show it."""
        if word not in (None, "on", "off"):
            raise UsageError(f"maintenance takes on or off, not {word!r}: fab maintenance on --for 2h --reason TEXT")
        if word != "on" and duration:
            raise UsageError("--for goes with on: fab maintenance on --for 2h")
        request = Request(Verb.MAINTENANCE, maintenance_options(word, duration, reason, _operator()))
        return self._change(request, yes=yes or word is None, json_output=json_output)

    def alert_test(self, *, json_output: bool) -> int:
        """Have every host send one mail now."""
        return self._change(Request(Verb.ALERT_TEST), yes=True, json_output=json_output)

    def explain(self, *, count: str, since: str | None, json_output: bool) -> int:
        """The last decisions of every host's watchdog, each with its reason."""
        if not count.isdecimal():
            raise UsageError(f"--lines takes a number, not {count!r}")
        request = Request(Verb.EXPLAIN, explain_options(int(count), since))
        if self._selection.dry:
            return self._dry_run(request)
        printer = LogPrinter([host.name for host in self._hosts], self._terminal, as_json=False)
        return self._print_lines(request, printer, json_output=json_output)

    def logs(
        self,
        *,
        lines: str,
        follow_on: bool,
        since: str | None,
        grep: str | None,
        source: str | None,
        json_output: bool,
    ) -> int:
        """The last lines of every host's log, and with ``follow_on`` what comes."""
        if not lines.isdecimal():
            raise UsageError(f"--lines takes a number, not {lines!r}")
        if source is not None and source not in _SOURCES:
            raise UsageError(f"--source takes {', '.join(_SOURCES)}, not {source!r}")
        options = logs_options(int(lines), follow=follow_on, since=since, grep=grep, source=source)
        request = Request(Verb.LOGS, options)
        if self._selection.dry:
            return self._dry_run(request)
        names = [host.name for host in self._hosts]
        printer = LogPrinter(names, self._terminal, as_json=json_output and follow_on)
        if follow_on:
            for misread in self._misread:
                assert misread.error
                printer.problem(misread.host, misread.error)
            code = follow(self._hosts, self._selection.settings, request, printer) if self._hosts else 0
            return exit_code(Verb.LOGS, [code, *(item.exit_code for item in self._misread)])
        return self._print_lines(request, printer, json_output=json_output)

    def _print_lines(self, request: Request, printer: LogPrinter, *, json_output: bool) -> int:
        reports = []
        with self._progress() as progress:
            for item in self._in_order(self._reports(request, progress)):
                reports.append(item)
                if json_output:
                    continue
                with progress.hidden():
                    if item.error:
                        printer.problem(item.host, item.error)
                    for line in shown_lines(item.document):
                        printer.line(item.host, line)
        if json_output:
            self._json(request, reports)
        return exit_code(request.verb, (item.exit_code for item in reports))

    def _change(self, request: Request, *, yes: bool, json_output: bool, serial: str | None = None) -> int:
        """A verb that changes something: ask if need be, one line per host as soon as it is its turn."""
        batches = self._batches(serial)
        if self._selection.dry:
            return self._dry_run(request)
        if not yes:
            self._ask(request.verb)
        style = Style(self._terminal.out)
        column = host_width(list(self._selection.names))
        reports: list[Report] = []
        with self._progress() as progress:
            for batch in batches:
                for item in self._in_order(self._reports(request, progress, batch), batch):
                    reports.append(item)
                    if not json_output:
                        with progress.hidden():
                            self._terminal.data(outcome_line(item, column, style), flush=True)
                if serial and any(item.exit_code for item in reports):
                    break
        if json_output:
            self._json(request, reports)
        if untouched := [name for name in self._selection.names if name not in {item.host for item in reports}]:
            self._terminal.note(f"not touched after that failure: {', '.join(untouched)}")
        return exit_code(request.verb, (item.exit_code for item in reports))

    def _batches(self, serial: str | None) -> list[tuple[str, ...]]:
        names = self._selection.names
        if serial is None:
            return [names]
        if not re.fullmatch(r"[1-9][0-9]*", serial):
            raise UsageError(f"--serial takes a number of hosts, not {serial!r}")
        step = int(serial)
        return [names[start : start + step] for start in range(0, len(names), step)]

    def _ask(self, verb: Verb) -> None:
        """More than one host without -H may be a slip of the finger at 3 a.m."""
        names = self._selection.names
        if self._selection.explicit or len(names) < 2:
            return
        shown = ", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
        if not self._terminal.interactive:
            raise UsageError(
                f"`fab {verb.value}` without -H would reach {len(names)} hosts ({shown}): name them, or add --yes"
            )
        if not self._terminal.confirm(f"{verb.value} on {len(names)} hosts ({shown})?"):
            raise UsageError("nothing done")

    def _reports(self, request: Request, progress: Progress, names: Sequence[str] | None = None) -> Iterator[Report]:
        """Reports as they come, for all hosts or for those in ``names``."""
        wanted = set(names if names is not None else self._selection.names)
        for misread in self._misread:
            if misread.host in wanted:
                progress.answered(misread.host)
                yield misread
        caller = Caller(self._selection.settings, request)
        hosts = [host for host in self._hosts if host.name in wanted]
        limit = self._selection.settings.setup_limit
        fleet: Fleet[Answer] = Fleet(hosts, caller.call, threads=self._selection.threads, setup_limit=limit)
        answered: set[str] = set()
        try:
            for host, answer, error in fleet.run():
                answered.add(host.name)
                progress.answered(host.name)
                yield report(host, answer, error)
        except KeyboardInterrupt:
            fleet.abort()
            missing = ", ".join(host.name for host in hosts if host.name not in answered)
            with progress.hidden():
                self._terminal.note(f"interrupted; no answer yet from {missing}: look with `fab status`")
            raise
        finally:
            caller.close()

    def _in_order(self, reports: Iterator[Report], names: Sequence[str] | None = None) -> Iterator[Report]:
        """The reports in inventory order, each as soon as all before it are there."""
        arrived: dict[str, Report] = {}
        turn = iter(names if names is not None else self._selection.names)
        name = next(turn, None)
        for item in reports:
            arrived[item.host] = item
            while name in arrived:
                yield arrived[name]
                name = next(turn, None)

    def _dry_run(self, request: Request) -> int:
        caller = Caller(self._selection.settings, request)
        codes = []
        for item in self._misread:
            self._terminal.note(f"{item.host}: {clean(item.error)}")
            codes.append(item.exit_code)
        for host in self._hosts:
            try:
                self._terminal.data(f"{host.name}: {caller.describe(host)}")
            except HostError as error:
                self._terminal.note(f"{host.name}: {clean(error)}")
                codes.append(error.exit_code)
        return exit_code(request.verb, codes)

    def _remarks(self, reports: Sequence[Report], events: Mapping[str, str]) -> None:
        """Everything that does not fit a table, host by host on standard error."""
        style = Style(self._terminal.error)
        remarks: list[str] = []
        for item in reports:
            if event := events.get(item.host):
                remarks.append(f"{style.paint(item.host, 'bold')}: {event}")
            if item.error:
                remarks.append(f"{style.paint(item.host, 'bold', 'red')}: {clean(item.error)}")
            warnings: Any = item.document.get("warnings")
            lead = f"{style.paint(item.host, 'bold')}: {style.paint('warning', 'yellow')}"
            remarks.extend(f"{lead}: {clean(text)}" for text in (warnings if isinstance(warnings, list) else ()))
        if self._terminal.columns:
            if len(reports) > 1:
                remarks.append(summary(reports))
            if remarks:
                remarks.insert(0, "")
        for remark in remarks:
            self._terminal.note(remark)

    def _progress(self) -> Progress:
        return Progress(self._selection.names, self._terminal.columns or 80)

    def _json(self, request: Request, reports: Sequence[Report]) -> None:
        # ASCII only: C1 controls and bidirectional marks of a hostile host stay escaped.
        self._terminal.data(json.dumps(as_json(request.verb, reports), indent=2, ensure_ascii=True))


def _operator() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return operator(user, socket.gethostname())
