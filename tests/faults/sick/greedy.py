"""Takes ever more of something: ``memory`` (bytes a step), ``descriptors`` (of a soft limit), or a whole core."""

import os
import resource
import time

import work


def live(behaviour, told):
    """Modest until told."""
    work.until(told, behaviour)
    kept = []
    if "descriptors" in behaviour:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (behaviour["descriptors"], hard))
        leak(kept, behaviour["descriptors"] - 2)
    while "memory" in behaviour and len(kept) < 50:
        kept.append(b"x" * behaviour["memory"])
        time.sleep(0.05)
    while behaviour.get("burns"):
        pass
    while True:
        time.sleep(3600)


def leak(kept, most):
    """Descriptors up to that number, and not one more."""
    while not kept or kept[-1] < most:
        kept.append(os.open(os.devnull, os.O_RDONLY))
