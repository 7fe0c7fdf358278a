"""The one kernel limit that many hosts on one kernel exceed, raised while labs are up and put back after."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lab.paths import state_root

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
#: A booted host was seen to hold 7; a log-in of a person adds 2. All hosts' root users share one budget.
_PER_HOST = 10
_ROOM_FOR_OTHERS = 128


def adjust(hosts_of_each_lab: Collection[int]) -> None:
    """Make the limit fit the labs that are up now; without any, what it was before the first of them."""
    before = state_root() / "inotify-limit"
    if not hosts_of_each_lab:
        if before.exists():
            _LIMIT.write_text(before.read_text())
            before.unlink()
        return
    current = int(_LIMIT.read_text())
    needed = _ROOM_FOR_OTHERS + _PER_HOST * sum(hosts_of_each_lab)
    if current < needed:
        if not before.exists():
            before.write_text(str(current))
        _LIMIT.write_text(str(needed))
