"""Tables for the terminal and for the docs, and the place in a page where they go."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from demo.project import REPOSITORY

WIDTH = 80
"""Columns of a page; tables may be wider."""

PAGE = REPOSITORY / "docs" / "benchmarks.md"


class Table(NamedTuple):
    """A title, the names of the columns, and rows of as many cells; the first of each is text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def plain(table: Table) -> str:
    """Aligned, for a terminal."""
    lines = [table.head, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    shown = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
    return "\n".join([table.title, *shown])


def markdown(table: Table) -> str:
    """For a page; no cell can break the table."""
    marks = ["---", *["--:"] * (len(table.head) - 1)]
    lines = [_row(table.head), "|" + "|".join(marks) + "|", *(_row(line) for line in table.rows)]
    return "\n".join([textwrap.fill(f"**{table.title}**", WIDTH), "", *lines])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def between_marks(page: str, name: str, text: str) -> str:
    """The page with `text` in place of what stood between the marks of that name. Raises ValueError without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no {begin} ... {end}")
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def publish(name: str, text: str) -> None:
    """Put `text` between the marks of that name in the page of the benchmarks."""
    PAGE.write_text(between_marks(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")
