"""The verbs but `guard`: each takes the context of the command line and returns its exit code."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from typing import Any, Callable

from . import (
    clock,
    control,
    deadline,
    foreground,
    identity,
    instance,
    locks,
    logs,
    operate,
    outbox,
    replay,
    report,
    screen,
    tick,
    wish,
)
from .cli import Context
from .errors import BusyError, UsageError, WatchdogError
from .states import ExitCode, State, status_exit_code

PURGE_WAIT = 3.0
"""Seconds for whoever holds the guard's lock to let go of it."""

ALERT_TEST = 60
"""Seconds for one test mail."""


def act(context: Context) -> int:
    """start, stop, restart, reset, check."""
    verb = context.arguments.verb
    reason = getattr(context.arguments, "reason", "")
    deadline.extend(operate.longest(context.config, verb))
    answer = operate.operate(context.config, context.instance, context.paths, context.journal, verb, context.by, reason)
    code = int(answer["exit_code"])
    if verb == "check":
        context.journal.console = False  # the sentence below is for the console, this one is for the log
        context.journal.say("ok" if answer["ok"] else "error", f"check: {answer['message']}")
    quiet = verb == "check" and code == 0 and not sys.stdout.isatty()
    context.answer(answer, "" if quiet else _sentence(context, answer))
    return code


def _sentence(context: Context, answer: dict[str, Any]) -> str:
    mark = "✅" if answer["ok"] else "❌"
    text = f"{mark} {context.config.name}: {answer['message']}"
    if answer["old_pid"] and answer["pid"] and answer["action"] == "restarted":
        text = f"{mark} {context.config.name}: restarted, PID {answer['old_pid']} → PID {answer['pid']}"
    if answer["verified_after_s"] is not None:
        text += f", verified after {answer['verified_after_s']:.1f} s"
    return text


def status(context: Context) -> int:
    """status."""
    found = report.status(context.config, context.instance, context.paths)
    text = screen.status(found, context.arguments.verbose)
    context.answer(found, text)
    return int(ExitCode.FAILED if found["duplicates"] else status_exit_code(State(found["state"])))


def show_logs(context: Context) -> int:
    """logs."""
    arguments = context.arguments
    if arguments.lines < 0:
        raise UsageError(f"--lines {arguments.lines}: a number of lines cannot be negative")
    places = {
        "app": context.config.app_log or context.paths.bot_out,
        "watchdog": context.paths.log_file,
        "events": context.paths.events_file,
    }
    path = places[arguments.source]
    wanted = logs.pattern(arguments.grep)
    since = None if arguments.since is None else logs.moment(arguments.since, clock.utc())
    lines, position = logs.last_lines(path, arguments.lines, wanted, since)
    if arguments.json and not arguments.follow:
        context.answer({"source": arguments.source, "file": path, "lines": lines}, "")
        return 0

    def show(line: str) -> None:
        if arguments.json:
            context.answer({"line": line}, "")
        else:
            print(logs.printable(line), flush=True)

    for line in lines:
        show(line)
    if arguments.follow:
        deadline.lift()
        logs.follow(path, position, wanted, show, arguments.until_eof)
    return 0


def maintenance(context: Context) -> int:
    """maintenance."""
    arguments, here = context.arguments, context.instance
    if arguments.switch:
        instance.prepare(here)
        try:
            if arguments.switch == "on":
                seconds = logs.duration(arguments.span)
                if seconds > wish.LONGEST:
                    raise UsageError(f"--for {arguments.span}: 30 days at most; `stop` has no end")
                wish.write_maintenance(here, context.by, arguments.reason, seconds)
            else:
                wish.end_maintenance(here)
        except OSError as error:
            raise WatchdogError(f"not recorded: {here.maintenance}: {error.strerror}") from None
        text = f"maintenance {arguments.switch} by {context.by}" + (f": {arguments.reason}" if arguments.reason else "")
        context.journal.event(f"maintenance-{arguments.switch}", text, by=context.by)
        control.ping(here.control_socket, "wake")
    found = wish.read_maintenance(here)
    message = "no maintenance"
    if found:
        why = f": {found.reason}" if found.reason else ""
        message = f"maintenance by {found.owner} until {found.until}, {clock.human(found.remaining)} left{why}"
    context.answer(
        {
            "verb": "maintenance",
            "ok": True,
            "exit_code": 0,
            "message": message,
            "maintenance": report.maintenance_document(found),
        },
        f"🔧 {context.config.name}: {message}",
    )
    return 0


