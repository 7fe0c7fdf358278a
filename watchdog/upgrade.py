"""The guard's side of an upgrade: the new release proves itself in a child, then this very process becomes it.

execve(2) keeps the PID, the guard's lock and the children. So the bot stays our child, and how it ends stays known; and
whoever is killed at whatever instruction, the lock is with this process or free for the heir.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import Any, Callable

from . import clock, control, ladder, launch
from .errors import UsageError
from .instance import Instance
from .journal import Journal, clean
from .states import ExitCode

SELF_TEST = 10.0
"""Seconds for the self-test of a new release."""

PATIENCE = 20.0
"""Seconds that an upgrade waits for an operation that is under way."""

_NAMES = frozenset(
    {"HOME", "LOGNAME", "PATH", "SHELL", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"}
)  # what launch.environment gives, beside the settings
_SETTINGS = ("WATCHDOG_", "SMTP_", "ALERT_EMAIL_")


class Upgrade:
    """One upgrade, from the request to execve(2) or a refusal. ``over`` is true once it was refused.

    Drive it with `descriptors`, `deadline` and `advance`.
    """

    def __init__(
        self,
        request: dict[str, Any],
        reply: control.Reply,
        instance: Instance,
        journal: Journal,
        bury: Callable[[list[int]], None],
    ) -> None:
        """Start the self-test. ``bury`` reaps children that may take their time to die.

        Raises UsageError for a request that cannot be understood.
        """
        self._command, self._environment = _command(request), _environment(request)
        self._reply, self._instance, self._journal, self._bury = reply, instance, journal, bury
        self.over = False
        self.deadline = clock.now() + SELF_TEST
        self._pid: int | None = None
        self._pidfd = self._output = -1
        try:
            self._start()
        except OSError as error:
            self._refuse(f"the new release cannot be started: {error.strerror}: {self._command[0]}")

    def descriptors(self) -> list[int]:
        """What to poll for."""
        return [] if self._pid is None else [self._pidfd]

    def advance(self, busy: str | None) -> bool:
        """True when this process may become the new release now. ``busy`` says what else is under way."""
        if self.over:
            return False
        if self._pid is not None:
            if ladder.ended(self._pidfd):
                self._judge()
            elif clock.now() >= self.deadline:
                self.close()
                self._refuse(f"the self-test of the new release did not end within {SELF_TEST:.0f} s")
            if self.over or self._pid is not None:
                return False
        if busy and clock.now() >= self.deadline:
            self._refuse(f"busy: {busy}", ExitCode.BUSY)
        return not busy and not self.over

    def become(self, keep: list[int], words: list[str], leaving: Callable[[], object]) -> None:
        """Become the new release, with the descriptors ``keep``; comes back only if that cannot be done.

        A signal to leave that comes in between waits for the new release.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, launch.LEAVE)
        try:
            if leaving():
                return
            for descriptor in keep:
                os.set_inheritable(descriptor, True)
            os.execve(self._command[0], [*self._command, "guard", *words], self._environment)
        except (OSError, ValueError) as error:
            for descriptor in keep:
                os.set_inheritable(descriptor, False)
            self._refuse(f"the new release passed its self-test, but cannot be started: {error}")
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, launch.LEAVE)

    def close(self) -> None:
        """End the self-test, if it is still running."""
        if self._pid is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)  # our own child, not reaped yet, leads that group
            self._let_go()

    def _start(self) -> None:
        self._output, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.set_blocking(write, True)
            self._pid = os.posix_spawn(
                self._command[0],
                [*self._command, "guard", "--self-test"],
                self._environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_DUP2, write, 2),
                ],
                setsid=True,
                setsigmask=(),
            )
            self._pidfd = os.pidfd_open(self._pid)
        except OSError:
            self.close()
            raise
        finally:
            os.close(write)

    def _let_go(self) -> None:
        """The self-test is over for us; one that hangs on a dead disk is reaped when the kernel lets go of it."""
        for descriptor in (self._pidfd, self._output):
            if descriptor >= 0:
                os.close(descriptor)
        self._pidfd = self._output = -1
        if self._pid is not None:
            self._bury([self._pid])
        self._pid = None

    def _judge(self) -> None:
        """The self-test has ended: was it ours, did it pass, and is it about this very bot?"""
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._output, 65_536)
        self._let_go()
        lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()] or ["it said nothing"]
        try:
            proof = json.loads(lines[-1])
            directory = str(proof["instance"]) if proof["self_test"] == "passed" else None
        except (ValueError, KeyError, TypeError, RecursionError):
            directory = None
        if directory is None:
            self._refuse(f"the new release fails its self-test: {clean(lines[-1])[:300]}")
        elif directory != self._instance.directory:
            self._refuse(f"the new release would guard another bot: {clean(directory)[:200]}")
        self.deadline = clock.now() + PATIENCE

    def _refuse(self, text: str, code: ExitCode = ExitCode.FAILED) -> None:
        self.over = True
        self._reply(refusal(text, code))
        self._journal.event("upgrade-refused", f"upgrade refused: {text}", "warning")


def refusal(text: str, code: ExitCode) -> dict[str, Any]:
    """The guard's answer when nothing changes."""
    return {"verb": "upgrade", "ok": False, "exit_code": int(code), "message": text}


def _command(request: dict[str, Any]) -> list[str]:
    found = request.get("command")
    if not isinstance(found, list) or not 1 <= len(found) <= 16 or not all(map(_usable, found)):
        raise UsageError("`command` is no list of words")
    if not os.path.isabs(found[0]):
        raise UsageError("`command` does not begin with an absolute path")
    return found


def _environment(request: dict[str, Any]) -> dict[str, str]:
    """Only what is ours."""
    found = request.get("environment")
    if not isinstance(found, dict) or not all(_usable(text) for pair in found.items() for text in pair):
        raise UsageError("`environment` is no object of texts")
    ours = {key: value for key, value in found.items() if key in _NAMES or key.startswith(_SETTINGS)}
    if any("=" in key for key in ours):
        raise UsageError("`environment` has a name with `=` in it")
    return ours


def _usable(text: object) -> bool:
    """True for a text that execve(2) takes."""
    try:
        return isinstance(text, str) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
