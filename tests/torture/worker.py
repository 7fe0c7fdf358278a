"""A worker: reads jobs, one JSON line each, hurts the agent accordingly, and answers with one JSON line.

It is a process of its own, so that everything in its ground descends from it, and with its own PYTHONPATH: the copy of
the agent that it tortures.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.torture import rows, warm
from tests.torture.ground import Ground
from watchdog import pidfile

#: Files in memory: nothing here is to outlive a power failure, and with fsync(2) each point would wait for a disk.
MEMORY = "/dev/shm"


def main() -> None:
    """Serve until stdin ends."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    warm.load()
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="torture-", dir=memory) as folder,
        tempfile.TemporaryDirectory(prefix="torture-") as programs,  # in memory nothing may be executable
    ):
        if os.getpid() == 1:
            _own_home(Path(folder, "instances"))
        ground = Ground(Path(folder), Path(programs))
        try:
            for line in requests:
                job: dict[str, Any] = json.loads(line)
                answers.write(json.dumps(rows.BY_NAME[job["row"]].serve(ground, job)) + "\n")
                answers.flush()
        finally:
            ground.close()


def _own_home(folder: Path) -> None:
    """In a namespace of our own: instances of other bots are none of our business, nor ours of anybody's.

    Best effort: only root may mount. Without it calls that look at those instances are in every trace.
    """
    home = Path(pwd.getpwuid(os.getuid()).pw_dir, pidfile.BASE)
    for place in (folder, home):
        place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", folder, home], check=False, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # the parent is interrupted, or gone
        main()
