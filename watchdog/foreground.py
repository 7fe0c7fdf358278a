"""`run`: the bot in the foreground, for people who start it by hand. It holds the same lock as any other bot.

A small parent stays in front of it for one purpose: Ctrl-C is recorded as `stop` before the bot hears of it, or a guard
would bring the bot back in the background within a millisecond.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from . import identity, instance, launch, locks, spawn, wish
from .config import Config
from .errors import BusyError, NotRunningError, WatchdogError
from .pidfile import write_pid_file

_STOPS = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


def run(config: Config, here: instance.Instance, by: str) -> int:
    """Run the bot until it ends; its exit code (128 + number for a signal). Refuses when it is stopped or running."""
    launch.seal()
    instance.prepare(here)
    lock = locks.acquire(here.bot_lock)
    if lock is None:
        raise BusyError(f"{config.name} is running already, or being started: see `status`")
    if not wish.read_desired(here).wanted:
        raise NotRunningError(f"{config.name} is stopped by the operator: say `start` first")
    seen = identity.look(config, here, None)
    if seen.bot or seen.unknown:
        raise BusyError(f"{config.name} is running already: PID {seen.bot.pid}" if seen.bot else str(seen.unknown))
    os.set_inheritable(lock, True)
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPS, *_PASSED_ON))  # until we can record what they mean
    child = os.fork()
    if child == 0:
        _become_the_bot(config, here, lock)
    os.close(lock)
    _accompany(child, here, by)
    try:
        write_pid_file(config.pid_file, child)
    except OSError:
        pass  # the PID file is for people, and these are looking at the bot
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def _become_the_bot(config: Config, here: instance.Instance, lock: int) -> None:
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(config.app_dir)
        for number in (*_STOPS, *_PASSED_ON, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOPS, *_PASSED_ON))
        os.umask(0o022)
        argv = [config.python, config.script, *config.args]
        os.execve(config.python, argv, spawn.environment(config, here, lock, notify=False))
    except OSError as error:
        os.write(2, f"watchdog: cannot start {config.script}: {error.strerror} {error.filename or ''}\n".encode())
    finally:
        os._exit(1)


def _accompany(child: int, here: instance.Instance, by: str) -> None:
    found = identity.identify(child)
    pidfd = os.pidfd_open(child) if found else None

    def pass_on(number: int, _frame: Any) -> None:
        if number in _STOPS:
            try:
                wish.write_desired(here, wish.STOPPED, by, "Ctrl-C in `run`")
            except OSError as error:
                raise WatchdogError(f"stop not recorded: {error.strerror}") from None
        if pidfd is not None:
            try:
                signal.pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                pass

    for number in (*_STOPS, *_PASSED_ON):
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOPS, *_PASSED_ON))
