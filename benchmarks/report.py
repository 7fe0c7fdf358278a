"""The results as tables, and what they were measured on."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import NOTHING, median, number, ratio, summary
from benchmarks.run import Result
from benchmarks.tables import Table

#: The keys of the rows that the others are compared with.
FLOOR, OURS = "loop", "dcaTrader"
KILLED = ("bot lives on", "supervisor is back", "two bots", "next death of the bot")


def fastest(results: Sequence[Result]) -> Result | None:
    """The quickest of the peers: neither the floor nor this project's own."""
    peers = [one for one in results if one.seconds and one.key not in (FLOOR, OURS)]
    return min(peers, key=lambda one: median(one.seconds), default=None)


def tables(results: Sequence[Result], crash_s: float) -> list[Table]:
    """Recovery, cost, behaviour."""
    return [recovery(results), cost(results, crash_s), behaviour(results), death(results)]


def recovery(results: Sequence[Result]) -> Table:
    """From kill -9 to the first line of the new bot, as times and as ratios."""
    floor = next((median(one.seconds) for one in results if one.key == FLOOR and one.seconds), None)
    best = fastest(results)
    first = median(best.seconds) if best else None
    rows = []
    for one in results:
        found = summary([second * 1000 for second in one.seconds])
        middle = median(one.seconds) if one.seconds else None
        figures = [number(value) for value in found] if found else [NOTHING] * 4
        rows.append([one.title, str(len(one.seconds)), *figures, ratio(middle, floor), ratio(middle, first)])
    named = f"x {best.title}" if best else "x fastest peer"
    title = "kill -9 → first line of the new bot, ms"
    return Table(title, ("", "kills", "best", "median", "p95", "worst", "x floor", named), rows)


def cost(results: Sequence[Result], crash_s: float) -> Table:
    """What the supervisor takes for itself."""
    rows = [
        [one.title, number(one.pss_mb), number(one.cpu_ms), number(one.tick_ms), _count(one.crash_starts)]
        for one in results
    ]
    title = (
        f"Cost: memory (PSS, MB), CPU (ms in 60 idle s; a cron tick's apart), starts in {crash_s:g} s of a crash loop"
    )
    return Table(title, ("", "memory", "CPU", "cron tick", "starts"), rows)


def behaviour(results: Sequence[Result]) -> Table:
    """What it notices."""
    found = [(one.title, one.hung, one.duplicate, one.adopted) for one in results]
    rows = [[title, *(value or NOTHING for value in values)] for title, *values in found if any(values)]
    head = ("", "hung bot noticed", "second bot noticed", "running bot adopted")
    return Table("In trouble", head, rows)


def death(results: Sequence[Result]) -> Table:
    """What becomes of it and of the bot when it is killed itself."""
    rows = [[one.title, *(one.killed.get(key, NOTHING) for key in KILLED)] for one in results if one.killed]
    return Table("The supervisor itself is killed -9", ("", *KILLED), rows)


def troubles(results: Sequence[Result]) -> list[str]:
    """A line for each thing that could not be had or measured."""
    return [f"{one.title}: {text}" for one in results for text in one.trouble]


def machine() -> dict[str, Any]:
    """What sort of machine this is; nothing that names it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    release = re.match(r"\d+\.\d+", platform.release())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "linux": release[0] if release else "",
        "load": round(os.getloadavg()[0], 1),
    }


def said(facts: dict[str, Any]) -> str:
    """The machine in a sentence."""
    return (
        f"{facts['date']}, {facts['cores']} cores, {facts['memory_gb']} GB, Linux {facts['linux']}, "
        f"load {facts['load']} before the run"
    )


def _count(value: int | None) -> str:
    return NOTHING if value is None else str(value)
