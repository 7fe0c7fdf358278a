"""How the demonstration looks on a terminal: numbered steps, commands, their output, and what was proved."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from remote.text import fit, width

_STYLES = {"title": "1", "step": "1;36", "command": "1", "output": "2", "proved": "32", "failed": "1;31", "note": "33"}
_MOST_LINES = 40
_PAUSE = 1.0
"""Seconds before each step, where a person watches."""


class NotProvedError(Exception):
    """A claim of the demonstration was not observed to be true."""


class Stage:
    """Prints the talk, never wider than 80 columns; colours only on a terminal, and not under ``NO_COLOR``."""

    def __init__(self, out: TextIO | None = None, steps: int = 0) -> None:
        self._out = out if out is not None else sys.stdout
        self._steps, self._step = steps, 0
        self._gone = False
        terminal = self._out.isatty()
        self._pause = _PAUSE if terminal else 0.0
        self.width = min(80, shutil.get_terminal_size((80, 24)).columns) if terminal else 80
        self.colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        unicode = (getattr(self._out, "encoding", None) or "").lower().replace("-", "") == "utf8"
        self._tick, self._bar, self._rule = ("✓", "│", "─") if unicode else ("+", "|", "-")

    def title(self, text: str) -> None:
        """The headline, between two rules."""
        rule = self._rule * self.width
        self._print(rule)
        self._print(f" {text}", "title")
        self._print(rule)

    def step(self, text: str) -> None:
        """Begin the next numbered step; on a terminal after a pause for reading.

        Raises :class:`BrokenPipeError` when nobody listens any more.
        """
        self._step += 1
        if self._step > 1:
            time.sleep(self._pause)
        self._print()
        self._print(f"[{self._step}/{self._steps}] {text}", "step")
        if self._gone:
            raise BrokenPipeError("the terminal is gone")

    def say(self, text: str) -> None:
        """A paragraph for the reader."""
        self._wrapped(text, first="  ", rest="  ")

    def note(self, text: str) -> None:
        """Something the reader should not miss."""
        self._wrapped(text, first="  ", rest="  ", style="note")

    def command(self, argv: Sequence[str] | str) -> None:
        """The command that is being run, as it could be typed."""
        text = argv if isinstance(argv, str) else shlex.join(argv)
        self._wrapped(text, first="  $ ", rest="      ", style="command", mark=" \\")

    def output(self, lines: str | Iterable[str]) -> None:
        """What a command printed; lines that do not fit go on below, and of very many only the last are shown."""
        prefix = f"  {self._bar} "
        every = lines.splitlines() if isinstance(lines, str) else list(lines)
        if len(every) > _MOST_LINES:
            self._print(f"{prefix}({len(every) - _MOST_LINES} more lines above)", "output")
        for line in every[-_MOST_LINES:]:
            for part in _fold(line.rstrip(), self.width - len(prefix)):
                self._print(prefix + part, None if "\x1b" in part else "output")

    def claim(self, true: object, text: str) -> None:
        """Print `text` as proved, or raise :class:`NotProvedError` with it."""
        if not true:
            raise NotProvedError(text)
        self._wrapped(text, first=f"  {self._tick} ", rest="    ", style="proved")

    def failed(self, text: str) -> None:
        """The one line about what went wrong."""
        self._print()
        self._print(text, "failed")

    def blank(self) -> None:
        """An empty line."""
        self._print()

    def _wrapped(self, text: str, *, first: str, rest: str, style: str | None = None, mark: str = "") -> None:
        lines = textwrap.wrap(
            text,
            self.width - len(mark),
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
        for number, line in enumerate(lines, 1):
            self._print(line + (mark if number < len(lines) else ""), style)

    def _print(self, text: str = "", style: str | None = None) -> None:
        if style and self.colour:
            text = f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
        if self._gone:
            return
        try:
            print(text, file=self._out, flush=True)
        except OSError:  # a closed pipe or terminal must not keep anybody from cleaning up
            self._gone = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())  # nor fail again at exit


def _fold(text: str, room: int) -> Iterator[str]:
    """`text` in pieces of `room` columns at most, broken at a space if there is one in the last third."""
    if "\x1b" in text:  # from a program that has seen a terminal and knows its width
        yield text
        return
    while width(text) > room:
        most = len(fit(text, room + 1)) - 1  # characters that fill the room
        cut = text.rfind(" ", most * 2 // 3, most + 1)
        cut = most if cut < 0 else cut
        yield text[:cut]
        text = "  " + text[cut:].lstrip(" ")
    yield text
