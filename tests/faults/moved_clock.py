"""A wall clock of the agent's own, which a test may set; this machine's clock is nobody's to move."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.watched import WatchedWorld

#: Moves the wall clock of the agent's processes by as many seconds as the file says at that moment.
MOVED_CLOCK = """\
import time
real = time.time
def moved():
    with open({path!r}) as file:
        return real() + float(file.read() or 0)
time.time = moved
"""


def moved_clock(world: WatchedWorld) -> Callable[[int], None]:
    """Give the agent a wall clock of its own; returns how to set it, in seconds from the right time."""
    world.waive(I5="when an alert was queued is told by the clock that is moved")
    folder = world.folder / "clock"
    folder.mkdir()
    path = folder / "seconds"
    path.write_text("0")
    (folder / "sitecustomize.py").write_text(MOVED_CLOCK.format(path=str(path)))
    world.env["PYTHONPATH"] = f"{folder}:{world.agent}"

    def move(seconds: int) -> None:
        part = folder / "part"
        part.write_text(str(seconds))
        part.rename(path)

    return move
