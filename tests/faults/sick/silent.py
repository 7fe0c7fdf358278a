"""Works on and reads all that comes, but beats no longer; with ``child`` a forked child beats in its place."""

import os
import time

import lifesign
import work


def live(behaviour, told):
    """Work, then work in silence."""
    feed = work.until(told, behaviour)
    if behaviour.get("child") == "beats":
        child = os.fork()
        if child == 0:
            lifesign._OWNER = os.getpid()
            while True:
                lifesign.beat()
                time.sleep(0.05)
    while True:
        work.take(feed)
