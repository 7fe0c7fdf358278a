"""A bot that takes ever more of the host: told of once it has done so for several samples, restarted where chosen."""

from __future__ import annotations

from typing import Any

import pytest

from demo.mail_sink import MailSink
from tests.faults.illness import Record, fall_ill, infect, left_alone, until_restarted, until_suspect, watched
from tests.process.world import World

GREED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "memory": ({"memory": 2_000_000}, {"WATCHDOG_MAX_MEMORY": "60M"}, "memory"),
    "cpu": ({"burns": True}, {"WATCHDOG_MAX_CPU": "5"}, "of a core"),
    "descriptors": ({"descriptors": 64}, {"WATCHDOG_MAX_DESCRIPTORS": "90"}, "descriptors"),
}


def greedy(world: World, kind: str) -> str:
    """Limits for one kind of greed, and a bot that has it; the word by which it is told."""
    behaviour, settings, word = GREED[kind]
    infect(world, "greedy", beats=False, **behaviour)
    world.env.update(settings, WATCHDOG_SAMPLE_EVERY="0.2", WATCHDOG_LIMIT_SAMPLES="3/4")
    return word


@pytest.mark.fault("F55")
@pytest.mark.promise(6)
@pytest.mark.parametrize("kind", ["cpu", "descriptors"])
def test_too_much_in_several_samples_is_told_of_with_what_was_measured(world: World, sink: MailSink, kind: str) -> None:
    word = greedy(world, kind)
    pid = watched(world)
    fall_ill(world)
    sign = until_suspect(world, kind, word)
    assert sign["measured"] > sign["limit"] > 0 and not sign["proof"]
    sink.wait_for(lambda mail: word in mail.text)
    left_alone(world, pid, 1)
    assert len(world.events("suspect")) == 1


@pytest.mark.fault("F55")
@pytest.mark.promise(2)
def test_where_the_operator_chose_it_growth_restarts_the_bot(
    world: World, sink: MailSink, record_property: Record
) -> None:
    word = greedy(world, "memory")
    world.env["WATCHDOG_RESTART_ON"] = "stopped,memory"
    pid = watched(world)
    fall_ill(world)
    until_restarted(world, sink, pid, word, record_property)
