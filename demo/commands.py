"""Runs the commands of the demonstration so that an interrupt never leaves one of them behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CURSOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")
"""What moves the cursor or clears a line, as progress displays do; colours stay."""


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    argv: tuple[str, ...]
    code: int
    output: str
    """stdout and stderr as they came."""
    seconds: float


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None] = lambda line: None,
    columns: int | None = None,
) -> Finished:
    """Run `argv` in a session of its own and call `on_line` for each line of output.

    With `columns` the output goes to a terminal of that width, as a person would see it; otherwise to a pipe.

    Whatever ends this early (an interrupt, `timeout` seconds) ends the command's process group first. Raises
    :class:`TimeoutError`.
    """
    began = time.monotonic()
    reading, writing = os.pipe() if columns is None else _terminal(columns)
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
        start_new_session=True,  # Ctrl-C reaches us alone; we pass it on in order
    )
    os.close(writing)
    lines: list[str] = []
    reader = threading.Thread(target=_read, args=(reading, lines, on_line), daemon=True)
    reader.start()
    try:
        code = process.wait(timeout)
        reader.join(2)
        if reader.is_alive():
            raise TimeoutError(f"`{' '.join(argv)}` left a process behind that holds its output open")
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"`{' '.join(argv)}` took longer than {timeout:g} s") from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Finished(tuple(argv), code, "".join(lines), time.monotonic() - began)


def _read(descriptor: int, lines: list[str], on_line: Callable[[str], None]) -> None:
    with open(descriptor, encoding="utf-8", errors="replace", newline="\n") as stream, contextlib.suppress(OSError):
        for raw in stream:  # a terminal ends with EIO where a pipe ends with end of file
            shown = raw.rstrip("\r\n").rpartition("\r")[2]  # a progress display writes over itself
            line = _CURSOR.sub("", shown) + "\n"
            lines.append(line)
            on_line(line.rstrip("\n"))


def _terminal(columns: int) -> tuple[int, int]:
    """A pseudo-terminal: the end to read from, and the end that a program takes for a screen."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    attributes = termios.tcgetattr(writing)
    attributes[1] &= ~termios.OPOST  # newlines as they are
    termios.tcsetattr(writing, termios.TCSANOW, attributes)
    return reading, writing
