"""The ordering protocol: lock, look, read the operator's word, spawn, verify. Guard and one-shot verbs both run it.

Steps carry the names of docs/architecture.md: B1 take the lock, B2 look for a bot, B3 read the wish, B4 spawn with the
lock inherited, B5 watch it, B6 write everything down. Whoever runs an engine holds ``guard.lock``.
"""

from __future__ import annotations

import os

from . import (
    clock,
    doubt,
    host,
    identity,
    ladder,
    model,
    policy,
    procfs,
    sources,
    spawn,
    watched,
    wish,
)
from .claim import Claim, Finding
from .config import Config
from .deaths import Deaths
from .desk import View
from .identity import Identity
from .instance import Instance
from .journal import Journal
from .ledger import Ledger
from .monitor import Monitor
from .orders import FORGIVING, Orders
from .outcome import Operation
from .paths import Paths
from .record import AlertSink, Recorder
from .states import ExitCode, State
from .stopping import Stopping
from .watched import Bot

RECHECK = 10.0
"""Seconds between looks when nothing runs: somebody may start a bot by hand, change the script, or end maintenance."""

DUPLICATE_SCAN = 30.0
"""Seconds between looks for a second bot while one runs."""

HEAD_START = 0.02
"""Seconds after a start in which the bot has the machine for itself: most is written after that. A guard that worked
meanwhile made the bot's first line 0.5 to 1 ms later, on two processors; why was not established.
"""

