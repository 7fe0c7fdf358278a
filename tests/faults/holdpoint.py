"""Run the agent and hold it (SIGSTOP) right before or right after its first call of one function.

``python holdpoint.py MODULE:FUNCTION before|after -- ARGUMENTS`` runs ``python -m watchdog ARGUMENTS``. SIGCONT lets it
go on.
"""

import functools
import importlib
import os
import runpy
import signal
import sys


def hold(place: str, when: str) -> None:
    """Wrap the function, which may be a method (``claim:Claim.examine``)."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(f"watchdog.{module}"))
    function = getattr(owner, name)
    calls = iter([signal.SIGSTOP])

    def stop_here() -> None:
        for number in calls:
            os.kill(os.getpid(), number)

    @functools.wraps(function)
    def held(*arguments: object, **named: object) -> object:
        if when == "before":
            stop_here()
        try:
            return function(*arguments, **named)
        finally:
            stop_here()

    setattr(owner, name, held)


if __name__ == "__main__":
    chosen, moment, _, *words = sys.argv[1:]
    sys.argv = ["watchdog", *words]
    sys.path[0] = os.environ["PYTHONPATH"]
    hold(chosen, moment)
    runpy.run_module("watchdog", run_name="__main__", alter_sys=True)
