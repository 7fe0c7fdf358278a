"""start, stop, restart, reset and check: ask the guard; where there is none, take its lock and act ourselves."""

from __future__ import annotations

import time
from typing import Any, Callable

from . import clock, control, deadline, instance, launch, locks, login, oneshot, spawn, wedged, wish
from .config import Config
from .engine import Engine
from .errors import BusyError, ConfigError, WatchdogError
from .journal import Journal
from .outbox import Outbox
from .outcome import Operation, Result
from .paths import Paths

WAIT = {"check": 0.0, "start": 15.0, "restart": 15.0, "reset": 15.0, "stop": 60.0}
"""Seconds that a verb waits for somebody else who acts on the bot right now."""

CHECK_LIMIT = 45.0
"""Seconds that one pass may take: less than the minute until cron starts the next."""

CHECK_PATIENCE = 20.0
"""Seconds that a pass waits for a delay of the ladder before it gives up."""


def longest(config: Config, verb: str) -> float:
    """Seconds after which the verb hangs and is ended from outside; a pass of cron before the next one starts."""
    return deadline.LIMIT if verb == "check" else 2 * config.pass_limit + WAIT[verb] + 30


def operate(
    config: Config, here: instance.Instance, paths: Paths, journal: Journal, verb: str, by: str, reason: str
) -> dict[str, Any]:
    """Carry out the verb; its JSON answer. Raises BusyError when somebody else does not come to an end."""
    launch.seal()
    instance.prepare(here)
    wish.inherit(here)
    limit = CHECK_LIMIT if verb == "check" else config.pass_limit
    observer = wedged.Observer(config, here, paths, journal)
    end = clock.now() + WAIT[verb]
    recorded = False
    asked = clock.now()

    def operation(finish: Callable[[Result], None]) -> Operation:
        patience = clock.now() + CHECK_PATIENCE if verb == "check" else 0.0
        return Operation(verb, by, reason, finish, patience, asked)

    while True:
        try:
            answer = control.ask(here.control_socket, {"verb": verb, "by": by, "reason": reason, "asked": asked}, limit)
        except TimeoutError as error:
            raise BusyError(str(error)) from None
        except ConnectionResetError:  # the guard died over it, or left since the script has moved: ask the next one
            here = instance.locate(config.script)
            instance.prepare(here)
            wish.inherit(here)
            continue
        if answer is not None and "exit_code" in answer:
            return answer
        try:
            lock = locks.acquire(here.guard_lock)
        except OSError as error:
            raise ConfigError(f"no lock {here.guard_lock}: {error.strerror}; nothing is started without one") from None
        if lock is not None:
            return _alone(config, here, paths, journal, operation, limit).document()
        if verb == "stop" and not recorded:  # said before the wait, so that a start under way already obeys it
            try:
                wish.write_desired(here, wish.STOPPED, by, reason)
            except OSError as error:
                raise WatchdogError(f"not recorded, so not done: {here.desired}: {error.strerror}") from None
            recorded = True
        if observer.relieve():
            continue
        if clock.now() >= end and (verb == "check" or not observer.suspicious):
            other = wedged.holder(here)
            who = f"PID {other.pid}" if other else wedged.strangers(here) or "another process"
            raise BusyError(f"{who} is acting on {config.name}: try again in a moment")
        time.sleep(0.05)


def _alone(
    config: Config,
    here: instance.Instance,
    paths: Paths,
    journal: Journal,
    operation: Callable[[Callable[[Result], None]], Operation],
    limit: float,
) -> Result:
    outbox = Outbox(config, paths, journal)
    result = oneshot.run(Engine(config, here, paths, journal, outbox.alert), operation, limit)
    spawn.trim_output(paths.bot_out)
    outbox.deliver()
    if result.action in ("started", "restarted") and login.takes_all():
        text = "logind ends it with this log-in (KillUserProcesses=yes); cron's guard brings it back within a minute"
        journal.say("warning", text)
        return result._replace(message=f"{result.message}; {text}")
    return result
