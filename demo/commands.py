"""Runs the commands of the demonstration so that an interrupt never leaves one of them behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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
) -> Finished:
    """Run `argv` in a session of its own and call `on_line` for each line of output.

    Whatever ends this early (an interrupt, `timeout` seconds) ends the command's process group first. Raises
    :class:`TimeoutError`.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches us alone; we pass it on in order
    )
    lines: list[str] = []
    reader = threading.Thread(target=_read, args=(process, lines, on_line), daemon=True)
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


def _read(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.append(line)
            on_line(line.rstrip("\n"))