MOMENT = 0.05
"""Seconds until the next look while somebody unidentified holds the bot's lock."""


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
        alert: AlertSink,
        notify: bool = False,
    ) -> None:
        self.config, self.instance, self.paths, self.journal = config, instance, paths, journal
        self.notify = notify
        self.bot: Bot | None = None
        self._recorder = Recorder(config, paths, journal, alert)
        self._ledger = Ledger(self._recorder)
        self._deaths = Deaths(config, paths, self._ledger)
        self._orders = Orders(instance, journal)
        self._claim = Claim(config, instance)
        self._stopping: Stopping | None = None
        self._verify_at: float | None = None
        self._recheck_at: float | None = None
        self._scan_at: float | None = None
        self._shutdown = host.Shutdown()
        self._spawned_at = 0.0
        self.monitor = Monitor(config, paths, journal)

    @property
    def memory(self) -> model.Memory:
        """What the policy remembers."""
        return self._ledger.memory

    # Driving ---------------------------------------------------------------------------------------------------------

    def begin(self, operation: Operation | None = None) -> None:
        """Load what is remembered and make the first pass, as part of ``operation`` where there is one."""
        self._ledger.load()
        self._orders.look()
        if operation:
            self.submit(operation)
        else:
            self._converge()
            self._finish()

    def descriptors(self) -> list[int]:
        """What to poll for."""
        if self._stopping:
            return self._stopping.ladder.descriptors()
        return [self.bot.pidfd] if self.bot else []

    def deadline(self) -> float:
        """When to call `advance` at the latest, seconds since boot."""
        if self._stopping:
            return self._stopping.ladder.deadline
        if self.bot:
            known = [self._verify_at, self._scan_at, self.monitor.due, policy.settle_at(self.memory)]
        else:
            delayed = self.memory.phase in (State.BACKOFF, State.FAILED)
            known = [self._recheck_at, self.memory.next_start if delayed else None]
        return min((at for at in known if at is not None), default=clock.now() + RECHECK)

    def advance(self) -> None:
        """Do whatever is due. The restart comes first; files, events and alerts come after it."""
        self._obey()
        if self._stopping:
            self._climb(self._stopping)
        elif self.bot and ladder.ended(self.bot.pidfd):
            self._buried(self.bot)
        now = clock.now()
        if self.bot and self._verify_at is not None and now >= self._verify_at:
            self.verified("survived the start grace")
        if self.bot and self._scan_at is not None and now >= self._scan_at:
            self._look_for_others()
        if self.monitor.due is not None and now >= self.monitor.due:
            self._judge(self.monitor.look())
        if self.bot is None and self._stopping is None:
            if min(self.deadline(), self._recheck_at or now) <= now:
                self._converge()
        elif self.memory.running_since is not None:
            self._ledger.feed(model.Tick())
        self._finish()

    def resume(self) -> None:
        """`begin` in a process that was a guard before, by another release: the bot may be a child of ours."""
        self._claim.inherit()
        self.begin()

    @property
    def busy(self) -> str | None:
        """What has to come to an end before this process may go on as another release; None when nothing has to."""
        one = self._orders.desk.first()
        if one:
            return f"{one.verb} by {one.by} is under way"
        return "a stop is under way" if self._stopping else None

    @property
    def claimed(self) -> list[int]:
        """The lock that we hold for a bot which runs without it: another release in this process has to keep it."""
        return [] if self._claim.descriptor is None else [self._claim.descriptor]

    def stir(self) -> None:
        """Look at once: something that decides has changed."""
        self._recheck_at = clock.now()

    def close(self) -> None:
        """Let go of everything; the bot is not touched. The next `advance` begins by looking for it."""
        if self._stopping:
            self._stopping.ladder.close()
        self._stopping = None
        self._forget()
        self._claim.release()

    def _judge(self, signs: tuple[model.Sign, ...]) -> None:
        """Is the bot ill? Only one whose start counts is judged, and one that nobody is about to stop."""
        if self.bot is None or self._stopping or not self.bot.verified:
            return
        if self._orders.hands_off():  # somebody may be holding it: what happens meanwhile speaks against nobody
            self.monitor.renew()
            return
        if not signs and (self.memory.phase is State.RUNNING or not self.monitor.acquits(self.memory.doubts)):
            return
        for action in self._ledger.feed(model.Judged(signs)):
            if isinstance(action, model.Kill):
                self._stop_bot(evidence=action.text)

    # The operator ----------------------------------------------------------------------------------------------------

    def submit(self, operation: Operation) -> None:
        """Begin start, stop, restart, reset or check; `Operation.finish` is called when its outcome is known."""
        if not self._orders.accept(operation, self._view()):
            return
        if self.bot and not self._stopping:
            self._forgive() if operation.verb in ("start", "reset") else self._carry_out_stop(self.bot)
        elif self.bot is None:
            self._claim.look_anew()
            self._converge()
        self._finish()

    def abandon(self) -> None:
        """The time is up: answer every operation with how far it came."""
        self._orders.desk.abandon(self._view())
        self._finish()

    # B1 to B3 --------------------------------------------------------------------------------------------------------

    def _converge(self) -> None:
        for _ in range(3):
            if self.bot or self._stopping:
                return
            self._recheck_at = clock.now() + RECHECK
            if self.instance.moved():
                return
            found = self._claim.examine(self._ledger.known, patient=self.memory.phase is not State.UNKNOWN)
            if found.bot is None:
                self._act_on(found)
                return
            if self._adopt(found.bot, found.text):
                self._report_others(found.others)
                return

    def _act_on(self, found: Finding) -> None:
        if found.kind == "vacant":
            self._vacant()
        elif found.kind == "leftovers" and not self._orders.hands_off():
            self._clear_leftovers()
        elif found.kind == "leftovers":
            self._vacant()
        elif found.kind == "wait":
            self._recheck_at = clock.now() + MOMENT
        else:
            self._ledger.feed(model.Unclear(found.text))
            self._claim.release()

    def _obey(self) -> None:
        before = self._orders.wanted
        self._orders.look()
        if before != self._orders.wanted:
            self.stir()
        if before and not self._orders.wanted and self.bot and not self._stopping:
            self._orders.stop_found(self._view())
            self._stop_bot()

    def _vacant(self) -> None:
        self._deaths.vanished()
        self._forgive()
        self._orders.desk.mark(self.memory.attempt)
        asked = self._orders.desk.wants(*FORGIVING)
        try:
            wanted = wish.read_desired(self.instance).wanted
        except OSError as error:
            text = f"cannot read what was asked for: {self.instance.desired}: {error.strerror}"
            self._ledger.feed(model.Unclear(text))
            self._claim.release()
            return
        maintenance = self._orders.hands_off()
        failed = self.memory.attempt > 1 or self.memory.hold_code is not None  # after the first death nothing waits
        event = model.Vacant(wanted, maintenance, False, sources.signature(self.config) if failed else "")
        if policy.starts(self.memory, event, clock.now()):  # only then is it worth asking
            orderly = self._ledger.last is not None and self._ledger.last.orderly
            event = event._replace(shutting_down=self._shutdown.under_way(thorough=orderly))
        if model.Start() in self._ledger.feed(event):
            self._spawn(asked)
        else:
            self._recorder.remove_stale_pid_file()
            self._claim.release()

    def _forgive(self) -> None:
        """On the operator's word the counters begin anew, once per operation and after every death was counted."""
        if self._orders.amnesty():
            self._ledger.feed(model.Asked())

    # B4 to B6 --------------------------------------------------------------------------------------------------------

    def _spawn(self, operator: bool) -> None:
        assert self._claim.descriptor is not None
        out, out_path = spawn.open_output([self.paths.bot_out, self.paths.spare_bot_out])
        printed = os.fstat(out).st_size
        try:
            pid = spawn.start(self.config, self.instance, self._claim.descriptor, out, self.notify)
        except OSError as error:
            self._deaths.unborn(error)
            self._recorder.remove_stale_pid_file()
            self._claim.release()
            return
        finally:
            os.close(out)
        self._claim.release()
        found = identity.identify(pid, own_session=True)
        if found is None:  # a zombie already; it stays one until we reap it, so its number is safe
            dead = procfs.stat(pid)
            found = Identity(pid, dead.start if dead else 0, clock.boot_id(), True)
        self._ledger.known = found
        self._spawned_at = clock.now()
        self._ledger.feed(model.Spawned(pid, operator))
        self._recorder.write_pid_file(pid)
        pidfd = os.pidfd_open(pid)
        ladder.ended(pidfd, within=HEAD_START)
        self.bot = watched.bot(found, pidfd, True, False, out_path, printed)
        self.monitor.begin(pid)
        self._deaths.begin()
        self._verify_at = self._spawned_at + self.config.start_grace
        self._recheck_at = None
        if out_path != self.paths.bot_out:
            self.journal.say("warning", f"cannot write {self.paths.bot_out}: the bot's output goes to {out_path}")

    def verified(self, how: str) -> None:
        """The start counts as good; look for a second bot that came in between."""
        self._verify_at = None
        bot = self.bot
        if bot is None or bot.verified or self._stopping:
            return
        others = self._claim.others(self._ledger.known)
        if others and bot.child:
            text = f"another bot (PID {others[0].pid}) appeared meanwhile: ours (PID {bot.identity.pid}) is stopped"
            self._ledger.feed(model.Duplicate(text))
            self._stop_bot(yielding=True)
            return
        self.bot = bot._replace(verified=True)
        self._scan_at = clock.now() + DUPLICATE_SCAN
        operator = self._orders.desk.wants(*FORGIVING)
        self.journal.say("debug", f"PID {bot.identity.pid} {how}")
        self._ledger.feed(model.Verified(bot.identity.pid, operator))

    def _adopt(self, found: Identity, how: str) -> bool:
        pidfd = ladder.open_pidfd(found)
        if pidfd is None:
            return False
        known = self._ledger.known is not None and self._ledger.known[:3] == found[:3]
        half_stopped = known and self.memory.phase is State.STOPPING and not self._orders.wanted
        if known and self._ledger.known:
            found = found._replace(own_session=found.own_session or self._ledger.known.own_session)
        if not known and self._ledger.known and not self._ledger.known.alive():
            self._deaths.vanished()
        uptime = clock.now() - found.start / clock.TICKS_PER_SECOND
        ours = not known and found.own_session and uptime < self.config.start_grace
        fresh = ours or (known and self.memory.phase is State.STARTING)
        evidence = doubt.sentenced(self.memory) if known and not self._orders.hands_off() else ""
        self._ledger.known = found
        child = procfs.is_child(found.pid, found.start)
        output = watched.output_of(found.pid, [self.paths.bot_out, self.paths.spare_bot_out])
        self.bot = watched.bot(found, pidfd, child, not fresh, output)
        self.monitor.begin(found.pid)
        self._deaths.begin()
        self._recheck_at = None
        if ours:  # its guard died between the start and the writing down of it
            self._ledger.feed(model.Spawned(found.pid, operator=False))
        if fresh:
            self._spawned_at = clock.now() - uptime
            self._verify_at = clock.now() + max(0.0, self.config.start_grace - uptime)
        else:
            self._scan_at = clock.now() + DUPLICATE_SCAN
            self._ledger.feed(model.Adopted(found.pid, how, uptime, known))
        self._recorder.write_pid_file(found.pid)
        if self._claim.descriptor is not None:
            self._recorder.vouch(self.instance, found)
        self._orders.desk.adopted(found.pid, known)
        self._forgive()
        if half_stopped or self._orders.ends(found.start, found.boot):
            self._stop_bot()
        else:
            self._carry_out_stop(self.bot)
        if evidence and not self._stopping:
            self.journal.say("warning", f"PID {found.pid} was being ended, since it {evidence}: going on with that")
            self._stop_bot(evidence)
        return True

    def _carry_out_stop(self, bot: Bot) -> None:
        """Stop the bot if a stop is under way, or a restart that was asked for when this bot ran already."""
        began = bot.identity.start / clock.TICKS_PER_SECOND
        if self._orders.desk.stops(began):
            self._stop_bot()

    # Deaths and stops ------------------------------------------------------------------------------------------------

    def _buried(self, bot: Bot) -> None:
        """The bot ended by itself."""
        self._deaths.by_itself(bot)
        self._forget()
        self._converge()

    def _stop_bot(self, evidence: str = "", yielding: bool = False) -> None:
        assert self.bot is not None
        self._verify_at = None
        phase = State.HUNG if evidence else State.STOPPING
        self._ledger.memory = self.memory._replace(phase=phase, doubt=evidence or self.memory.doubt)
        self._stopping = Stopping(self.config, self.bot, None, evidence, yielding)

    def _clear_leftovers(self) -> None:
        dead = self._ledger.known
        assert dead is not None
        pids = ", ".join(str(pid) for pid, _ in procfs.session_members(dead.pid))
        text = f"children of the dead bot (PID {dead.pid}) live on: {pids}; stopping them"
        self.journal.event("leftovers", text, "warning")
        self._stopping = Stopping(self.config, None, dead)

    def _climb(self, stopping: Stopping) -> None:
        climbing = stopping.ladder
        climbing.advance()
        if climbing.outcome is None:
            return
        climbing.close()
        self._stopping = None
        if climbing.outcome == "stuck":
            text = f"PID {climbing.main.pid} or a child of it survived SIGKILL: nothing is started beside it"
            self._ledger.feed(model.Stuck(text))
            self._recheck_at = clock.now() + RECHECK
            self._orders.desk.close_all(self._view(), ExitCode.STUCK, text)
            return
        if self.bot:
            wanted = self._orders.wanted
            asked = self._orders.desk.wants("stop", "restart") or not wanted
            self._deaths.ended(self.bot, stopping, asked, wanted)
            self._forget()
        self._converge()

    def _forget(self) -> None:
        if self.bot:
            watched.release(self.bot)
        self.bot = None
        self.monitor.end()
        self._verify_at = self._scan_at = None

    def _look_for_others(self) -> None:
        self._scan_at = clock.now() + DUPLICATE_SCAN
        self._report_others(self._claim.others(self._ledger.known))
        spawn.trim_output(self.paths.bot_out)

    def _report_others(self, others: tuple[Identity, ...]) -> None:
        if others and self.bot:
            pids = ", ".join(str(one.pid) for one in (self.bot.identity, *others))
            self._ledger.feed(
                model.Duplicate(f"more than one bot is running: PIDs {pids}. None was stopped: decide which one goes")
            )

    # Effects ---------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Answer, save, write and tell: everything that may fail or be slow comes after the deed."""
        self._orders.desk.settle(self._view())
        self._ledger.flush()
        if self.bot:
            self._deaths.note()

    def _view(self) -> View:
        bot = self.bot
        unsettled = self._stopping is not None or self._claim.contended
        return View(
            self.memory, bot.identity.pid if bot else None, bool(bot and bot.verified), unsettled, self._spawned_at
        )
