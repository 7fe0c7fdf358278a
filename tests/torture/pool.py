"""The parent's side: a few workers, each a process of its own in a PID namespace of its own where that is allowed.

There the agent's looks at the process table find nothing but their own world, so that a system call's number is the
same in every run; and nothing outlives the worker.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.process.world import AGENT, REPOSITORY
from tests.torture.warm import PADDING

#: After so many points that went wrong a row is given up.
ENOUGH = 12

Answer = tuple[int, str, dict[str, Any]]


class Worker:
    """One worker process that serves rows for one copy of the agent."""

    def __init__(self, agent: Path = AGENT) -> None:
        argv = [*_namespace(), sys.executable, "-m", "tests.torture.worker", PADDING]
        environment = {**os.environ, "PYTHONPATH": f"{agent}{os.pathsep}{REPOSITORY}", "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, cwd="/", env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(self, job: dict[str, Any]) -> Any:
        """Have a job done."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker has ended with {self._process.wait()} over {job}")
        return json.loads(line)

    def close(self) -> None:
        """Let it clear up and end."""
        self._process.communicate()


@cache
def _namespace() -> list[str]:
    """The words that put a command into a PID namespace of its own (unshare(1)); none where that is not allowed."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid():
        words += ["--user", "--map-current-user"]
    try:
        done = subprocess.run([*words, "true"], check=False, capture_output=True, timeout=30)
    except OSError:
        return []
    return words if done.returncode == 0 else []


@contextmanager
def workers(count: int, agent: Path = AGENT) -> Iterator[list[Worker]]:
    """So many workers, ended afterwards."""
    team: list[Worker] = []
    try:
        team.extend(Worker(agent) for _ in range(count))
        yield team
    finally:
        for one in team:
            one.close()


def hurt(team: list[Worker], row: str, points: list[Any], tell: Callable[[Answer], None]) -> list[Answer]:
    """Have all points of a row done, each by whichever worker is free; ``points`` are (number, name, point)."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for point in points:
        waiting.put(point)
    answers: list[Answer] = []
    errors: list[Exception] = []
    wrong = 0

    def work(worker: Worker) -> None:
        nonlocal wrong
        try:
            while wrong < ENOUGH and not errors:
                number, name, point = waiting.get_nowait()
                verdict = worker.ask({"row": row, "point": point})
                wrong += bool(verdict["doubles"] or verdict["lost"] or verdict["tracebacks"])
                answers.append((number, name, verdict))
                tell(answers[-1])
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001 - raised again by the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in team]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers
