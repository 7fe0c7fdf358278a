"""Becoming the guard, which is what a tick of cron does where no guard answers (see `pulse`)."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from . import config, control, instance, locks, procfs
from .errors import BusyError, ConfigError
from .states import ExitCode

if TYPE_CHECKING:
    from .journal import Journal
    from .paths import Paths

SETTLE = 4.0
"""Seconds that a tick waits for another tick to become the guard."""


def become_guard(
    settings: config.Config, foreground: bool, replace: bool, debug: bool, resume: str | None = None
) -> int:
    """Take the guard's lock and stay, detached unless ``foreground``. 0 too when another guard answers.

    ``resume`` names the release that was the guard in this very process until now: we have its lock already.

    Raises BusyError when somebody else keeps the lock, without an answer, yet not long enough to be replaced.
    """
    from . import launch, paths, wedged, wish
    from .journal import Journal

    here = instance.locate(settings.script)
    instance.prepare(here)
    wish.inherit(here)
    places = paths.of(settings, here)
    journal = Journal(places.log_file, places.events_file, settings.name, debug)
    launch.seal()
    lock = locks.inherited(here.guard_lock)
    if lock is not None and resume is not None:
        return _stay(settings, here, places, journal, lock, foreground, resume)
    old = None
    if replace and lock is None:
        from . import handover

        if handover.take_over(settings, here):
            return 0
        old = retire(here, journal)
    observer = wedged.Observer(settings, here, places, journal)
    end = time.monotonic() + SETTLE
    while lock is None:
        lock = _acquire(here)
        if lock is not None:
            break
        answer = control.ping(here.control_socket)
        if answer and answer.get("pid") != old:
            return 0
        if observer.relieve():
            end = time.monotonic() + SETTLE
        elif time.monotonic() > end and not observer.suspicious:
            raise _locked_out(settings, here, places, journal)
        time.sleep(0.02)
    return _stay(settings, here, places, journal, lock, foreground)


def retire(here: instance.Instance, journal: Journal) -> int | None:
    """Ask the guard and its heir to leave and wait until they have; the PID of the guard that left. The bot goes on.

    Raises BusyError when it will not go.
    """
    from . import heir, ladder, wedged
    from .identity import identify

    answer = control.ping(here.control_socket, "retire", 5.0)
    found = identify(int(answer["pid"])) if answer else wedged.holder(here)
    if found is None:
        return int(answer["pid"]) if answer else None
    pidfd = ladder.open_pidfd(found)
    if pidfd is None:
        return found.pid
    try:
        end = time.monotonic() + 5.0
        while time.monotonic() < end:
            if ladder.ended(pidfd):
                return found.pid
            time.sleep(0.01)
    finally:
        os.close(pidfd)
    heir.disinherit(here)
    if "guard" in procfs.cmdline(found.pid) and wedged.end(found, journal):
        return found.pid
    raise BusyError(f"PID {found.pid} holds {here.guard_lock} and does not leave")


def _locked_out(settings: config.Config, here: instance.Instance, places: Paths, journal: Journal) -> BusyError:
    """What to say of the silent holder of the guard's lock. A stranger is told by mail: nobody is on watch then."""
    from . import outbox, wedged

    foreign, other = wedged.strangers(here), wedged.holder(here)
    who = foreign or (f"PID {other.pid}" if other else "a process that cannot be identified")
    text = f"{who} holds {here.guard_lock} and does not answer"
    if foreign:
        text += ": no guard is on watch until it lets go"
        outbox.Outbox(settings, places, journal).alert_seldom(text)
    return BusyError(f"{text}; looked at again by the next tick")


def _acquire(here: instance.Instance) -> int | None:
    try:
        return locks.acquire(here.guard_lock)
    except OSError as error:
        raise ConfigError(f"no lock {here.guard_lock}: {error.strerror}; nothing is started without one") from None


def _stay(
    settings: config.Config,
    here: instance.Instance,
    places: Paths,
    journal: Journal,
    lock: int,
    foreground: bool,
    before: str | None = None,
) -> int:
    from .guard import Guard

    ready: int | None = None
    if before is None and not foreground:
        heard = _detach({lock, *filter(None, [locks.inherited(here.heir_lock)])})
        if heard is None:
            os.close(lock)
            return 0
        ready = heard
    journal.console = foreground
    try:
        os.chdir("/")
        Guard(settings, here, places, journal, lock, foreground, before).run(ready)
    except Exception as error:
        journal.event(
            "guard-crashed", f"the guard ended by an error of its own: {type(error).__name__}: {error}", "error"
        )
        if not foreground:
            os._exit(ExitCode.FAILED)
        raise
    if not foreground:
        os._exit(0)
    return 0


def _detach(keep: set[int]) -> int | None:
    """Fork twice into a session of our own. In the parent: None, once the guard answers. In the guard: a descriptor.

    cron waits until nobody has the job's output open, so all three streams go to /dev/null.
    """
    import select

    from . import launch

    read, write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        os.close(write)
        os.waitpid(child, 0)
        select.select([read], [], [], 10.0)  # end of file: the guard answers, or is dead
        os.close(read)
        return None
    os.setsid()
    if os.fork():
        os._exit(0)
    launch.shed({*keep, write})
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    return write
