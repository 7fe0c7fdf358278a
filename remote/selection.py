"""From what stands after -H to the hosts it means: names, groups, globs and exclusions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from .errors import UsageError
from .hosts import wants_watchdog
from .inventory import Inventory

DEFAULT_GROUP = "bots"
"""What no -H means, where the inventory has such a group; else every host."""


def select(inventory: Inventory, patterns: Iterable[str] | None) -> list[str]:
    """Names in inventory order, each once. ``None`` is every bot that the inventory wants to exist.

    A pattern is a host, a group, a glob over both (``bot*``), or one of these after ``!`` to leave hosts out.

    :raises UsageError: a pattern that nothing answers to, or nothing left over.
    """
    if patterns is None:
        chosen = {
            name
            for name in inventory.groups.get(DEFAULT_GROUP) or inventory.hosts
            if wants_watchdog(inventory.hosts.get(name, {}))
        }
        if not chosen:
            raise UsageError(
                f"every host in {inventory.source} has watchdog_state: absent: name the one you mean with -H"
            )
    else:
        wanted = [pattern.strip() for pattern in patterns if pattern.strip()]
        included = [pattern for pattern in wanted if not pattern.startswith("!")]
        chosen = set(inventory.hosts) if wanted and not included else set()
        for pattern in included:
            chosen |= _matches(inventory, pattern)
        for pattern in wanted:
            if pattern.startswith("!"):
                chosen -= _matches(inventory, pattern[1:])
        if not chosen:
            raise UsageError(f"-H {','.join(wanted) or repr('')} leaves no host")
    return [name for name in inventory.hosts if name in chosen]


def _matches(inventory: Inventory, pattern: str) -> set[str]:
    found = {name for name in inventory.hosts if fnmatchcase(name, pattern)}
    for group, members in inventory.groups.items():
        if fnmatchcase(group, pattern):
            found.update(members)
    if not found and pattern not in inventory.groups:
        raise UsageError(_unknown(inventory, pattern))
    return found


def _unknown(inventory: Inventory, pattern: str) -> str:
    names = [*inventory.hosts, *(group for group in inventory.groups if group != "ungrouped")]
    what = (
        f"no host or group {'matches' if set(pattern) & set('*?[') else 'is called'} {pattern!r} in {inventory.source}"
    )
    if "@" in pattern:
        return f"{what}: give the inventory name alone, the login user comes from ansible_user"
    folded = {name.casefold(): name for name in reversed(names)}
    if close := difflib.get_close_matches(pattern.casefold(), folded, n=1):
        return f"{what}: did you mean {folded[close[0]]!r}?"
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{what}: it has {shown}"
