"""The ordering protocol: lock, look, read the operator's word, spawn, verify. Guard and one-shot verbs both run it.

Steps carry the names of docs/architecture.md: B1 take the lock, B2 look for a bot, B3 read the wish, B4 spawn with the
lock inherited, B5 watch it, B6 write everything down. Whoever runs an engine holds ``guard.lock``.
"""

from __future__ import annotations

import os
from typing import Any, Callable, NamedTuple

from . import clock, host, identity, ladder, locks, policy, procfs, snapshot, spawn, wish
from .config import Config
from .identity import Identity
from .instance import Instance
from .journal import Journal
from .outcome import Operation, Result
from .paths import Paths
from .states import ExitCode, State

RECHECK = 10.0
"""Seconds between looks when nothing runs: somebody may start a bot by hand, change the script, or end maintenance."""

DUPLICATE_SCAN = 30.0
"""Seconds between looks for a second bot while one runs."""

CONTENTION = 2.0
"""Seconds that an unidentified process may hold the bot's lock before it is reported (`run` holds it for an instant)."""


class Bot(NamedTuple):
    """The bot being watched. ``pidfd`` becomes readable when it dies; ``child`` says that we can reap it."""

    identity: Identity
    pidfd: int
    child: bool
    verified: bool


class Engine:
    """Keeps at most one bot, and exactly one where the policy says so.

    ``alert(kind, text, detail)`` is called last in every step. Drive it with `descriptors`, `deadline` and `advance`.
    """

    def __init__(
        self,
        config: Config,
        instance: Instance,
        paths: Paths,
        journal: Journal,
        alert: Callable[[str, str, dict[str, Any]], None],
        notify: bool = False,
    ) -> None:
        self.config, self.instance, self.paths, self.journal = config, instance, paths, journal
        self.alert, self.notify = alert, notify
        self.memory = policy.Memory()
        self.known: Identity | None = None
        self.last_exit: dict[str, Any] | None = None
        self.bot: Bot | None = None
        self.operations: list[Operation] = []
        self._ladder: ladder.Ladder | None = None
        self._lock: int | None = None
        self._verify_at: float | None = None
        self._recheck_at: float | None = None
        self._scan_at: float | None = None
        self._contended_since: float | None = None
        self._effects: list[policy.Action] = []
        self._duplicate_of: Identity | None = None
        self._spawned_at = 0.0

    # Driving ---------------------------------------------------------------------------------------------------------

    def begin(self, operation: Operation | None = None) -> None:
        """Load what is remembered and make the first pass, as part of ``operation`` where there is one."""
        try:
            self.memory, self.known, self.last_exit = snapshot.load(self.paths.state_file)
        except ValueError as error:
            self.journal.event("state-rebuilt", f"state could not be used and begins anew: {error}", "warning")
            self._effects.append(policy.Alert("error", f"state could not be used and begins anew: {error}"))
        if operation:
            self.submit(operation)
        else:
            self._converge()
            self._finish()

    def descriptors(self) -> list[int]:
        """What to poll for."""
        watched = self._ladder.descriptors() if self._ladder else []
        return [*watched, self.bot.pidfd] if self.bot else watched

    def deadline(self) -> float:
        """When to call `advance` at the latest, seconds since boot."""
        known = (self._ladder.deadline if self._ladder else None, self._verify_at, self._recheck_at, self._scan_at)
        times = [at for at in (*known, policy.settle_at(self.memory)) if at is not None]
        if self.bot is None and self._ladder is None and self.memory.next_start is not None:
            times.append(self.memory.next_start)
        return min(times, default=clock.now() + RECHECK)

    def advance(self) -> None:
        """Do whatever is due. The restart comes first; files, events and alerts come after it."""
        if self._ladder:
            self._climb()
        elif self.bot and ladder.ended(self.bot.pidfd):
            self._buried()
        now = clock.now()
        if self.bot and self._verify_at is not None and now >= self._verify_at:
            self.verified("survived the start grace")
        if self.bot and self._scan_at is not None and now >= self._scan_at:
            self._look_for_others()
        if self.bot is None and self._ladder is None:
            self._converge()
        elif self.memory.running_since is not None:
            self._feed(policy.Tick())
        self._finish()

    def close(self) -> None:
        """Let go of everything; the bot is not touched."""
        if self._ladder:
            self._ladder.close()
        self._forget()
        self._release()

    # The operator ----------------------------------------------------------------------------------------------------

    def submit(self, operation: Operation) -> None:
        """Begin start, stop, restart or check; `Operation.finish` is called when its outcome is known."""
        verb = operation.verb
        running = next((one for one in self.operations if one.verb != "check"), None)
        if running and verb in ("start", "restart") and running.verb != verb:
            operation.finish(self._result(operation, ExitCode.BUSY, f"busy: {running.verb} by {running.by} is under way"))
            return
        operation.old_pid = self.bot.identity.pid if self.bot else None
        operation.attempt = self.memory.attempt
        if verb != "check":
            try:
                state = wish.STOPPED if verb == "stop" else wish.RUN
                wish.write_desired(self.instance, state, operation.by, operation.reason)
            except OSError as error:
                text = f"not recorded, so not done: {self.instance.desired}: {error.strerror}"
                operation.finish(self._result(operation, ExitCode.FAILED, text))
                return
            why = f" ({operation.reason})" if operation.reason else ""
            self.journal.event(f"{verb}-asked", f"{verb} asked for by {operation.by}{why}", by=operation.by)
        if verb == "stop":
            for other in [one for one in self.operations if one.verb != "stop"]:
                self._end(other, ExitCode.BUSY, f"given up: stop by {operation.by} came in between")
        if running is None and verb in ("start", "restart"):
            self._feed(policy.Asked())
        self.operations.append(operation)
        if self._ladder is None and self.bot and verb in ("stop", "restart"):
            self._stop_bot()
        elif self.bot is None:
            self._contended_since = None
            self._converge()
        self._finish()

    def abandon(self) -> None:
        """The time is up: answer every operation with how far it came."""
        for one in list(self.operations):
            if self.bot and one.verb != "stop" and self._ladder is None:
                self._end(one, ExitCode.OK, f"started: PID {self.bot.identity.pid}, still within its start grace")
            else:
                self._end(one, ExitCode.FAILED, f"{one.verb} is not finished: state {self.memory.phase.value}")
        self._finish()

    # B1 to B3 --------------------------------------------------------------------------------------------------------

    def _converge(self) -> None:
        for _ in range(3):
            if self.bot or self._ladder:
                return
            self._recheck_at = clock.now() + RECHECK
            if not self._take_lock():
                if not self._contended():
                    return
                continue
            self._contended_since = None
            seen = identity.look(self.config, self.instance, self.known)
            if seen.bot:
                if self._adopt(seen.bot, "without the lock, probably started by hand"):
                    self._report_others(seen.others)
                    return
            elif seen.leftovers:
                self._clear_leftovers()
                return
            elif seen.unknown:
                self._feed(policy.Unclear(seen.unknown))
                self._release()
                return
            else:
                self._vacant()
                return

    def _vacant(self) -> None:
        self._account_for_the_vanished()
        asked = any(one.verb in ("start", "restart") for one in self.operations)
        event = policy.Vacant(
            wanted=wish.read_desired(self.instance).wanted,
            maintenance=not asked and wish.read_maintenance(self.instance) is not None,
            shutting_down=host.shutting_down(thorough=self._orderly_exit()),
            script=script_signature(self.config.script),
        )
        actions = self._feed(event)
        if any(isinstance(action, policy.Start) for action in actions):
            self._spawn(asked)
        else:
            self._remove_stale_pid_file()
            self._release()

    def _account_for_the_vanished(self) -> None:
        """The recorded bot is gone and nobody saw it go: a reboot, or it died while no guard lived."""
        if self.known is None or self.memory.phase not in (State.RUNNING, State.STARTING, State.STOPPING, State.STUCK):
            return
        if self.known.boot != clock.boot_id():
            self._feed(policy.Rebooted())
            return
        since = self.memory.running_since
        text = "ended while no guard watched (cause unknown)"
        self._record_exit(text, None, None)
        self._feed(self._death(None, text, 0.0 if since is None else clock.now() - since, since is not None))

    def _take_lock(self) -> bool:
        if self._lock is None:
            self._lock = locks.acquire(self.instance.bot_lock)
        return self._lock is not None

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _contended(self) -> bool:
        """Somebody holds the bot's lock. True when it is worth another try at once."""
        pids = [pid for pid in locks.holders(self.instance.bot_lock) if pid != os.getpid()]
        found = identity.among(pids, self.config, self.instance, self.known)
        if found:
            return not self._adopt(found, "it holds the bot's lock")
        if pids and identity.are_leftovers(pids, self.known):
            self._clear_leftovers()
            return False
        now = clock.now()
        if self._contended_since is None:
            self._contended_since = now
        if now - self._contended_since < CONTENTION:
            self._recheck_at = now + 0.05
            return False
        names = ", ".join(f"PID {pid} ({' '.join(procfs.cmdline(pid))[:60]})" for pid in pids) or "a process nobody can see"
        self._feed(policy.Unclear(f"{names} holds {self.instance.bot_lock} and is not known to be the bot"))
        return False

    # B4 to B6 --------------------------------------------------------------------------------------------------------

    def _spawn(self, operator: bool) -> None:
        assert self._lock is not None
        out, out_path = spawn.open_output([self.paths.bot_out, self.paths.spare_bot_out])
        try:
            pid = spawn.start(self.config, self.instance, self._lock, out, self.notify)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            text = f"cannot start: {error.strerror or error}{where}"
            self._record_exit(text, None, None)
            self._feed(self._death(None, text, 0.0, False, pid=None))
            self._remove_stale_pid_file()
            return
        finally:
            os.close(out)
        found = identity.identify(pid, own_session=True)
        if found is None:  # a zombie already; it stays one until we reap it, so its number is safe
            dead = procfs.stat(pid)
            found = Identity(pid, dead.start if dead else 0, clock.boot_id(), True)
        self.bot = Bot(found, os.pidfd_open(pid), True, False)
        self.known = found
        self._release()
        self._spawned_at = clock.now()
        self._verify_at = self._spawned_at + self.config.start_grace
        self._recheck_at = None
        self._feed(policy.Spawned(pid, operator))
        self._write_pid_file()
        if out_path != self.paths.bot_out:
            self.journal.say("warning", f"cannot write {self.paths.bot_out}: the bot's output goes to {out_path}")

    def verified(self, how: str) -> None:
        """The start counts as good; look for a second bot that came in between."""
        self._verify_at = None
        bot = self.bot
        if bot is None or bot.verified:
            return
        others = identity.look(self.config, self.instance, self.known).others
        if others and bot.child:
            self._duplicate_of = others[0]
            self._feed(policy.Duplicate(f"another bot (PID {others[0].pid}) appeared during the start: ours (PID {bot.identity.pid}) is stopped"))
            self._stop_bot()
            return
        self.bot = bot._replace(verified=True)
        self._scan_at = clock.now() + DUPLICATE_SCAN
        operator = any(one.verb in ("start", "restart") for one in self.operations)
        self.journal.say("debug", f"PID {bot.identity.pid} {how}")
        self._feed(policy.Verified(bot.identity.pid, operator))

    def _adopt(self, found: Identity, how: str) -> bool:
        pidfd = ladder.open_pidfd(found)
        if pidfd is None:
            return False
        known = self.known is not None and self.known[:3] == found[:3]
        if known and self.known:
            found = found._replace(own_session=found.own_session or self.known.own_session)
        uptime = clock.now() - found.start / clock.TICKS_PER_SECOND
        self.known = found
        fresh = known and self.memory.phase is State.STARTING
        self.bot = Bot(found, pidfd, False, not fresh)
        self._recheck_at = self._contended_since = None
        if fresh:  # its guard died during the start: finish the verification
            self._verify_at = clock.now() + max(0.0, self.config.start_grace - uptime)
        else:
            self._scan_at = clock.now() + DUPLICATE_SCAN
            self._feed(policy.Adopted(found.pid, how, uptime, known))
        self._write_pid_file()
        for one in self.operations:
            one.old_pid, one.adopted = one.old_pid or found.pid, one.adopted or not known
        if any(one.verb in ("stop", "restart") for one in self.operations):
            self._stop_bot()
        return True

    # Deaths and stops ------------------------------------------------------------------------------------------------

    def _buried(self) -> None:
        """The bot ended by itself."""
        bot = self.bot
        assert bot is not None
        code, number, text = reap(bot)
        uptime = clock.now() - bot.identity.start / clock.TICKS_PER_SECOND
        self._record_exit(text, code, number)
        self._forget()
        self._feed(self._death(code, text, uptime, bot.verified, pid=bot.identity.pid))
        self._converge()

    def _death(self, code: int | None, text: str, uptime: float, verified: bool, pid: int | None = -1) -> policy.Died:
        number = (self.known.pid if self.known else None) if pid == -1 else pid
        return policy.Died(number, code, text, uptime, verified, script_signature(self.config.script))

    def _stop_bot(self) -> None:
        assert self.bot is not None
        self._verify_at = None
        self.memory = self.memory._replace(phase=State.STOPPING)
        self._ladder = ladder.Ladder(self.bot.identity, self.config.stop_grace)

    def _clear_leftovers(self) -> None:
        assert self.known is not None
        members = procfs.session_members(self.known.pid)
        text = ", ".join(str(pid) for pid, _ in members)
        self.journal.event("leftovers", f"children of the dead bot (PID {self.known.pid}) live on: {text}; stopping them", "warning")
        self._ladder = ladder.Ladder(self.known, self.config.stop_grace, leftovers_only=True)

    def _climb(self) -> None:
        climbing = self._ladder
        assert climbing is not None
        climbing.advance()
        if climbing.outcome is None:
            return
        climbing.close()
        self._ladder = None
        if climbing.outcome == "stuck":
            text = f"PID {climbing.main.pid} or a child of it survived SIGKILL: nothing is started beside it"
            self._feed(policy.Stuck(text))
            self._recheck_at = clock.now() + RECHECK
            for one in list(self.operations):
                self._end(one, ExitCode.STUCK, text)
            return
        if self.bot:
            self._forget()
            restarting = any(one.verb == "restart" for one in self.operations) or self._duplicate_of is not None
            self._duplicate_of = None
            self._record_exit("stopped" if not climbing.killed else "killed after the stop grace", None, None)
            stopped = not wish.read_desired(self.instance).wanted
            self._feed(policy.Stopped(restarting=restarting or not stopped))
        self._converge()

    def _forget(self) -> None:
        if self.bot:
            os.close(self.bot.pidfd)
        self.bot = None
        self._verify_at = self._scan_at = None

    def _look_for_others(self) -> None:
        self._scan_at = clock.now() + DUPLICATE_SCAN
        self._report_others(identity.look(self.config, self.instance, self.known).others)
        spawn.trim_output(self.paths.bot_out)

    def _report_others(self, others: tuple[Identity, ...]) -> None:
        if others and self.bot:
            pids = ", ".join(str(one.pid) for one in (self.bot.identity, *others))
            self._feed(policy.Duplicate(f"more than one bot is running: PIDs {pids}. None was stopped: decide which one goes"))

    # Effects ---------------------------------------------------------------------------------------------------------

    def _feed(self, event: policy.Event) -> tuple[policy.Action, ...]:
        self.memory, actions = policy.step(self.memory, event, clock.now())
        self._effects.extend(actions)
        return actions

    def _finish(self) -> None:
        """Save, write, tell and answer: everything that may fail or be slow comes after the deed."""
        self._settle_operations()
        effects, self._effects = self._effects, []
        current = snapshot.Snapshot(self.memory, self.known, self.last_exit)
        self.save(current)
        for action in effects:
            if isinstance(action, policy.Note):
                self.journal.event(action.kind, action.text, action.level, pid=self.known.pid if self.known else None)
        for action in effects:
            if isinstance(action, policy.Alert):
                self.alert(action.kind, action.text, {"last_exit": self.last_exit, "bot_out": self.paths.bot_out})

    _saved: snapshot.Snapshot | None = None
    _save_failed = False

    def save(self, current: snapshot.Snapshot) -> None:
        """Write state.json when something changed; a failure is said once."""
        if current == self._saved:
            return
        try:
            snapshot.save(self.paths.state_file, current)
            self._saved, self._save_failed = current, False
        except OSError as error:
            if not self._save_failed:
                self.journal.say("warning", f"cannot write {self.paths.state_file}: {error.strerror}; going on without it")
            self._save_failed = True

    def _settle_operations(self) -> None:
        for one in list(self.operations):
            outcome = self._outcome(one)
            if outcome:
                self._end(one, *outcome)

    def _outcome(self, one: Operation) -> tuple[ExitCode, str] | None:
        phase, bot = self.memory.phase, self.bot
        if self._ladder is not None or self._contended_since is not None:
            return None
        if phase is State.UNKNOWN:
            return ExitCode.UNKNOWN, f"{self.memory.told}: hands off"
        if bot is None and phase is State.STOPPED:
            if one.verb == "stop":
                return ExitCode.OK, f"stopped PID {one.old_pid}" if one.old_pid else "was not running; stays stopped"
            return ExitCode.OK, "stopped by the operator: left alone"
        if one.verb == "stop":
            return None
        if bot and bot.verified:
            pid = bot.identity.pid
            if one.old_pid == pid:
                return ExitCode.OK, f"already running: PID {pid}"
            return ExitCode.OK, f"running: PID {pid}"
        if bot is None and phase in (State.BACKOFF, State.FAILED):
            if one.attempt == self.memory.attempt and clock.now() < one.patience:
                return None
            wait = max(0.0, (self.memory.next_start or clock.now()) - clock.now())
            return ExitCode.FAILED, f"not running: {self.memory.reason}; next try in {clock.human(wait)}"
        if bot is None and phase is State.HELD:
            return ExitCode.FAILED, f"held: the bot ended with code {self.memory.hold_code}; mend it, then `start`"
        if bot is None and phase is State.DOWN:
            return ExitCode.OK, "left alone: maintenance is on" if self.memory.reason == "maintenance" else "the host is going down"
        return None

    def _end(self, one: Operation, code: ExitCode, text: str) -> None:
        self.operations.remove(one)
        one.finish(self._result(one, code, text))

    def _result(self, one: Operation, code: ExitCode, text: str) -> Result:
        pid = self.bot.identity.pid if self.bot else None
        action, after = "none" if code is ExitCode.OK else "refused", None
        if code is ExitCode.OK and one.verb == "stop":
            action = "stopped" if one.old_pid else "none"
        elif code is ExitCode.OK and pid is not None and pid != one.old_pid:
            action = "restarted" if one.old_pid else "started"
            after = clock.now() - self._spawned_at
        elif code is ExitCode.OK and one.adopted:
            action = "adopted"
        return Result(one.verb, code, text, self.memory.phase, action, one.old_pid, pid, after)

    def _record_exit(self, text: str, code: int | None, number: int | None) -> None:
        self.last_exit = {"time": clock.stamp(), "code": code, "signal": number, "text": text}

    def _orderly_exit(self) -> bool:
        last = self.last_exit or {}
        return self.memory.phase is State.BACKOFF and (last.get("code") in (0, 143) or last.get("signal") == 15)

    def _write_pid_file(self) -> None:
        from . import pidfile

        if self.bot is None or identity.read_pid_file(self.config.pid_file) == self.bot.identity.pid:
            return
        try:
            pidfile.write_pid_file(self.config.pid_file, self.bot.identity.pid)
        except OSError as error:
            self.journal.say("warning", f"cannot write {self.config.pid_file}: {error.strerror}; going on without it")

    def _remove_stale_pid_file(self) -> None:
        """Under the bot's lock, with no bot found: a PID file that names a number is stale."""
        if identity.read_pid_file(self.config.pid_file) is None:
            return
        try:
            os.unlink(self.config.pid_file)
            self.journal.say("info", f"stale PID file removed: {self.config.pid_file}")
        except OSError as error:
            self.journal.say("warning", f"cannot remove the stale {self.config.pid_file}: {error.strerror}")


def reap(bot: Bot) -> tuple[int | None, int | None, str]:
    """(exit code, signal, sentence) of a bot that has ended; codes are None where the kernel does not tell us."""
    if bot.child:
        try:
            _, status = os.waitpid(bot.identity.pid, 0)
        except ChildProcessError:
            return None, None, "ended (cause unknown: not our child)"
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return None, -code, f"was killed by {signal_name(-code)}"
        return code, None, f"ended with exit code {code}"
    return None, None, "ended (cause unknown: it was adopted, not started by this guard)"


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def script_signature(path: str) -> str:
    """Changes when the bot's script is replaced or edited; empty when it is missing."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
