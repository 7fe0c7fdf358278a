"""Waiting for a real cron minute: the bot's entry was run and has ended, by the word of the host's own journal."""

from __future__ import annotations

import contextlib
import select
import subprocess
import time
from collections.abc import Iterable, Iterator

from lab.api import Lab
from tests.lab.chain.processes import DOOR

#: Seconds: a minute, and what a busy machine adds.
TIMEOUT = 80.0

_BEGUN = f"CMD ({DOOR} guard)".encode()
_ENDED = b"session closed for user trader"


def wait_for_tick(lab: Lab, hosts: Iterable[str]) -> None:
    """Return once cron has run the bot's entry on each host, begun after this call."""
    deadline = time.monotonic() + TIMEOUT
    with contextlib.ExitStack() as journals:
        listening = [(host, journals.enter_context(_cron_messages(lab, host))) for host in hosts]
        for host, journal in listening:
            for wanted in (_BEGUN, _ENDED):
                _read_until(host, journal, wanted, deadline)


@contextlib.contextmanager
def _cron_messages(lab: Lab, host: str) -> Iterator[subprocess.Popen[bytes]]:
    # The present by name: with --lines=0 the very first entry of a kind is lost (seen with systemd 252).
    present = f"--since=@{time.time():.6f}"
    follow = ["journalctl", "--follow", "--no-tail", present, "--output=cat", "--identifier=CRON"]
    with subprocess.Popen(
        lab.hosts[host].enter(follow), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
    ) as journal:
        try:
            yield journal
        finally:
            journal.kill()


def _read_until(host: str, journal: subprocess.Popen[bytes], wanted: bytes, deadline: float) -> None:
    assert journal.stdout
    line = b""
    while wanted not in line:
        left = max(0.0, deadline - time.monotonic())
        assert select.select([journal.stdout], [], [], left)[0], f"{host}: no cron tick within {TIMEOUT:g} s"
        line = journal.stdout.readline()
        assert line, f"{host}: its journal has ended"
