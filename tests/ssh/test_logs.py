"""`fab logs`: several hosts on one screen, and a follower that leaves nothing behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import ROOT, Checkout
from tests.ssh.conftest import MakeDoor, MakeSshd
from tests.ssh.sshd import Sshd, descendants, free_port


def answer(door: Door, *lines: str) -> None:
    """The last lines of this bot's log."""
    door.answer(
        "logs", {"schema": 1, "name": door.name, "host": "vps", "source": "app", "file": "/x", "lines": list(lines)}
    )


@pytest.fixture
def two(checkout: Checkout, sshd: Sshd, make_door: MakeDoor) -> tuple[Door, Door]:
    """Two bots with a short and a long name."""
    doors = (make_door("bot"), make_door("other-bot"))
    checkout.write_inventory({door.name: checkout.host(sshd, door.variables) for door in doors})
    return doors


def test_the_lines_of_one_bot_stand_alone(checkout: Checkout, bot: Door) -> None:
    answer(bot, "10:00 bought", "10:01 sold")
    done = checkout.fab("logs", "-n", "2")
    assert (done.code, done.out) == (0, "10:00 bought\n10:01 sold\n"), done
    assert bot.calls() == ["logs --lines=2 --json"]


def test_the_lines_of_several_bots_have_aligned_prefixes_in_inventory_order(
    checkout: Checkout, two: tuple[Door, Door]
) -> None:
    answer(two[0], "a", "b")
    answer(two[1], "c")
    done = checkout.fab("logs")
    assert done.out == "bot       | a\nbot       | b\nother-bot | c\n"


def test_every_option_reaches_the_agent_unharmed(checkout: Checkout, bot: Door) -> None:
    answer(bot)
    done = checkout.fab("logs", "-n", "5", "--since", "10m", "--grep", "-x 'a' $HOME \"b\"|c", "--source", "events")
    assert done.code == 0, done
    assert bot.calls() == ["logs --lines=5 --since=10m --grep=-x 'a' $HOME \"b\"|c --source=events --json"]


@pytest.mark.parametrize("words", [["-n", "many"], ["--source", "mail"]])
def test_a_wrong_option_is_refused_before_any_call(checkout: Checkout, bot: Door, words: list[str]) -> None:
    done = checkout.fab("logs", *words)
    assert (done.code, bot.calls()) == (2, [])


def test_one_hosts_error_does_not_hide_the_others_lines(checkout: Checkout, sshd: Sshd, two: tuple[Door, Door]) -> None:
    hosts = {door.name: checkout.host(sshd, door.variables) for door in two}
    hosts["bot"]["ansible_port"] = free_port()
    checkout.write_inventory(hosts)
    answer(two[1], "c")
    done = checkout.fab("logs")
    assert (done.code, done.out) == (4, "other-bot | c\n")
    assert done.err.startswith("bot: 127.0.0.1:")


def test_hostile_log_lines_cannot_steer_the_terminal(checkout: Checkout, bot: Door) -> None:
    answer(bot, "\x1b[2J\x1b]0;gone\x07evil\rfine\tx\x9b1A")
    done = checkout.fab("logs")
    assert done.out == "evil fine    x\n"


def test_json_of_the_logs_has_each_hosts_lines(checkout: Checkout, two: tuple[Door, Door]) -> None:
    answer(two[0], "a")
    answer(two[1], "c")
    entries = checkout.fab("logs", "--json").json()["hosts"]
    assert [(entry["host"], entry["logs"]["lines"]) for entry in entries] == [("bot", ["a"]), ("other-bot", ["c"])]


