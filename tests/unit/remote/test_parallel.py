"""Side by side, in bounded time, whatever one host does."""

from __future__ import annotations

import threading
import time

import pytest

from remote.deadline import Deadline
from remote.errors import HostError
from remote.hosts import Host
from remote.parallel import Fleet, Job


def hosts(count: int) -> list[Host]:
    return [Host(name=f"bot{number}", address=f"10.0.0.{number}") for number in range(count)]


def test_every_host_is_worked_on_once_by_no_more_threads_than_allowed() -> None:
    busy, most, seen = 0, 0, []
    lock = threading.Lock()

    def work(job: Job) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
            seen.append(job.host.name)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return job.host.name

    found = list(Fleet(hosts(30), work, threads=5, setup_limit=10).run())
    assert sorted(seen) == sorted(result or "" for _, result, _ in found) == sorted(host.name for host in hosts(30))
    assert most == 5


@pytest.mark.parametrize("problem", [HostError("as expected"), RuntimeError("a defect")])
def test_what_goes_wrong_on_one_host_is_its_error_and_no_other(problem: Exception) -> None:
    def work(job: Job) -> int:
        if job.host.name == "bot1":
            raise problem
        return 7

    found = {
        host.name: (result, error) for host, result, error in Fleet(hosts(3), work, threads=2, setup_limit=10).run()
    }
    assert found["bot0"] == found["bot2"] == (7, None)
    error = found["bot1"][1]
    assert isinstance(error, HostError)
    assert str(problem) in str(error)


def test_a_thread_that_is_lost_in_a_call_is_given_up_and_replaced() -> None:
    forever = threading.Event()
    aborted = threading.Event()

    def work(job: Job) -> int:
        if job.host.name == "bot0":
            job.on_abort(aborted.set)
            job.deadline = Deadline(0.1)
            forever.wait(60)
        return 7

    began = time.monotonic()
    found = {host.name: error for host, _, error in Fleet(hosts(3), work, threads=1, setup_limit=10).run()}
    assert time.monotonic() - began < 5
    assert aborted.is_set()
    assert not found["bot0"] or "gave no answer within 0 s" in str(found["bot0"])
    assert found["bot1"] is found["bot2"] is None
    forever.set()


def test_an_abort_reaches_what_is_opened_after_it() -> None:
    job = Job(hosts(1)[0])
    order: list[str] = []
    job.on_abort(lambda: order.append("socket"))
    job.on_abort(lambda: order.append("session"))
    job.abort()
    assert order == ["session", "socket"]
    job.on_abort(lambda: order.append("late"))
    assert order[-1] == "late"
