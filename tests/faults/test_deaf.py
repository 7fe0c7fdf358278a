"""A bot that is connected and hears nothing: no fault of its own until the operator says how long is too long."""

from __future__ import annotations

import pytest

from demo.mail_sink import MailSink
from demo.price_server import PriceServer
from tests.faults import feeds
from tests.faults.illness import (
    Record,
    infect,
    left_alone,
    note_illness,
    signs,
    until_restarted,
    until_suspect,
    watched,
)
from tests.process import oracle
from tests.process.world import World

DEAF = "over TCP"
ALWAYS = "Mon-Sun 00:00-24:00"


def listening(world: World, prices: PriceServer) -> int:
    """A bot with a fresh heartbeat that listens to this feed; its PID."""
    infect(world, "event_loop", feed=prices.url, beats=True)
    pid = watched(world)
    prices.wait_for_connections(1)
    return pid


@pytest.mark.fault("F52")
@pytest.mark.promise(6)
def test_a_feed_that_goes_silent_is_told_of_with_evidence_and_once_more_when_it_comes_back(
    world: World, sink: MailSink
) -> None:
    world.env["WATCHDOG_DEAF_AFTER"] = "1.5"
    with feeds.prices() as prices:
        pid = listening(world, prices)
        prices.every = 3.5
        sign = until_suspect(world, "deaf", DEAF)
        assert not sign["proof"] and sign["limit"] == 1.5
        left_alone(world, pid, 1)
        prices.every = 0.02
        assert "well again" in world.until_event("cleared")["message"]
        sink.wait_for(lambda mail: "well again" in mail.text)
        oracle.until(lambda: world.status()["state"] == "running", "no doubt is left", every=0.1)
        assert len(world.events("suspect")) == 1 and world.bots() == [pid]


@pytest.mark.fault("F52")
@pytest.mark.promise(2)
def test_where_the_operator_chose_it_a_deaf_bot_is_restarted(
    world: World, sink: MailSink, record_property: Record
) -> None:
    world.env.update(WATCHDOG_DEAF_AFTER="1.5", WATCHDOG_RESTART_ON="stopped,deaf")
    with feeds.prices() as prices:
        pid = listening(world, prices)
        prices.every = 3600
        note_illness(world)
        until_restarted(world, sink, pid, DEAF, record_property)


@pytest.mark.fault("F52")
@pytest.mark.promise(6)
def test_in_quiet_hours_silence_is_no_sign(world: World) -> None:
    world.env.update(WATCHDOG_DEAF_AFTER="1.5", WATCHDOG_RESTART_ON="stopped,deaf", WATCHDOG_QUIET_HOURS=ALWAYS)
    with feeds.prices() as prices:
        pid = listening(world, prices)
        prices.every = 3600
        left_alone(world, pid, 3)
        assert world.events("suspect") == [] and signs(world) == {}
