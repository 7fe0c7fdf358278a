"""``python -m watchdog``."""

from __future__ import annotations

import os
import sys

from . import deadline


def main() -> int:
    """Run the command line; its exit code."""
    try:
        _open_standard_streams()
    except OSError as error:
        print(f"watchdog: cannot open {os.devnull}: {error.strerror}; nothing was done", file=sys.stderr)
        return 1
    deadline.arm()
    words = sys.argv[1:]
    if "guard" in words:
        from . import pulse

        found = pulse.read(words)
        if found and pulse.answered(found):
            return 0
        if found:
            from . import contain

            return contain.contain(lambda: pulse.beat(found))
    from .cli import main as run

    return run(words)


def _open_standard_streams() -> None:
    """Started with stdin, stdout or stderr closed, a lock file would get their numbers and be lost to the bot's."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < 3:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
