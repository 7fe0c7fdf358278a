"""`status`: what can be proved about the bot right now, without touching a lock."""

from __future__ import annotations

import os
import time
from typing import Any

from . import (
    __version__,
    argv,
    clock,
    control,
    growth,
    host,
    identity,
    instance,
    journal,
    launch,
    locks,
    outbox,
    procfs,
    samples,
    snapshot,
    vitals,
    wish,
)
from .config import Config
from .identity import Identity
from .paths import Paths
from .states import ALIVE, SCHEMA, State

HISTORY = 7 * 86400
"""Seconds of the bot's own history that are looked at."""

CPU_SAMPLE = 0.1
"""Seconds over which processor use is measured."""


def status(config: Config, here: instance.Instance, paths: Paths) -> dict[str, Any]:
    """The document that ``status --json`` prints. Raises ConfigError when the lock directory cannot be used."""
    warnings: list[str] = []
    guard = control.ping(here.control_socket)
    silent = None if guard else _silent_guard(here, warnings)
    try:
        remembered = snapshot.load(paths.state_file)
    except ValueError as error:
        remembered = snapshot.Snapshot()
        warnings.append(f"state cannot be read: {error}")
    bots, unknown = _find(config, here, remembered.bot, guard)
    bot = bots[0] if bots else None
    try:
        desired = wish.read_desired(here)
    except OSError as error:
        desired = wish.Desired(reason="unreadable")
        warnings.append(f"cannot read what was asked for: {here.desired}: {error.strerror}")
    maintenance = wish.read_maintenance(here)
    state = _state(bot, unknown, guard, remembered, desired.wanted, config.start_grace)
    number = identity.read_pid_file(config.pid_file)
    warnings += _warnings(config, bots, number, desired.wanted, guard is not None or silent is not None)
    started = clock.utc() - clock.now() + bot.start / clock.TICKS_PER_SECOND if bot else None
    last = journal.last_event(paths.events_file)
    next_start = guard.get("next_start_in_s") if guard else _delay(remembered)
    return {
        "schema": SCHEMA,
        "name": config.name,
        "host": host.name(),
        "version": __version__,
        "release": launch.release(),
        "state": state.value,
        "reason": unknown or (guard or {}).get("reason") or remembered.memory.told or remembered.memory.reason or None,
        "signs": (guard or {}).get("signs") or [],
        "health": _health(config, paths, guard, started),
        "desired": desired.state,
        "desired_by": desired.by,
        "desired_since": desired.since,
        "desired_reason": desired.reason,
        "maintenance": maintenance_document(maintenance),
        "pid": bot.pid if bot else None,
        "duplicates": [one.pid for one in bots[1:]],
        "started_at": clock.stamp(started) if started else None,
        "uptime_s": round(clock.utc() - started, 1) if started else None,
        "restarts": remembered.memory.restarts,
        **(_measure(bot.pid) if bot else {"cpu_percent": None, "memory_bytes": None}),
        "last_event": {key: last.get(key) for key in ("time", "kind", "message")} if last else None,
        "last_exit": remembered.last_exit,
        "next_start_in_s": None if bot or maintenance or next_start is None else round(next_start, 1),
        "guard": _guard_document(guard, silent),
        "lock": here.bot_lock,
        "instance_dir": here.directory,
        "state_dir": paths.state_dir,
        "pid_file": {"path": config.pid_file, "pid": number},
        "log_file": paths.log_file,
        "app_log": config.app_log or paths.bot_out,
        "alerts": {
            "configured": all(config.smtp.get(name) for name in ("SMTP_SERVER", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO")),
            "queued": len(outbox.pending(paths.outbox)),
            "dead": len(outbox.pending(paths.outbox, "dead")),
        },
        "warnings": warnings,
    }


def _health(config: Config, paths: Paths, guard: dict[str, Any] | None, started: float | None) -> dict[str, Any] | None:
    """What the guard knows of the living bot, and what its history suggests; None without a guard that looks."""
    found = (guard or {}).get("health")
    if not found:
        return None
    history = list(samples.read(paths.samples, clock.utc() - HISTORY))
    trend = growth.trend([sample for sample in history if sample.utc >= (started or 0.0)])
    limits = config.limits
    return {
        **found,
        "trend": f"memory {trend.text}" if trend else None,
        "suggested_deaf_after_s": growth.suggestion(history, limits.deaf_bytes, limits.quiet),
    }


def _warnings(config: Config, bots: list[Identity], named: int | None, wanted: bool, guarded: bool) -> list[str]:
    found = []
    if len(bots) > 1:
        found.append(f"more than one bot is running: PIDs {', '.join(str(one.pid) for one in bots)}: end all but one")
    if not guarded and wanted:
        found.append("no guard is on watch: cron starts one every minute, or `watchdog guard` does now")
    if bots and not wanted:
        found.append("the bot runs although `stop` was said: it was started by hand")
    if bots and named != bots[0].pid:
        found.append(f"{config.pid_file} names {named or 'nobody'}, the bot is PID {bots[0].pid}")
    unburied = identity.unburied(named) if named and not bots else None
    return [*found, *([unburied] if unburied else []), *_older_watchdogs(config)]


def maintenance_document(found: wish.Maintenance | None) -> dict[str, Any] | None:
    """The JSON object for a maintenance, None for none."""
    if found is None:
        return None
    return {
        "owner": found.owner,
        "reason": found.reason,
        "since": found.since,
        "until": found.until,
        "remaining_s": round(found.remaining, 1),
    }


def _find(
    config: Config, here: instance.Instance, known: Identity | None, guard: dict[str, Any] | None
) -> tuple[list[Identity], str | None]:
    """The running bots, the holder of the lock first; and a sentence where it cannot be told whether there is one."""
    holders = [pid for pid in locks.holders(here.bot_lock) if pid != os.getpid()]
    seen = identity.look(config, here, known)
    bot = (identity.among(holders, config, here, known) if holders else None) or seen.bot
    if bot is not None:
        return [bot, *(one for one in (seen.bot, *seen.others) if one and one.pid != bot.pid)], None
    if seen.unknown:
        return [], seen.unknown
    watcher = guard.get("pid") if guard else None
    for pid in holders:
        if pid != watcher and not identity.are_leftovers([pid], known) and not _passing(pid):
            return [], f"PID {pid} holds {here.bot_lock} and is not known to be the bot"
    return [], None


def _passing(pid: int) -> bool:
    """True for holders of an instant: one that is just dying has no argv, a pass of this agent names itself."""
    words = procfs.cmdline(pid)
    return not words or argv.is_agent(words)


def _state(
    bot: Identity | None,
    unknown: str | None,
    guard: dict[str, Any] | None,
    remembered: snapshot.Snapshot,
    wanted: bool,
    grace: float,
) -> State:
    try:
        said = State(guard["state"]) if guard else remembered.memory.phase
    except (KeyError, ValueError):
        said = State.DOWN
    if guard and said is State.UNKNOWN and bot is None:
        return State.UNKNOWN
    if bot is not None:
        if guard:
            return said if said in ALIVE else State.RUNNING
        young = clock.now() - bot.start / clock.TICKS_PER_SECOND < grace
        same = remembered.bot is not None and remembered.bot[:3] == bot[:3]
        return said if same and (said is State.STUCK or (young and said is State.STARTING)) else State.RUNNING
    if unknown:
        return State.UNKNOWN
    if said in (State.BACKOFF, State.FAILED, State.HELD) and wanted:
        return said
    return State.DOWN if wanted else State.STOPPED


def _delay(remembered: snapshot.Snapshot) -> float | None:
    at = remembered.memory.next_start
    return None if at is None else max(0.0, at - clock.now())


def _silent_guard(here: instance.Instance, warnings: list[str]) -> int | None:
    pids = [pid for pid in locks.holders(here.guard_lock) if pid != os.getpid()]
    if not pids:
        return None
    if "guard" in procfs.cmdline(pids[0]):
        warnings.append(f"the guard (PID {pids[0]}) does not answer: the next tick replaces it if it stays silent")
    return pids[0]


def _guard_document(guard: dict[str, Any] | None, silent: int | None) -> dict[str, Any] | None:
    if guard:
        return {"pid": guard.get("pid"), "answers": True, "version": guard.get("version"), "since": guard.get("since")}
    return {"pid": silent, "answers": False, "version": None, "since": None} if silent else None


def _measure(pid: int) -> dict[str, Any]:
    before, begun = procfs.stat(pid), clock.now()
    time.sleep(CPU_SAMPLE)
    passed, used = clock.now() - begun, vitals.measure(pid)
    if before is None or used is None:
        return {"cpu_percent": None, "memory_bytes": None}
    processor = 100 * (used.ticks - before.ticks) / clock.TICKS_PER_SECOND / passed
    return {"cpu_percent": round(processor, 1), "memory_bytes": used.memory}


def _older_watchdogs(config: Config) -> list[str]:
    """Processes of another watchdog for the same bot, such as the original script started by a crontab line."""
    found = []
    root = os.path.realpath(config.app_dir)
    for pid in procfs.pids():
        words = procfs.cmdline(pid)
        script = next(
            (word for word in words[1:] if os.path.basename(word) in ("watchdog.py", "app_watchdog.py")), None
        )
        if script is None:
            continue
        path = os.path.realpath(os.path.join(procfs.working_directory(pid) or "/", script))
        if path.startswith(root + os.sep):
            found.append(
                f"an older watchdog runs for this bot: PID {pid}, {path}: retire it, it would resurrect a stopped bot"
            )
    return found
