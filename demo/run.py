"""`./dev demo`: deploy, kill, revive, stop and remove a bot on this machine, in under a minute and without a trace."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType

from demo import processes
from demo.sandbox import Sandbox
from demo.stage import NotProvedError, Stage
from demo.story import STEPS, Story

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str] | None = None) -> int:
    """Play the demonstration; 0 if everything was seen to be true, 1 if not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder with its logs and mails at the end")
    args = parser.parse_args(argv)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until what they would have to clean up can be cleaned up
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    stage = Stage(steps=len(STEPS))
    try:
        sandbox = Sandbox(columns=stage.width - 4, colour=stage.colour)
    except OSError as error:
        stage.failed(f"demo: no private folder: {error}; set TMPDIR to a folder with room")
        return 1
    return play(stage, sandbox, keep=args.keep)


def play(stage: Stage, sandbox: Sandbox, *, keep: bool) -> int:
    """The demonstration with its opening and its clean-up; returns the exit code."""
    began, code = time.monotonic(), 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        stage.title("The watchdog in one minute: deploy, kill, revive, mail, stop, remove")
        stage.say(
            f"Everything happens in {sandbox.folder} (private, removed at the end) and on 127.0.0.1. "
            "No crontab is touched, no root is needed. A line with a tick is printed only when it was observed."
        )
        Story(stage, sandbox).play()
        code = 0
    except KeyboardInterrupt:
        code = INTERRUPTED
        stage.failed("Interrupted: ending what was started.")
    except (NotProvedError, OSError) as error:
        stage.failed(f"demo: not seen to be true: {error}")
    try:
        sandbox.close(keep=keep)
    except OSError as error:
        stage.failed(f"demo: cannot clean up {sandbox.folder} and {sandbox.state_dir}: {error}")
        return 1
    left = [str(path) for path in (sandbox.folder, sandbox.state_dir) if path.exists()]
    left += map(str, processes.of_folder(sandbox.folder))
    if keep:
        left.remove(str(sandbox.folder))
    if left:
        stage.failed(f"demo: left behind: {', '.join(left)}")
        return 1
    stage.claim(not left, f"nothing is left but {sandbox.folder}, as asked" if keep else "the folder is removed too")
    stage.blank()
    if code == 0:
        stage.say(f"All of it was seen to be true, in {time.monotonic() - began:.0f} s. Next: README.md, a real host.")
        if sandbox.wheels.exists():
            stage.say(f"(For the next deploy psutil's wheel stays cached in {sandbox.wheels}.)")
    elif code != INTERRUPTED and not keep:
        stage.say("`./dev demo --keep` keeps the folder with its logs.")
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the clean-up takes a second at most and must not be cut short
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
