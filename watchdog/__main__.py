"""``python -m watchdog``. The tick of cron takes a short cut past the command line's grammar."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; its exit code."""
    _open_standard_streams()
    words = sys.argv[1:]
    if words and words[-1] == "guard" and _guard_answers(words[:-1]):
        return 0
    from .cli import main as run

    return run(words)


def _open_standard_streams() -> None:
    """Started with stdin, stdout or stderr closed, a lock file would get their numbers and be lost to the bot's."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _guard_answers(options: list[str]) -> bool:
    """True when a live guard has nothing for us to do. The grammar explains what is unusual."""
    files: list[str] = []
    rest = iter(options)
    for word in rest:
        value = next(rest, "")
        if word == "--config" and value:
            files.append(value)
        elif word != "--door" or not value:
            return False
    from .errors import WatchdogError
    from .tick import answers

    try:
        return answers(dict(os.environ), files)
    except (WatchdogError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(main())
