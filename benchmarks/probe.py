"""Runs inside a lab host, as the bot's user: `python3 - ticks COUNT DOOR` or `python3 - heir LIB SCRIPT`; prints JSON.

`ticks`: milliseconds of a cron tick with a live guard and of a bare Python, in turns. `heir`: milliseconds from the
kill -9 of the guard until another one answers.
"""

import json
import os
import signal
import subprocess
import sys
import time

DEADLINE_S = 30


def spent(argv: list[str]) -> float:
    """Milliseconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(argv, check=True)
    return (time.perf_counter() - began) * 1000


def ticks(count: int, door: str) -> dict[str, list[float]]:
    """In turns, so that load hits both alike."""
    found: dict[str, list[float]] = {"tick": [], "python": []}
    for _ in range(count):
        found["tick"].append(spent([door, "guard"]))
        found["python"].append(spent([sys.executable, "-c", "pass"]))
    return found


def heir(lib: str, script: str) -> float:
    """Kill the guard that answers, and ask until another one does."""
    sys.path.insert(0, lib)
    from watchdog import control, instance

    path = instance.locate(script).control_socket
    first = control.ping(path)
    if first is None:
        sys.exit("no guard answers")
    began = time.perf_counter()
    os.kill(first["pid"], signal.SIGKILL)
    while time.perf_counter() - began < DEADLINE_S:
        answer = control.ping(path)
        if answer is not None and answer["pid"] != first["pid"]:
            return (time.perf_counter() - began) * 1000
        time.sleep(0.0005)
    sys.exit(f"no guard within {DEADLINE_S} s")


if sys.argv[1] == "ticks":
    print(json.dumps(ticks(int(sys.argv[2]), sys.argv[3])))
else:
    print(json.dumps(heir(sys.argv[2], sys.argv[3])))
