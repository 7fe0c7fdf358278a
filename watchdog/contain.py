"""The outermost frame: whatever happens inside becomes one line for people and a documented exit code."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable

from .errors import WatchdogError
from .states import SCHEMA, ExitCode


def contain(work: Callable[[], int], prog: str = "watchdog", as_json: bool = False, debug: bool = False) -> int:
    """The exit code of ``work``. No exception leaves, except with ``debug``."""
    try:
        return work()
    except WatchdogError as error:
        code, text = int(error.exit_code), str(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _mute()
        return int(ExitCode.FAILED)
    except Exception as error:
        if debug:
            raise
        code, text = int(ExitCode.FAILED), f"unexpected {type(error).__name__}: {error}; --debug shows where"
    from .journal import clean

    if as_json:
        print_json({"ok": False, "exit_code": code, "error": clean(text)})
    try:
        print(f"{prog}: {clean(text)}", file=sys.stderr)
    except (OSError, ValueError):
        pass
    return code


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    import json

    print(json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True), flush=True)


def escape_unprintable() -> None:
    """Under LANG=C the emoji are escaped rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _mute() -> None:
    """The reader is gone: nothing more to say, not even at interpreter exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