def run(context: Context) -> int:
    """run."""
    deadline.lift()
    return foreground.run(context.config, context.instance, context.by)


def alert_test(context: Context) -> int:
    """alert-test."""
    from . import mail

    settings = mail.settings(context.config.smtp)
    detail = {"last_exit": None, "bot_out": None}
    entry = outbox.write_entry(context.config, "test", "Alerts of this bot arrive here.", detail)
    failures: list[mail.DeliveryError] = []
    signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(ALERT_TEST)
    mail.deliver(settings, [entry], lambda _, error: failures.append(error) if error else None)
    if failures:
        raise failures[0]
    text = f"{settings.server}:{settings.port} took a test mail for {', '.join(settings.recipients)}"
    context.answer(
        {"verb": "alert-test", "ok": True, "exit_code": 0, "message": text}, f"📧 {context.config.name}: {text}"
    )
    return 0


def _too_slow(_number: int, _frame: object) -> None:
    raise WatchdogError(f"the mail server has not taken the test mail within {ALERT_TEST} s")


def send(context: Context) -> int:
    """send: internal, the sender process."""
    from . import sender

    sender.run(context.config, context.paths, context.journal, context.arguments.stdin)
    return 0


def retire(context: Context) -> int:
    """retire."""
    here = context.instance
    left = tick.retire(here, context.journal)
    kept: list[str] = []
    if context.arguments.purge:
        kept = purge(context)
    text = f"guard (PID {left}) has left" if left else "no guard was on watch"
    if context.arguments.purge:
        text += f"; kept while the bot runs: {', '.join(kept)}" if kept else "; nothing of the watchdog's state is left"
    context.answer(
        {"verb": "retire", "ok": True, "exit_code": 0, "message": text, "guard": left, "kept": kept},
        f"👋 {context.config.name}: {text}",
    )
    return 0


def purge(context: Context) -> list[str]:
    """Remove the state, and the locks too when holding them proves that nobody needs them; what had to stay.

    Raises BusyError, having removed nothing, when somebody acts on the bot.
    """
    here = context.instance
    if not os.path.isdir(here.directory):
        return []
    end = clock.now() + PURGE_WAIT
    while (guard := locks.acquire(here.guard_lock)) is None and clock.now() < end:
        time.sleep(0.05)  # a tick or an heir that is just leaving
    if guard is None:
        raise BusyError(f"another process holds {here.guard_lock}: nothing was removed; try again in a moment")
    bot = locks.acquire(here.bot_lock)
    try:
        seen = identity.look(context.config, here, None)
        keep = bot is None or seen.bot is not None or seen.unknown is not None
        _remove_state(context)
        if not keep:
            shutil.rmtree(here.directory, ignore_errors=True)
            _sweep(here)
    finally:
        for descriptor in (guard, bot):
            if descriptor is not None:
                os.close(descriptor)
    return [path for path in (here.bot_lock, here.guard_lock, here.heir_lock, here.desired) if os.path.exists(path)]


def _sweep(here: instance.Instance) -> None:
    """Remove what earlier real paths of the same script left, and the base directory when it is empty."""
    base = os.path.dirname(here.directory)
    for old in wish.earlier(here):
        held = [locks.acquire(os.path.join(old, name)) for name in ("guard.lock", "bot.lock")]
        if None not in held:
            shutil.rmtree(old, ignore_errors=True)
        for descriptor in held:
            if descriptor is not None:
                os.close(descriptor)
    if not os.listdir(base):
        os.rmdir(base)


def _remove_state(context: Context) -> None:
    paths, here = context.paths, context.instance
    for folder in (paths.outbox, paths.samples):
        shutil.rmtree(folder, ignore_errors=True)
    names = [paths.state_file, paths.beat, paths.outbox_lock, paths.spare_bot_out, f"{paths.state_dir}/error-told"]
    names += [f"{paths.events_file}{suffix}" for suffix in ("", ".1", ".2", ".3")]
    names += [here.control_socket, here.notify_socket, here.maintenance, here.script_record]
    for name in names:
        if os.path.lexists(name):
            os.unlink(name)
    if paths.state_dir != here.directory and os.path.isdir(paths.state_dir) and not os.listdir(paths.state_dir):
        os.rmdir(paths.state_dir)


VERBS: dict[str, Callable[[Context], int]] = {
    "check": act,
    "start": act,
    "stop": act,
    "restart": act,
    "reset": act,
    "status": status,
    "explain": replay.show,
    "logs": show_logs,
    "maintenance": maintenance,
    "run": run,
    "alert-test": alert_test,
    "send": send,
    "retire": retire,
}
