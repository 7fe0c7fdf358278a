"""Many hosts at once: a bounded number of threads, a deadline for each host, results as they come."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from .deadline import Deadline
from .errors import HostError, Unreachable
from .hosts import Host

T = TypeVar("T")

_log = logging.getLogger(__name__)

_GRACE = 2.0  # seconds past its deadline after which a host's thread is given up


class Job:
    """What the worker of one host may be asked for from outside."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.deadline: Deadline | None = None
        self._closers: list[Callable[[], None]] = []
        self.aborted = False
        self._lock = threading.Lock()

    def on_abort(self, close: Callable[[], None]) -> None:
        """Remember how to break off what the worker is about to wait for; at once if it is too late already."""
        with self._lock:
            self._closers.append(close)
            if not self.aborted:
                return
        close()

    def abort(self) -> None:
        """Break off whatever the worker waits for."""
        with self._lock:
            self.aborted = True
            closers = list(self._closers)
        for close in reversed(closers):
            try:
                close()
            except Exception:  # noqa: BLE001, S112 - a half-open connection may raise anything; the rest must close
                continue


class Fleet(Generic[T]):
    """One run over hosts. Threads are daemons: one stuck in a name lookup delays nobody's exit."""

    def __init__(self, hosts: Sequence[Host], work: Callable[[Job], T], *, threads: int, setup_limit: float) -> None:
        """``work`` does one host and raises HostError; it moves ``job.deadline`` on when it has connected."""
        self._jobs = [Job(host) for host in hosts]
        self._work = work
        self._threads = threads
        self._setup_limit = setup_limit
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Job, T | None, HostError | None]] = queue.SimpleQueue()

    def run(self) -> Iterator[tuple[Host, T | None, HostError | None]]:
        """Yield ``(host, result, error)`` for every host, first come first.

        :raises BaseException: whatever ``work`` raised that is not a HostError: a defect of ours.
        """
        for job in self._jobs:
            self._waiting.put(job)
        for _ in range(min(self._threads, len(self._jobs))):
            self._add_worker()
        open_jobs = set(self._jobs)
        while open_jobs:
            try:
                job, result, error = self._done.get(timeout=0.2)
            except queue.Empty:
                for late in [job for job in open_jobs if _overdue(job)]:
                    open_jobs.discard(late)
                    late.abort()
                    self._add_worker()  # its thread may be lost to us
                    yield late.host, None, _gave_up(late)
                continue
            if job in open_jobs:
                open_jobs.discard(job)
                yield job.host, result, error

    def abort(self) -> None:
        """Break off every host that is still at work. Connections are closed side by side: no one waits for another."""
        closing = [threading.Thread(target=job.abort, daemon=True) for job in self._jobs]
        for thread in closing:
            thread.start()
        end = Deadline(0.2)
        for thread in closing:
            thread.join(end.left())

    def _add_worker(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            if job.aborted:
                continue
            job.deadline = Deadline(self._setup_limit)
            try:
                self._done.put((job, self._work(job), None))
            except HostError as error:
                self._done.put((job, None, error))
            except Exception as defect:  # noqa: BLE001 - one host's surprise is its row, not the end of the others
                _log.debug("%s: unexpected", job.host.name, exc_info=True)
                message = f"unexpected {type(defect).__name__}: {defect} (fab --debug tells more)"
                self._done.put((job, None, HostError(message, short=f"unexpected {type(defect).__name__}")))


def _overdue(job: Job) -> bool:
    return job.deadline is not None and job.deadline.overdue(_GRACE)


def _gave_up(job: Job) -> Unreachable:
    seconds = job.deadline.seconds if job.deadline else 0.0
    return Unreachable(
        f"{job.host.address} gave no answer within {seconds:.0f} s", short=f"no answer within {seconds:.0f} s"
    )
