"""The guard: a small resident process that sleeps on the bot's pidfd and wakes the moment it dies."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
from typing import TYPE_CHECKING, Any, Callable

from . import __version__, beat, clock, control, launch, locks, monitor, procfs, wish
from .config import Config
from .engine import Engine
from .errors import UsageError
from .heir import Heir
from .instance import Instance
from .journal import Journal
from .notify import Listener
from .outbox import Outbox
from .outcome import Operation, Result
from .paths import Paths
from .states import ExitCode

if TYPE_CHECKING:
    from .upgrade import Upgrade

HEIR_PAUSE = 5.0
"""Seconds before a dead heir is replaced, so that one that cannot live does not keep us busy."""

ERRORS = 8
ERROR_WINDOW = 120.0
"""So many errors of our own within so many seconds make the guard give way to its heir."""

NOTIFY_PAUSE = 0.05
"""Seconds for which nothing more is heard on a crowded notify socket: whoever floods it waits, and we sleep."""

OUTBOX_PAUSE = 60.0
"""Seconds between two tries to deliver what waits in the outbox."""


class Guard:
    """Owns ``guard.lock`` (held by the caller), the sockets, the beat and the heir around one engine.

    ``before`` names the release that this process ran until now, if it was a guard already.
    """

    def __init__(
        self,
        config: Config,
        instance: Instance,
        paths: Paths,
        journal: Journal,
        lock: int,
        foreground: bool = False,
        before: str | None = None,
    ) -> None:
        self.config, self.instance, self.paths, self.journal = config, instance, paths, journal
        self._lock, self._foreground, self._before = lock, foreground, before
        self._began, self._since = clock.now(), clock.stamp()
        self._upgrade: Upgrade | None = None
        self._leaving: str | None = None
        self._keep_heir = False
        self._renew_heir = before is not None
        self._beat_at = self._heir_at = self._outbox_at = self._notify_at = 0.0
        self._beat_failed = False
        self._errors: list[float] = []
        self._beat()
        self.outbox = Outbox(config, paths, journal)
        self.heir = Heir(config, instance)
        self.server: control.Server | None = None
        self._listen()
        self.notify = self._notify()
        self.engine = Engine(config, instance, paths, journal, self.outbox.alert, notify=self.notify is not None)

    def run(self, ready: int | None = None) -> None:
        """Guard the bot until SIGTERM or `retire`; the bot is never touched by our end.

        ``ready`` is a descriptor that is closed once control requests are being answered.
        """
        read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in launch.LEAVE:
            signal.signal(number, self._asked_to_leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, launch.LEAVE)
        for number in (signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if ready is not None:
            os.close(ready)
        self.journal.say("debug", f"guard is on watch: PID {os.getpid()}, version {__version__}")
        gc.freeze()  # what was loaded stays: no collection in a restart goes through all of it
        self._armoured(self.engine.begin if self._before is None else self._resume, read)
        while not self._leaving:
            self._armoured(self.engine.advance, read)
            self._armoured(self._advance_upgrade, read)
            self._armoured(self._chores, read)
            self._armoured(lambda: self._wait(read), read)
        if self._upgrade:
            self._upgrade.close()
        if not self._keep_heir:
            self.heir.retire()
        self.engine.close()
        for part in (self.server, self.notify):
            if part:
                part.close()
        self.journal.say("debug", f"guard leaves ({self._leaving}); the bot goes on")

    def _armoured(self, work: Callable[[], None], signals: int) -> None:
        """An error of ours must not end the watch. If it keeps coming back, the heir begins afresh."""
        try:
            if not self._leaving:
                work()
        except Exception as error:
            now = clock.now()
            self._errors = [*(at for at in self._errors if now - at < ERROR_WINDOW), now]
            with contextlib.suppress(Exception):  # whatever was short for the work may be short for the telling, too
                self.engine.close()
                self._tell(error)
            if len(self._errors) >= ERRORS:
                os.kill(os.getpid(), signal.SIGKILL)  # leaving in order would retire the heir
            with contextlib.suppress(BlockingIOError):
                os.read(signals, 512)
            poll = select.poll()
            poll.register(signals, select.POLLIN)
            poll.poll(min(10_000, 200 * 2 ** len(self._errors)))

    def _tell(self, error: Exception) -> None:
        import traceback  # with what it imports half a megabyte, and seldom needed

        text = f"watchdog error: {type(error).__name__}: {error}"
        self.journal.event("error", text, "error", trace=traceback.format_exc(limit=-8))
        self.outbox.alert_seldom(text)

    def _wait(self, signals: int) -> None:
        """Sleep until something happens; hear requests and the bot's messages."""
        poll = select.poll()
        server = self.server.descriptors() if self.server else []
        crowded = self.notify is not None and clock.now() < self._notify_at
        notify = [self.notify.socket.fileno()] if self.notify and not crowded else []
        heir = [self.heir.pidfd] if self.heir.pidfd is not None else []
        upgrade = self._upgrade.descriptors() if self._upgrade else []
        for descriptor in [signals, *server, *notify, *heir, *upgrade, *self.engine.descriptors()]:
            poll.register(descriptor, select.POLLIN)
        until = min(self.engine.deadline(), self._beat_at, self._heir_at, self._outbox_at)
        if crowded:
            until = min(until, self._notify_at)
        if self._upgrade:
            until = min(until, self._upgrade.deadline)
        ready = [descriptor for descriptor, _ in poll.poll(max(0.0, until - clock.now()) * 1000 + 1)]
        if signals in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(signals, 512)
        if not self._leaving and any(descriptor in self.engine.descriptors() for descriptor in ready):
            self.engine.advance()  # a death comes before every request and every mail
        if signals in ready:
            self.outbox.reap()
        for descriptor in ready:
            if self.server and descriptor in server:
                self.server.handle(descriptor)
            elif self.notify and descriptor in notify:
                self._notified(self.notify)
            elif descriptor in heir:
                self._heir_at = clock.now() + HEIR_PAUSE
                self.heir.lost()

    def _chores(self) -> None:
        now = clock.now()
        if self.instance.moved():  # the heir begins anew at the script's new real path
            self._leaving, self._keep_heir = "the bot's script has moved", True
            return
        if now >= self._beat_at:
            self._beat()
            self._check_ground()
        if now >= self._heir_at:
            self._heir_at = now + HEIR_PAUSE
            if self.heir.pidfd is None:
                self._find_heir()
        if now >= self._outbox_at:
            self._outbox_at = now + OUTBOX_PAUSE
            self.outbox.deliver()

    def _find_heir(self) -> None:
        try:
            self.heir.renew() if self._renew_heir else self.heir.ensure()
            self._renew_heir = False
        except OSError as error:
            self.journal.say("warning", f"no heir: {error.strerror}; cron alone will replace a dead guard")
            self._heir_at = clock.now() + 3600

    def _beat(self) -> None:
        """Renew the sign of life. A disk that refuses it is said once."""
        self._beat_at = clock.now() + beat.INTERVAL
        try:
            os.makedirs(self.paths.state_dir, mode=0o700, exist_ok=True)
            beat.write(self.paths.beat)
            self._beat_failed = False
        except OSError as error:
            if not self._beat_failed:
                self.journal.say("warning", f"cannot write {self.paths.beat}: {error.strerror}; going on without it")
            self._beat_failed = True

    def _check_ground(self) -> None:
        """Our lock file or our socket may have been removed: without the one we leave, the other is made anew."""
        if not locks.same(self._lock, self.instance.guard_lock):
            self._leaving = "the guard's lock was removed"
        elif self.server is None:
            self._listen()
        else:
            self.server.settle()

    def _listen(self) -> None:
        try:
            self.server = control.Server(self.instance.control_socket, self._request)
        except OSError as error:
            self.journal.say("warning", f"no control socket: {error.strerror}; verbs will not reach this guard")

    def _notify(self) -> Listener | None:
        try:
            return Listener(self.instance.notify_socket)
        except OSError as error:
            self.journal.say("debug", f"no notify socket: {error.strerror}; READY=1 is not heard")
            return None

    def _notified(self, listener: Listener) -> None:
        for pid, line in listener.messages():
            if self.engine.bot is None or pid != self.engine.bot.identity.pid:
                continue  # a child of it, or another process of its user: not its own word
            if line != "READY=1":
                self.engine.monitor.heard(line)
            elif not self.engine.bot.verified:
                self.engine.verified("said READY=1")
                self.engine.advance()
        if listener.crowded:
            self._notify_at = clock.now() + NOTIFY_PAUSE
            self.engine.monitor.missed()

    def _request(self, request: dict[str, Any], reply: control.Reply) -> None:
        verb = request.get("verb")
        if verb in ("start", "stop", "restart", "reset", "check"):

            def finish(result: Result) -> None:
                reply(result.document())

            by, reason = str(request.get("by", "unknown")), str(request.get("reason", ""))
            asked = request.get("asked")
            spoken = float(asked) if isinstance(asked, (int, float)) and 0 <= asked <= clock.now() else None
            self.engine.submit(Operation(verb, by, reason, finish, asked=spoken))
        elif verb == "retire":
            self._leaving = "retired"
            reply(self._about())
        elif verb == "upgrade":
            self._begin_upgrade(request, reply)
        elif verb == "wake":
            self.engine.stir()
            self.engine.advance()
            reply(self._about())
        else:
            reply(self._about())

    def _begin_upgrade(self, request: dict[str, Any], reply: control.Reply) -> None:
        """Try the new release. Where our own is no longer whole on the disk we answer as one that knows no upgrade."""
        try:
            from . import upgrade
        except (ImportError, SyntaxError):
            reply(self._about())
            return
        if self._upgrade:
            reply(upgrade.refusal("an upgrade is under way already", ExitCode.BUSY))
            return
        try:
            self._upgrade = upgrade.Upgrade(request, reply, self.instance, self.journal, self.outbox.bury)
        except UsageError as error:
            reply(upgrade.refusal(str(error), ExitCode.USAGE))

    def _advance_upgrade(self) -> None:
        if self._upgrade and self._upgrade.advance(self.engine.busy):
            self._beat()
            words = [*(["--foreground"] if self._foreground else []), "--resume", launch.release() or __version__]
            self._upgrade.become([self._lock, *self.engine.claimed], words, lambda: self._leaving)
        if self._upgrade and self._upgrade.over:
            self._upgrade = None

    def _resume(self) -> None:
        """Go on where the release before us stopped, with its bot and its other children."""
        self.engine.resume()
        text = f"upgraded from {self._before} to {launch.release() or __version__} (PID {os.getpid()} as before)"
        self.journal.event("upgraded", text, "ok", version=__version__)
        known = self.engine.bot.identity.pid if self.engine.bot else None
        self.outbox.bury([pid for pid in procfs.children() if pid != known])

    def _about(self) -> dict[str, Any]:
        memory = self.engine.memory
        return {
            "pid": os.getpid(),
            "version": __version__,
            "began": self._began,
            "since": self._since,
            "state": memory.phase.value,
            "reason": memory.told or memory.doubt or memory.reason,
            "signs": monitor.document(self.engine.monitor.signs, clock.now()),
            "health": self.engine.monitor.report(),
            "bot": self.engine.bot.identity.pid if self.engine.bot else None,
            "next_start_in_s": None if memory.next_start is None else max(0.0, memory.next_start - clock.now()),
            "maintenance": wish.read_maintenance(self.instance) is not None,
        }

    def _asked_to_leave(self, number: int, frame: object) -> None:
        self._leaving = signal.Signals(number).name
