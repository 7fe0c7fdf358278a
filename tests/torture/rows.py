"""The rows of the torture table that hurt one point after the other. A worker serves them; `BY_NAME` finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.torture import stress, succession, window
from tests.torture.calls import Call, Strace, parse
from tests.torture.ground import Ground
from tests.torture.lines import Lines, noted
from tests.torture.probe import WAYS, Verdict, Way, reference, strike

#: A point: what people call it, and what a worker needs to know of it (JSON).
Point = tuple[str, Any]


class Row(NamedTuple):
    """``points`` lists what there is to hurt, given the options; ``hurt`` does one of them."""

    name: str
    points: Callable[[Ground, dict[str, Any]], list[Point]]
    hurt: Callable[[Ground, Any], Verdict]

    def serve(self, ground: Ground, job: dict[str, Any]) -> Any:
        """Answer a request of the parent."""
        if "point" in job:
            return self.hurt(ground, job["point"])._asdict()
        return self.points(ground, job["options"])


def _lines(way: Way) -> Callable[[Ground, dict[str, Any]], list[Point]]:
    def points(ground: Ground, options: dict[str, Any]) -> list[Point]:
        reference(ground, way, Lines(0))
        return [(place, number) for number, place in enumerate(noted(ground.notes), 1)]

    return points


def _calls(way: Way, failing: bool) -> Callable[[Ground, dict[str, Any]], list[Point]]:
    def points(ground: Ground, options: dict[str, Any]) -> list[Point]:
        reference(ground, way, Strace())
        calls = parse(ground.notes.read_text(errors="replace"))
        if not failing:
            return [(f"{call.name} {call.count}", [call, "signal=KILL"]) for call in calls]
        chosen = enumerate(call for call in calls if call.errnos)
        wrongs = [(call, call.errnos[(index + options["seed"]) % len(call.errnos)]) for index, call in chosen]
        return [(f"{call.name} {call.count} {errno}", [call, f"error={errno}"]) for call, errno in wrongs]

    return points


def _line_row(name: str, way: str) -> Row:
    return Row(name, _lines(WAYS[way]), lambda ground, number: strike(ground, WAYS[way], Lines(number)))


def _call_row(name: str, way: str, failing: bool = False) -> Row:
    def hurt(ground: Ground, point: Any) -> Verdict:
        call, fault = point
        return strike(ground, WAYS[way], Strace(Call(*call), fault), lethal=not failing)

    return Row(name, _calls(WAYS[way], failing), hurt)


ROWS = [
    _line_row("lines: start by cron", "cron"),
    _line_row("lines: restart", "restart"),
    _line_row("lines: check", "check"),
    _line_row("lines: stop by hand", "stop by hand"),
    _line_row("lines: restart by hand", "restart by hand"),
    _call_row("calls: start", "start"),
    _call_row("calls: restart", "restart"),
    _call_row("failing: start", "start", failing=True),
    _call_row("failing: restart", "restart", failing=True),
    Row("spawn window", window.points, window.hurt),
    Row("heir", succession.points, succession.hurt),
    Row("stress", stress.points, stress.hurt),
]
BY_NAME = {row.name: row for row in ROWS}
