"""Run the agent and kill it with SIGKILL at the n-th line of its own code that it comes to for the first time.

``python linekill.py N COUNT_FILE [now|armed] -- ARGUMENTS`` runs ``python -m watchdog ARGUMENTS``. Counting begins at
once (``now``) or at SIGUSR1 (``armed``). With N = 0 nobody is killed and the number of lines is in COUNT_FILE after
SIGUSR2 or at the end: the reference from which a test takes its points.
"""

import inspect
import os
import runpy
import signal
import sys
import types


def main() -> None:
    """Trace the package's lines and nothing else."""
    limit, report, when, _, *words = sys.argv[1:]
    last = int(limit)
    package = os.path.join(os.environ["PYTHONPATH"], "watchdog") + os.sep
    counting = when == "now"
    seen: set[tuple[str, int]] = set()

    def line(frame: types.FrameType, event: str, argument: object) -> object:
        if event == "line" and counting:
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(seen) == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: types.FrameType, event: str, argument: object) -> object:
        code = frame.f_code
        within = code.co_flags & inspect.CO_OPTIMIZED and code.co_filename.startswith(package)  # not while importing
        return line if within else None

    def arm(number: int, frame: object) -> None:
        nonlocal counting
        counting = True

    def tell(*_: object) -> None:
        with open(report + ".part", "w") as file:
            file.write(str(len(seen)))
        os.rename(report + ".part", report)

    signal.signal(signal.SIGUSR1, arm)
    signal.signal(signal.SIGUSR2, tell)
    sys.argv = ["watchdog", *words]
    sys.path[0] = os.environ["PYTHONPATH"]
    sys.settrace(call)
    try:
        runpy.run_module("watchdog", run_name="__main__", alter_sys=True)
    finally:
        sys.settrace(None)
        if not last:
            tell()


if __name__ == "__main__":
    main()
