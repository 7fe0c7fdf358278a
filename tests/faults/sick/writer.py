"""Keeps a freshness file until told; ``ahead`` is how many seconds in the future it says it was written.

``jumps`` sets its time back by an hour and ahead by a day, in turn, as a clock that is stepped would.
One that is ``well`` is not told.
"""

import itertools
import os
import time


def live(behaviour, told):
    """Write, then only live."""
    for number in itertools.count():
        if told() and not behaviour.get("well"):
            break
        touch(behaviour["file"], number, behaviour)
        time.sleep(0.05)
    while True:
        time.sleep(3600)


def touch(path, number, behaviour):
    """A file whose time is what a bot's clock says."""
    with open(path, "w") as file:
        file.write(str(number))
    shift = (-3600, 0, 86400)[number % 3] if behaviour.get("jumps") else behaviour.get("ahead", 0)
    stamp = time.time() + shift
    os.utime(path, (stamp, stamp))
