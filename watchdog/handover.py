"""The new release's side of an upgrade: ask the guard on watch to go on as us, and prove beforehand that it can.

`guard --replace` asks; the guard tries us with `guard --self-test` in a child and then becomes us (see `upgrade`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from typing import Any

from . import clock, control, identity, instance, launch, login, paths, snapshot, wish
from .config import Config
from .errors import BusyError, WatchdogError
from .instance import Instance
from .states import ExitCode

LIMIT = 40.0
"""Seconds for a guard to decide: its limits for the self-test and for what is under way, and some to spare."""

ON_WATCH = 15.0
"""Seconds for the new release to answer once the guard has become it."""

TRIES = 3
"""Guards that are asked one after the other, if each of them is killed over it."""


def take_over(settings: Config, here: Instance) -> bool:
    """Have the guard on watch go on as this release, in its own process. False where no guard is able to.

    Raises WatchdogError when the guard refuses us, BusyError when something else has to come to an end first.
    """
    request = {
        "verb": "upgrade",
        "command": launch.command(settings),
        "environment": launch.environment(settings),
    }
    for _ in range(TRIES):
        before = control.ping(here.control_socket)
        if before is None or (login.within(before.get("pid", 0)) and not login.within("self")):
            return False  # nobody there; or one that ends with somebody's log-in, as we do not
        asked = clock.now()
        try:
            answer = control.ask(here.control_socket, request, LIMIT)
        except TimeoutError as error:
            raise BusyError(str(error)) from None
        except ConnectionResetError:  # as it must be: the guard is another program now, or dead
            after = _next_on_watch(here, asked)
            if after is None:
                return False
            if after.get("pid") == before.get("pid"):
                return True
            continue
        if answer is None or "exit_code" not in answer:  # none any more, or one that knows no upgrade
            return False
        kind = BusyError if answer["exit_code"] == ExitCode.BUSY else WatchdogError
        raise kind(f"{answer.get('message')}; the guard (PID {before.get('pid')}) goes on as it was")
    return False


def _next_on_watch(here: Instance, since: float) -> dict[str, Any] | None:
    """What the first guard that began after that moment says about itself; None when none answers in time."""
    end = clock.now() + ON_WATCH
    while clock.now() < end:
        answer = control.ping(here.control_socket)
        began = answer.get("began") if answer else None
        if isinstance(began, (int, float)) and began >= since:
            return answer
        time.sleep(0.01)
    return None


def self_test(settings: Config) -> dict[str, Any]:
    """Go through what a guard of this release needs, as far as that changes nothing; what the old guard compares.

    Raises whatever is wrong.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    for file in sorted(os.listdir(folder)):
        name, ending = os.path.splitext(file)
        if ending == ".py" and name not in ("__init__", "__main__"):
            importlib.import_module(f"{__package__}.{name}")
    here = instance.locate(settings.script)
    instance.prepare(here)
    known = None
    with contextlib.suppress(ValueError):  # a state that cannot be used begins anew
        known = snapshot.load(paths.of(settings, here).state_file).bot
    with contextlib.suppress(OSError):
        wish.read_desired(here)
    wish.read_maintenance(here)
    identity.look(settings, here, known)
    return {"self_test": "passed", "release": launch.release(), "instance": here.directory}
