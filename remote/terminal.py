"""The two streams: data on standard output, everything else on standard error."""

from __future__ import annotations

import shutil
import sys
from typing import IO

from .style import is_terminal

_PLAIN = str.maketrans({"→": "->", "…": "~", "·": "-"})


class Terminal:
    """Writes lines that the streams can encode."""

    def __init__(self, out: IO[str] | None = None, error: IO[str] | None = None) -> None:
        self.out = out or sys.stdout
        self.error = error or sys.stderr

    @property
    def columns(self) -> int | None:
        """Width of the terminal, ``None`` where standard output is no terminal."""
        return shutil.get_terminal_size().columns if is_terminal(self.out) else None

    @property
    def interactive(self) -> bool:
        """Whether a question can be put to a person."""
        return is_terminal(sys.stdin) and is_terminal(self.error)

    def data(self, line: str, *, flush: bool = False) -> None:
        """A line of the answer. :raises BrokenPipeError: nobody reads it any more."""
        print(_encodable(line, self.out), file=self.out, flush=flush)

    def note(self, line: str) -> None:
        """A line about the answer, after the data printed so far."""
        self.out.flush()
        print(_encodable(line, self.error), file=self.error, flush=True)

    def confirm(self, question: str) -> bool:
        """Ask; only "y" or "yes" is one."""
        self.error.write(f"{_encodable(question, self.error)} [y/N] ")
        self.error.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _encodable(line: str, stream: IO[str]) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return line
