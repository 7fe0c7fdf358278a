"""What a row of the table shows, and the table."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, NamedTuple

MARK = "<!-- torture -->"

#: A row proves nothing when fewer of its points than this were struck on the path.
STRUCK = 0.8


class Outcome(NamedTuple):
    """One row. ``caught`` turns the row round: it is a mutant, and good if bots doubled."""

    row: str
    points: int
    doubles: int
    lost: int
    tracebacks: int
    struck: int
    total: int
    remark: str = ""
    caught: bool = False

    @property
    def good(self) -> bool:
        """Whether the row holds."""
        if self.caught:
            return self.doubles > 0
        return bool(self.points) and not (self.doubles or self.lost or self.tracebacks) and self._bites

    @property
    def _bites(self) -> bool:
        return self.struck >= STRUCK * self.total

    @property
    def result(self) -> str:
        """In words."""
        return f"{self._word}; {self.remark}" if self.remark else self._word

    @property
    def _word(self) -> str:
        if self.caught:
            return "caught" if self.good else "NOT CAUGHT"
        return "ok" if self.good else "FAILED" if self._bites else f"FAILED: only {self.struck} of {self.total} struck"

    @property
    def cells(self) -> tuple[str, ...]:
        """For the table."""
        numbers = (self.points, self.doubles, self.lost, self.tracebacks)
        return (self.row, *map(str, numbers), self.result)


HEAD = ("row", "points", "doubles", "not converged", "tracebacks", "result")


def summed(row: str, answers: list[tuple[int, str, dict[str, Any]]], caught: bool = False) -> Outcome:
    """The row of these verdicts."""
    verdicts = [verdict for _, _, verdict in answers]

    def total(key: str) -> int:
        return sum(int(verdict[key]) for verdict in verdicts)

    figures = [figure for verdict in verdicts for figure in verdict["figures"]]
    remark = ""
    if row == "heir" and figures:
        remark = f"replaced in {statistics.median(figures) * 1000:.0f} ms (median), {max(figures) * 1000:.0f} at most"
    elif row == "stress" and figures:
        remark = f"one bot {max(figures):.1f} s after the last kill"
    caught_errors = total("caught")
    if row.startswith("failing") and caught_errors:
        remark, caught_errors = f"{caught_errors} errors caught by the agent's last line of defence", 0
    doubles = sum(bool(verdict["doubles"]) for verdict in verdicts) if caught else total("doubles")
    return Outcome(
        row, total("points"), doubles, total("lost"), total("tracebacks") + caught_errors, total("reached"),
        len(verdicts), remark, caught,
    )  # fmt: skip


def table(found: list[tuple[str, ...]]) -> str:
    """The table of these rows, in Markdown."""
    rows = [HEAD, *found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def write(path: Path, outcomes: list[Outcome], order: list[str]) -> None:
    """Put the rows between the two marks of a document, where other rows stay as they are."""
    head, old, foot = path.read_text().split(MARK)
    rows = {cells[0]: cells for line in old.strip().splitlines()[2:] if (cells := _cells(line))}
    rows.update((outcome.row, outcome.cells) for outcome in outcomes)
    text = table([rows[name] for name in order if name in rows])
    path.write_text(f"{head}{MARK}\n\n{text}\n\n{MARK}{foot}")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip("|").split("|"))
