"""Every death has its cause: in the event, in the status and in the mail."""

from __future__ import annotations

import signal
import time

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World


@pytest.mark.fault("F40")
@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    ("life", "code", "number", "words"),
    [
        ({"exit_after": 0, "exit_code": 7}, 7, None, "ended with exit code 7"),
        ({"die_of": signal.SIGSEGV}, None, signal.SIGSEGV, "was killed by SIGSEGV"),
        ({"die_of": signal.SIGKILL}, None, signal.SIGKILL, "was killed by SIGKILL"),
    ],
    ids=["exit code", "crash", "kill"],
)
def test_code_or_signal_and_the_last_words_are_in_event_status_and_mail(
    world: World, sink: MailSink, life: dict[str, object], code: int | None, number: int | None, words: str
) -> None:
    world.behave(
        {"say": ["first line", "api_key=abcdef0123456789", "the last words"], **life}, {"say": ["second life"]}
    )
    world.guard()
    pid = world.until_running()
    end = world.until_event("died")["exit"]
    assert (end["pid"], end["code"], end["signal"], end["text"]) == (world.births()[0]["pid"], code, number, words)
    assert end["oom"] is False and end["output"].endswith("bot.out")
    assert "the last words" in end["last_lines"] and "second life" not in end["last_lines"]
    assert "abcdef0123456789" not in str(end)
    assert world.status()["last_exit"] == end and world.bot == pid
    mail = sink.wait_for(lambda one: words in one.text, 30)
    assert "the last words" in mail.text and "abcdef0123456789" not in mail.text and "second life" not in mail.text


@pytest.mark.fault("F49")
def test_the_end_of_an_adopted_bot_is_told_or_said_to_be_unknown(world: World) -> None:
    first = world.by_hand()
    world.guard()
    world.until_running()
    world.kill(first)
    end = world.until_event("died")["exit"]
    assert end["pid"] == first and end["code"] is None
    assert (end["signal"] == 9 and "SIGKILL" in end["text"]) or "cause unknown" in end["text"]


@pytest.mark.fault("F40")
def test_a_stop_has_its_exit_code_too(world: World) -> None:
    world.behave({"term_code": 3, "say": ["good bye"]})
    world.guard()
    world.until_running()
    world.ok("stop")
    end = world.status()["last_exit"]
    assert (end["code"], end["signal"], end["last_lines"]) == (3, None, ["good bye"])
    assert "stopped as asked" in end["text"]


@pytest.mark.fault("F35")
@pytest.mark.promise(5)
def test_a_stop_whose_verb_was_killed_is_carried_out_by_the_next_guard(world: World) -> None:
    world.behave({"term_takes": 30}, {})
    pid = world.ok("start", "--json", WATCHDOG_STOP_GRACE="60").json["pid"]
    stop = world.begin("stop", WATCHDOG_STOP_GRACE="60")
    world.until_event("stop-asked")
    world.kill(stop.pid)
    (world.instance / "state.json").unlink()  # it may have died before that was written, too
    assert oracle.alive(pid)
    world.guard()
    oracle.until(lambda: not oracle.alive(pid), "the bot is stopped")
    assert world.bots() == [] and len(world.births()) == 1
    later = world.by_hand()
    world.until_event("adopted")
    time.sleep(0.2)  # time enough for a guard that would do it; `stop` was not said of this one
    assert world.bots() == [later]
