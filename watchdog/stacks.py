"""Where a bot's threads stood, as faulthandler printed it into the bot's output when SIGABRT ended it.

The form is that of CPython's Python/traceback.c, 3.9 to 3.14. Threads that are not Python's print on meanwhile, so that
lines of other kinds may stand anywhere in between.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from .journal import clean

LARGEST = 65_536
OTHERS = 3
"""Bounds: how much of the output's end is looked at, in characters, and how many threads are named beside the one."""

_BEGINNING = "Fatal Python error: "
_ENDING = " (most recent call first):"
_FRAME = '  File "'


class Frame(NamedTuple):
    """One call. ``line`` is 0 when Python could not tell."""

    file: str
    line: int
    function: str


class Thread(NamedTuple):
    """A thread, by the name that Python 3.14 prints, else by its number; ``frames``: the innermost first."""

    name: str
    current: bool
    frames: tuple[Frame, ...]


def parse(text: str) -> tuple[Thread, ...]:
    """The threads of the last dump in the output, as they are listed there: the newest first, the main one last."""
    text = text[-LARGEST:]
    threads: list[tuple[str, bool, list[Frame]]] = []
    open_thread = False
    for line in text[max(0, text.rfind(_BEGINNING)) :].split("\n"):
        if line.endswith(_ENDING):
            head = line[: -len(_ENDING)]
            current = head == "Stack" or head.startswith("Current thread 0x")
            open_thread = current or head.startswith("Thread 0x")
            if open_thread:
                threads.append((_name(head), current, []))
        elif open_thread:
            frame = _frame(line)
            if frame:
                threads[-1][2].append(frame)
    return tuple(Thread(name, current, tuple(frames)) for name, current, frames in threads)


def stuck_at(text: str, app_dir: str) -> str | None:
    """Where the bot stood, in one printable sentence; None when its output holds no dump.

    Of the thread that was interrupted (the main one, where Python cannot tell): the innermost call, and the innermost
    one in the bot's own code. Of other threads: the latter alone, since a deadlock takes two.
    """
    threads = [thread for thread in parse(text) if thread.frames]
    if not threads:
        return None
    chosen = next((thread for thread in threads if thread.current), threads[-1])
    innermost = _where(chosen.frames[0], app_dir)
    own = _own(chosen, app_dir)
    found = f"stuck at {own or innermost}"
    if own and own != innermost:
        found += f" (innermost: {innermost})"
    others = [_own(thread, app_dir) for thread in threads if thread is not chosen]
    places = list(dict.fromkeys(place for place in others if place and place != own))
    if places:
        found += f"; other threads: {', '.join(places[:OTHERS])}" + (", …" if len(places) > OTHERS else "")
    return clean(found)


def _name(head: str) -> str:
    """``feed`` of ``Thread 0x00007f8b182756c0 [feed]``, its number without a name, nothing for a stack of no thread."""
    number, _, name = head.partition(" [")
    return clean(name.removesuffix("]") or number.rpartition(" ")[2] if "0x" in head else "")


def _frame(line: str) -> Frame | None:
    """The call in a line such as ``  File "/srv/bot/main.py", line 12 in run``."""
    if not line.startswith(_FRAME):
        return None
    file, _, rest = line[len(_FRAME) :].rpartition('", line ')
    number, _, function = rest.partition(" in ")
    known = number.isdecimal() and number.isascii() and len(number) <= 9
    if not file or not function or not (known or number == "???"):
        return None
    return Frame(file, int(number) if known else 0, function)


def _own(thread: Thread, app_dir: str) -> str | None:
    """Its innermost call in the bot's own code."""
    return next((_where(frame, app_dir) for frame in thread.frames if _inside(frame.file, app_dir)), None)


def _inside(file: str, app_dir: str) -> str | None:
    """The path within the bot's directory; None for what lies elsewhere or was installed into an environment there."""
    if file.startswith("<"):
        return None
    root = os.path.normpath(app_dir).rstrip("/") + "/"
    path = os.path.normpath(os.path.join(root, file))
    inside = path[len(root) :]
    return inside if path.startswith(root) and not _installed(inside) else None


def _installed(path: str) -> int:
    """How many parts of the path lead to the place that a library was installed to; 0 when there is no such place."""
    parts = path.split("/")
    for at in range(len(parts) - 1, 0, -1):
        folder, above = parts[at - 1], parts[at - 2] if at > 1 else ""
        if folder in ("site-packages", "dist-packages") or (
            folder.startswith("python3.") and above in ("lib", "lib64")
        ):
            return at
    return 0


def _where(frame: Frame, app_dir: str) -> str:
    """``src/main_app.py:42 in on_message``: relative to the bot's directory, or to the place of the library."""
    file = _inside(frame.file, app_dir)
    if file is None:
        at = _installed(frame.file)
        file = "/".join(frame.file.split("/")[at:]) if at else os.path.basename(frame.file)
    if len(file) > 80:
        file = "…" + file[-80:]
    return f"{file}:{frame.line or '?'} in {frame.function[:60]}"
