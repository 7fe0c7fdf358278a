"""Clocks that jump: summer time, a wall clock that is set, a boot clock that is years ahead. Nothing waits for them.

Tests may not set this machine's clock. Summer time is real (a TZ whose change comes within seconds, tzset(3)). A wall
clock that is set is a stand-in: the agent's `time.time` is moved, while files keep the real time, as they do over a
step. The boot clock is the kernel's own, in a time namespace (time_namespaces(7)).
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from demo.mail_sink import MailSink
from tests.faults.moved_clock import moved_clock
from tests.faults.watched import WatchedWorld
from tests.process import oracle
from tests.process.world import World

DAY = 86_400


def zone(change: datetime, forward: bool) -> str:
    """A TZ that is UTC in winter and an hour ahead in summer, and changes at that moment (tzset(3))."""
    other = change + timedelta(days=100)
    begin, end = (change, other) if forward else (other, change + timedelta(hours=1))
    rules = (f"{at.month}.{(at.day - 1) // 7 + 1}.{at.isoweekday() % 7}/{at:%H:%M:%S}" for at in (begin, end))
    return "WIN0SUM-1," + ",".join(f"M{rule}" for rule in rules)


@pytest.mark.fault("F80")
@pytest.mark.parametrize("forward", [True, False], ids=["spring", "autumn"])
def test_the_change_to_or_from_summer_time_moves_no_deadline_and_no_stamp(world: World, forward: bool) -> None:
    world.behave(*[{"exit_after": 0, "exit_code": 3}] * 3, {})
    began = datetime.now(UTC)
    change = began + timedelta(seconds=2)
    world.env["TZ"] = zone(change, forward)
    world.guard()
    world.until_running()
    ended = datetime.now(UTC)
    assert ended > change, "the ladder's delays 0, 1 and 2 s have passed since"
    births = [life["at"] for life in world.births()]
    assert len(births) == 4 and births[2] - births[1] > 1 and births[3] - births[2] > 2
    stamps = [datetime.fromisoformat(event["time"]) for event in world.events()]
    assert stamps == sorted(stamps)
    assert began - timedelta(seconds=1) < stamps[0] and stamps[-1] < ended + timedelta(seconds=1)


@pytest.mark.fault("F80")
@pytest.mark.promise(5)
def test_maintenance_and_stamps_are_the_same_in_every_time_zone(world: World) -> None:
    world.ok("check")
    begun = world.ok("maintenance", "on", "--for", "90m", "--json", TZ="EAST-14").json["maintenance"]
    there = world.ok("maintenance", "--json", TZ="WEST12").json["maintenance"]
    assert 5300 < there["remaining_s"] <= begun["remaining_s"] <= 5400
    assert abs(datetime.fromisoformat(there["until"]) - datetime.now(UTC) - timedelta(minutes=90)) < timedelta(
        minutes=2
    )
    east, west = (world.status(TZ=zone)["started_at"] for zone in ("EAST-14", "WEST12"))
    assert abs(datetime.fromisoformat(east) - datetime.fromisoformat(west)) < timedelta(seconds=1)
    assert world.ok("logs", "--source", "watchdog", "--since", "5m", TZ="EAST-14").out.count("bot started") == 1


@pytest.mark.fault("F80")
@pytest.mark.parametrize("step", [DAY, -10 * 365 * DAY], ids=["a day ahead", "ten years back"])
def test_a_wall_clock_that_is_set_moves_no_deadline_and_ends_no_maintenance(
    world: WatchedWorld, sink: MailSink, step: int
) -> None:
    clock = moved_clock(world)
    world.guard()
    first = world.until_running()
    world.ok("maintenance", "on", "--for", "1h")
    clock(step)
    assert 3500 < world.ok("maintenance", "--json").json["maintenance"]["remaining_s"] <= 3600
    assert abs(world.status()["uptime_s"]) < 600
    world.ok("maintenance", "off")
    world.kill(first)
    second = world.until_running(other_than=first)
    assert sink.wait_for(lambda mail: str(second) in mail.text)
    world.kill(second)
    world.until_event("died", 2)
    clock(0)
    third = world.until_running(other_than=second)
    births = world.births()
    assert [life["pid"] for life in births] == [first, second, third] and births[2]["at"] - births[1]["at"] > 1
    assert sink.wait_for(lambda mail: str(third) in mail.text)


@pytest.mark.needs_root
@pytest.mark.fault("F80")
@pytest.mark.promise(1)
def test_a_boot_clock_that_is_years_ahead_or_falls_back_makes_no_second_bot(world: World) -> None:
    ahead = ["unshare", "--time", "--boottime", str(5 * 365 * DAY)]
    assert world.spawn([*ahead, *world.command("guard")]).wait(30) == 0
    guard = world.until_guarded()
    first = world.until_bot()
    world.kill(first)
    second = world.until_bot(other_than=first)
    for one in (*world.heirs, guard):
        os.kill(one, signal.SIGKILL)
    oracle.until(lambda: not world.guards and not world.heirs, "both are gone")
    world.guard()
    assert world.until_running() == second and len(world.births()) == 2
    assert 0 <= world.status()["uptime_s"] < 600
    world.kill(second)
    assert world.until_bot(other_than=second, within=20), "no delay of years"


@pytest.mark.fault("F80")
@pytest.mark.promise(3)
@pytest.mark.parametrize("step", [DAY, -DAY])
def test_a_wall_clock_that_is_set_does_not_make_a_pid_file_one_of_an_earlier_boot(
    world: WatchedWorld, step: int
) -> None:
    clock = moved_clock(world)
    argv = ["bash", "-c", f'exec -a "trading BTC" {world.python} -c "import time; time.sleep(3600)"']
    retitled = world.spawn(argv)
    oracle.until(lambda: oracle.read(retitled.pid, "cmdline").startswith(b"trading"), "it has another title")
    world.pid_file.write_text(f"{retitled.pid}\n")
    for offset in (0, step):
        clock(offset)
        done = world.verb("check", "--json")
        assert done.code == 4 and str(retitled.pid) in done.json["message"], done
    assert world.births() == [] and retitled.poll() is None