class Follower:
    """A running `fab logs -f`."""

    def __init__(self, checkout: Checkout, *words: str) -> None:
        self.process = subprocess.Popen(
            checkout.argv("logs", "-f", *words),
            cwd=ROOT,
            env=checkout.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._text = b""

    def until(self, *words: str) -> str:
        """Read until all ``words`` have come."""
        assert self.process.stdout
        end = time.monotonic() + 20
        while not all(word.encode() in self._text for word in words):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert chunk, (words, self._text, self.process.poll())
            self._text += chunk
        return self._text.decode()

    def interrupt(self) -> tuple[int, str, float]:
        """Ctrl-C; the exit code, standard error and the seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        took = time.monotonic() - began
        _, err = self.process.communicate(timeout=20)
        assert b"Traceback" not in err, err
        return self.process.returncode, err.decode(), took


@pytest.fixture
def follow(checkout: Checkout) -> Iterator[Any]:
    """Starts followers and ends those that a failed test leaves."""
    started: list[Follower] = []

    def start(*words: str) -> Follower:
        started.append(Follower(checkout, *words))
        return started[-1]

    yield start
    for follower in started:
        if follower.process.poll() is None:
            follower.process.kill()
        follower.process.communicate()


TICKER = """
(while :; do echo '{"schema": 1, "line": "tick of NAME"}'; sleep 0.05; done) &
ticker=$!
cat > /dev/null
kill $ticker
exit 0
"""


def ticking(door: Door) -> None:
    """Log a line every 50 ms until the input ends, as the agent does with --until-eof."""
    door.script("logs", TICKER.replace("NAME", door.name))


def gone(server: Sshd) -> bool:
    """Whether the host runs nothing of ours any more, given a moment."""
    end = time.monotonic() + 3
    while time.monotonic() < end:
        if not server.children():
            return True
        time.sleep(0.01)
    return False


def two_hosts(checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor) -> tuple[list[Sshd], list[Door]]:
    """``bot`` and ``other-bot``, each ticking on a host of its own."""
    servers = [make_sshd("one"), make_sshd("two")]
    doors = [make_door("bot"), make_door("other-bot")]
    checkout.trust(*(server.known_hosts_line() for server in servers))
    pairs = zip(servers, doors, strict=True)
    checkout.write_inventory({door.name: checkout.host(server, door.variables) for server, door in pairs})
    for door in doors:
        ticking(door)
    return servers, doors


@pytest.mark.serial
def test_a_follower_of_two_hosts_ends_at_ctrl_c_and_leaves_nothing_there(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, follow: Any
) -> None:
    servers, doors = two_hosts(checkout, make_sshd, make_door)
    times = []
    for _ in range(3):
        follower = follow()
        text = follower.until("bot       | tick of bot\n", "other-bot | tick of other-bot\n")
        assert not [line for line in text.splitlines()[:-1] if " | tick of " not in line]
        assert all(server.children() for server in servers)
        code, err, took = follower.interrupt()
        assert (code, err) == (130, "")
        assert all(gone(server) for server in servers)
        times.append(took)
    assert min(times) < 0.5, times  # 0.1 s of it is Python's own end; the best of three, since a machine may be busy
    assert doors[0].calls()[0] == "logs --lines=50 --follow --until-eof --json"


def test_a_follower_that_is_killed_leaves_nothing_there_either(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, follow: Any
) -> None:
    server, door = make_sshd(), make_door("bot")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables)})
    ticking(door)
    follower = follow()
    follower.until("tick of bot")
    follower.process.kill()
    assert gone(server)


def test_a_host_that_goes_away_is_reported_and_the_others_go_on(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, follow: Any
) -> None:
    servers, _ = two_hosts(checkout, make_sshd, make_door)
    follower = follow()
    follower.until("tick of bot", "tick of other-bot")
    servers[0].drop_sessions()
    before = len(follower.until("tick of other-bot"))
    while len(follower.until("tick of other-bot")) < before + 2000:
        follower._text += os.read(follower.process.stdout.fileno(), 65536)
    code, err, _ = follower.interrupt()
    assert code == 130
    assert err == "bot: 127.0.0.1 closed the connection before it answered\n"


def test_a_follower_ends_with_the_hosts_code_when_all_have_gone(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor, follow: Any
) -> None:
    server, door = make_sshd(), make_door("bot")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables)})
    ticking(door)
    follower = follow()
    follower.until("tick of bot")
    server.drop_sessions()
    assert follower.process.wait(timeout=20) == 4


def test_an_agent_that_refuses_to_follow_is_quoted(checkout: Checkout, bot: Door, follow: Any) -> None:
    bot.answer("logs", {"schema": 1, "ok": False, "exit_code": 1, "error": "cannot read /x/bot.out: no such file"}, 1)
    follower = follow()
    _, err = follower.process.communicate(timeout=20)
    assert follower.process.returncode == 1
    assert err == b"bot: cannot read /x/bot.out: no such file\n"


def test_followed_json_is_one_object_a_line(checkout: Checkout, bot: Door, follow: Any) -> None:
    ticking(bot)
    follower = follow("--json")
    first = follower.until("tick of bot", "\n").splitlines()[0]
    assert json.loads(first) == {"schema": 1, "host": "bot", "line": "tick of bot"}
    assert follower.interrupt()[0] == 130


def test_a_reader_that_goes_away_ends_the_follower(checkout: Checkout, bot: Door, follow: Any) -> None:
    ticking(bot)
    follower = follow()
    follower.until("tick of bot")
    follower.process.stdout.close()
    assert follower.process.wait(timeout=20) == 141
    assert follower.process.stderr.read() == b""
    follower.process.stdout = None


def test_a_flood_of_lines_is_shown_whole_and_in_order(checkout: Checkout, bot: Door, follow: Any) -> None:
    count = 30_000
    script = checkout.folder / "flood.py"
    script.write_text(f"""for n in range({count}): print('{{"schema": 1, "line": "line %d"}}' % n)\n""")
    bot.script("logs", f"exec {sys.executable} {script}\n")
    done = checkout.fab("logs", "-f")
    assert done.code == 0
    assert done.out.splitlines() == [f"line {number}" for number in range(count)]


def test_a_local_bot_is_followed_and_let_go_too(checkout: Checkout, make_door: MakeDoor, follow: Any) -> None:
    door = make_door("here")
    checkout.write_inventory({"here": {"ansible_connection": "local", "watchdog_user": "", **door.variables}})
    ticking(door)
    follower = follow()
    follower.until("tick of here")
    below = descendants(follower.process.pid)
    assert below
    code, err, _ = follower.interrupt()
    assert (code, err) == (130, "")
    end = time.monotonic() + 3
    while any(Path(f"/proc/{pid}/exe").exists() for pid in below):
        assert time.monotonic() < end
        time.sleep(0.01)
