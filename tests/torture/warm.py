"""The agent in a forked process: what ``python -m watchdog WORDS`` does, without an interpreter's start each time.

A worker has all modules of the agent loaded. A fork of it gets the argument vector, the environment and the standard
streams of a fresh process. What is left out is the start of Python and the loading of modules, which touch nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import watchdog

#: Room in the worker's argument vector for the longest one of the agent's.
PADDING = "." * 120

DEATHS = {signal.SIGCHLD}
"""What a worker keeps blocked, so that it can wait for it."""

SUBREAPER, PTRACER, ANYBODY = 36, 0x59616D61, -1  # prctl(2)


def load() -> None:
    """Load everything now, and let the orphans of our children become our children."""
    for module in pkgutil.iter_modules(watchdog.__path__, "watchdog."):
        importlib.import_module(module.name)
    for name in ("psutil", "argparse", "json", "pwd", "select", "socket", "shutil", "encodings.ascii"):
        importlib.import_module(name)
    _prctl(SUBREAPER, 1)
    gc.collect()
    gc.freeze()


def fork(
    words: list[str], python: str, environment: dict[str, str], console: Path, begin: Callable[[], None] | None = None
) -> int:
    """Start a verb; its PID. ``begin`` is called in it first. Its heir is run by ``python``."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _become(words, python, environment, console)
        if begin:
            begin()
        from watchdog.__main__ import main

        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.settrace(None)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(words: list[str], python: str, environment: dict[str, str], console: Path) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEATHS)
    os.setsid()
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    os.closerange(3, 256)
    output = os.open(console, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, stream in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, stream)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = python
    sys.argv = ["watchdog", *words]
    _title([sys.executable, "-m", "watchdog", *words])


def _title(words: list[str]) -> None:
    """Let /proc/PID/cmdline say what a fresh process's would (proc_pid_stat(5): arg_start, arg_end)."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"\0".join(map(os.fsencode, words)) + b"\0"
    if len(text) <= end - start:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, len(text))


def let_everybody_trace() -> None:
    """Let a process that is no ancestor of ours attach (Yama, kernel.yama.ptrace_scope = 1)."""
    with contextlib.suppress(OSError):
        _prctl(PTRACER, ANYBODY)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value & (1 << 64) - 1), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
