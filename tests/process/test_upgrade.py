"""`guard --replace`: the guard goes on as the new release in the same process, or stays what it was."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_hostile import client
from tests.process import oracle
from tests.process.world import AGENT, ROUNDS, Done, World

RUBBISH: tuple[object, ...] = (
    None, [], "x", {"command": []}, {"command": [1]}, {"command": "/bin/true"}, {"command": ["true"]},
    {"command": ["./x"]}, {"command": ["/bin/true\0"]}, {"command": ["/bin/\ud800"]}, {"command": ["/x"] * 17},
    {"command": {"/bin/true": 1}}, {"environment": None}, {"environment": []}, {"environment": {"PATH": 1}},
    {"environment": {"PATH": "a\0b"}}, {"environment": {"WATCHDOG_X=Y": "z"}},
    {"environment": {"PATH": "\udfff\ud800"}},
)  # fmt: skip


class Gate:
    """A place in a release at which whoever runs it stops."""

    def __init__(self, place: Path) -> None:
        self.there, self.free = place / "there", place / "free"

    def reached(self) -> None:
        oracle.until(self.there.exists, "the gate is reached")

    def open(self) -> None:
        self.free.touch()


#: Where a new release can be held: the file and the line before which it waits.
IN_THE_SELF_TEST = ("handover.py", "    here = instance.locate(settings.script)\n")
AFTER_THE_EXEC = ("tick.py", "    if lock is not None and resume is not None:\n")


class Release:
    """A copy of the agent with a version of its own."""

    template: Path

    def __init__(self, world: World, version: str) -> None:
        self.world, self.version, self.place = world, version, world.folder / version
        self.package = self.place / "watchdog"
        shutil.copytree(self.template, self.package)
        self.variables = {"PYTHONPATH": str(self.place), "PYTHONDONTWRITEBYTECODE": ""}  # it will run more than once
        self.change("__init__.py", '__version__ = "', f'__version__ = "{version}+')

    def change(self, file: str, old: str, new: str) -> None:
        """Make it another program."""
        text = (self.package / file).read_text()
        assert old in text, f"{file} of the agent has no {old!r}"
        (self.package / file).write_text(text.replace(old, new, 1))

    def gate(self, file: str, line: str) -> Gate:
        """Have it wait at a line of its own until it is let through."""
        found = Gate(self.place)
        wait = f"open({str(found.there)!r}, 'w').close()\n    while not os.path.exists({str(found.free)!r}):\n"
        indent = "    " if not line.rstrip().endswith(":") else "        "
        code = wait.replace("\n    while", f"\n{indent}while") + f"{indent}    time.sleep(0.01)\n"
        new = f"{line}{indent}{code}" if line.rstrip().endswith(":") else f"{indent}{code}{line}"
        self.change(file, line, new)
        return found

    def guard(self, *words: str) -> Done:
        return self.world.verb("guard", *words, **self.variables)

    def takes_over(self) -> None:
        done = self.guard("--replace")
        assert done.code == 0 and done.err == "", done
        assert self.on_watch

    def replaces(self) -> None:
        """As `takes_over`, without a process that asks."""
        assert self.asks() == {"heard": True}
        oracle.until(lambda: self.on_watch, f"{self.version} is on watch")

    def asks(self) -> dict[str, Any]:
        """The request alone; the last answer to it."""
        command = [self.world.python, "-m", "watchdog"]
        return ask(self.world, {"command": command, "environment": self.world.environment(**self.variables)})

    @property
    def on_watch(self) -> bool:
        return str(ask(self.world, {"verb": "ping"}).get("version")).startswith(self.version)


@pytest.fixture(scope="module", autouse=True)
def template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every release is compiled already: that takes longer than an upgrade."""
    Release.template = tmp_path_factory.mktemp("agent") / "watchdog"
    shutil.copytree(AGENT / "watchdog", Release.template, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(Release.template, quiet=2)


def ask(world: World, request: dict[str, Any]) -> dict[str, Any]:
    """A request to the guard itself; its last answer. While it changes its release nobody listens."""
    with contextlib.suppress(OSError), client(world) as connection:
        connection.settimeout(30)
        connection.sendall(json.dumps({"verb": "upgrade", **request}).encode() + b"\n")
        with connection.makefile() as answers:
            return dict(json.loads(list(answers)[-1]))
    return {}


def children(pid: int) -> list[int]:
    return sorted(one for one in oracle.pids() if (found := oracle.stat(one)) and found.parent == pid)


def own_place(pid: int) -> str:
    """Where the package that a process runs, or would run, comes from."""
    return oracle.environment(pid)["PYTHONPATH"].split(os.pathsep)[0]


@pytest.mark.fault("F76")
@pytest.mark.promise(6)
def test_the_guard_becomes_the_new_release_with_its_pid_its_bot_and_an_heir_of_that_release(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    heir, began = world.heirs, oracle.stat(pid)
    new = Release(world, "9.1")
    new.takes_over()
    assert world.until_guarded() == guard
    oracle.until(lambda: world.heirs not in ([], heir), "the heir of the old release has given way")
    assert own_place(guard) == str(new.place) == own_place(world.heirs[0])
    assert world.bots() == [pid] and oracle.stat(pid)._replace(state="") == began._replace(state="")  # type: ignore[union-attr]
    assert oracle.lock_holders(world.instance / "bot.lock") == [pid], "the guard has not inherited it"
    (event,) = world.events("upgraded")
    assert "9.1+" in event["message"] and str(guard) in event["message"]
    world.kill(guard)
    assert world.until_guarded(other_than=guard) and new.on_watch
    assert world.until_running() == pid and len(world.births()) == 1


@pytest.mark.fault("F49")
def test_how_a_bot_ends_that_an_earlier_release_started_is_known(world: World) -> None:
    world.behave({"term_code": 7}, {})
    guard = world.guard()
    bot = world.until_running()
    for number, known in ((signal.SIGTERM, {"code": 7, "signal": None}), (signal.SIGKILL, {"code": None, "signal": 9})):
        Release(world, f"9.{number}").takes_over()
        assert world.bots() == [bot]
        world.kill(bot, number)
        bot = world.until_running(other_than=bot)
        end = world.status()["last_exit"]
        assert {key: end[key] for key in known} == known
    assert world.guards == [guard] and len(world.events("died")) == 2


@pytest.mark.promise(1)
def test_a_bot_that_dies_while_the_new_release_begins_is_accounted_for_and_started_once(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    new = Release(world, "9.1")
    gate = new.gate(*AFTER_THE_EXEC)
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    world.kill(bot)
    stat = oracle.stat(bot)
    assert stat and (stat.state, stat.parent) == ("Z", guard), "nobody has seen it die yet"
    gate.open()
    assert asking.wait(30) == 0
    again = world.until_running(other_than=bot)
    assert world.guards == [guard] and world.bots() == [again] and len(world.births()) == 2
    (died,) = world.events("died")
    assert "SIGKILL" in died["message"] and world.status()["last_exit"]["signal"] == 9
    assert oracle.stat(bot) is None, "it was reaped"


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.parametrize("where", ["in the self-test", "after the exec"])
def test_a_guard_killed_in_the_middle_is_replaced_and_the_next_one_is_asked_again(world: World, where: str) -> None:
    guard = world.guard()
    bot = world.until_running()
    new = Release(world, "9.1")
    gate = new.gate(*(AFTER_THE_EXEC if where == "after the exec" else IN_THE_SELF_TEST))
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    world.kill(guard)
    gate.open()
    assert asking.wait(30) == 0, asking.communicate()
    assert world.until_guarded() != guard and new.on_watch
    assert world.bots() == [bot] and len(world.births()) == 1


def test_a_bot_dead_in_the_self_test_is_brought_back_by_the_old_release(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    new = Release(world, "9.1")
    gate = new.gate(*IN_THE_SELF_TEST)
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    world.kill(bot)
    again = world.until_bot(other_than=bot)
    assert not new.on_watch
    gate.open()
    assert asking.wait(30) == 0
    assert new.on_watch and world.until_guarded() == guard
    assert world.until_running() == again and len(world.births()) == 2


def test_a_sigterm_that_meets_no_release_is_obeyed_by_the_new_one(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    new = Release(world, "9.1")
    gate = new.gate(*AFTER_THE_EXEC)
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    asking.kill()
    world.kill(guard, signal.SIGTERM)
    assert oracle.alive(guard), "it waits"
    gate.open()
    oracle.until(lambda: not world.guards and not world.heirs, "guard and heir leave")
    assert world.bots() == [bot]


@pytest.mark.fault("F76")
def test_a_release_that_fails_its_self_test_is_refused_in_one_line_and_the_old_one_stays(world: World) -> None:
    old, hurry = Release(world, "1.0"), world.folder / "hurry"
    limit = "clock.now() + SELF_TEST"
    old.change("upgrade.py", limit, f"{limit} * (not os.path.exists({str(hurry)!r}))")
    assert old.guard().code == 0
    guard, bot, heirs = world.until_guarded(), world.until_running(), world.heirs
    first = "    here = instance.locate"
    broken = {
        "invalid syntax": ("mail.py", "import", "import import"),
        "ModuleNotFoundError": ("sender.py", "import json", "import nowhere"),
        "it said nothing": ("handover.py", first, f"    raise SystemExit(3)\n{first}"),
        "another bot": ("handover.py", '"instance": here.directory', '"instance": "/elsewhere"'),
        "did not end within": ("handover.py", first, f"    time.sleep(600)\n{first}"),
    }
    for number, (why, change) in enumerate(broken.items()):
        new = Release(world, f"9.{number}")
        new.change(*change)
        if number == len(broken) - 1:
            hurry.touch()
        done = new.guard("--replace")
        assert done.code == 1 and why in done.err and done.err.count("\n") == 1, done
        assert str(guard) in done.err, "it says who stays"
        assert why in world.events("upgrade-refused")[number]["message"]
    assert old.on_watch and world.guards == [guard] and world.heirs == heirs and world.bots() == [bot]
    oracle.until(lambda: children(guard) == sorted([bot, *heirs]), "every self-test was ended and reaped")
    world.kill(bot)
    assert world.until_bot(other_than=bot) and not world.events("upgraded")


def test_a_release_that_cannot_be_started_after_its_self_test_is_refused(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    good = [world.python, "-m", "watchdog"]
    once = world.folder / "once"
    once.write_text(f'#!/bin/sh\nrm "$0"\nexec {" ".join(good)} "$@"\n')
    once.chmod(0o755)
    refused = {
        "cannot be started": str(once),
        "No such file": str(world.folder / "nothing"),
        "Permission denied": str(world.script),
        "fails its self-test": "/bin/true",
    }
    for why, program in refused.items():
        answer = ask(world, {"command": [program], "environment": world.environment()})
        assert answer["ok"] is False and answer["exit_code"] == 1 and why in answer["message"], answer
    assert not once.exists()
    assert world.until_guarded() == guard and world.bots() == [bot]
    world.kill(bot)
    assert world.until_bot(other_than=bot) and world.guards == [guard], "no child inherits the lock afterwards"


def test_malformed_requests_are_answered_and_change_nothing(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    for rubbish in RUBBISH:
        request = {"command": ["/bin/true"], "environment": {}}
        answer = ask(world, {**request, **rubbish} if isinstance(rubbish, dict) else {"command": rubbish})
        assert (answer["ok"], answer["exit_code"]) == (False, 2), (rubbish, answer)
    with client(world) as connection:
        connection.sendall(b'{"verb": "upgrade", "command": ["/bin/sleep"], "environment": {}}\n')
    assert world.status()["guard"]["pid"] == guard and world.bots() == [bot]
    assert not world.events("error") and not world.events("upgraded")


def test_the_new_release_gets_our_settings_and_nothing_else_of_who_asks(world: World) -> None:
    world.guard()
    seen = world.folder / "seen"
    spy = world.folder / "spy"
    spy.write_text(f"#!/bin/sh\nenv > {seen}\nls -l /proc/self/fd > {seen}.fds\nexit 1\n")
    spy.chmod(0o755)
    given = {"PATH": "/usr/bin:/bin", "WATCHDOG_NAME": "x", "SMTP_PORT": "25", "LD_PRELOAD": "/evil.so", "EVIL": "1"}
    assert ask(world, {"command": [str(spy)], "environment": given})["exit_code"] == 1
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "WATCHDOG_NAME", "SMTP_PORT"}
    assert "lock" not in Path(f"{seen}.fds").read_text(), "a self-test that lives on would keep the guard's lock"


@pytest.mark.fault("F21")
@pytest.mark.promise(5)
def test_a_stop_under_way_comes_to_its_end_first_and_holds(world: World) -> None:
    guard, bot, stop = stopping(world, world.guard)
    new = Release(world, "9.1")
    gate = new.gate(*IN_THE_SELF_TEST)
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    gate.open()
    oracle.until(lambda: children(guard) == sorted([bot, *world.heirs]), "the self-test is over")
    assert not new.on_watch
    world.kill(bot)
    assert asking.wait(30) == 0 and new.on_watch
    assert stop.wait(30) == 0 and json.loads(stop.communicate()[0])["old_pid"] == bot
    kinds = [entry["kind"] for entry in world.events()]
    assert kinds.index("stopped") < kinds.index("upgraded")
    assert world.guards == [guard] and world.bots() == [] and world.status()["state"] == "stopped"


def test_an_upgrade_that_would_wait_too_long_is_refused_as_busy(world: World) -> None:
    old = Release(world, "1.0")
    old.change("upgrade.py", "PATIENCE = 20.0", "PATIENCE = 0.0")
    _, bot, stop = stopping(world, old.guard)
    done = Release(world, "9.1").guard("--replace")
    assert done.code == 75 and "stop by carol is under way" in done.err, done
    assert old.on_watch
    world.kill(bot)
    assert stop.wait(30) == 0 and world.bots() == []


def stopping(world: World, guard: Callable[[], object]) -> tuple[int, int, subprocess.Popen[str]]:
    """A stop that lasts until the bot is killed: guard, bot, and the verb."""
    world.env["WATCHDOG_STOP_GRACE"] = "600"
    world.behave({"ignore_term": True})
    guard()
    bot = world.until_running()
    stop = world.begin("stop", "--json", "--by", "carol")
    world.until_event("stop-asked")
    return world.until_guarded(), bot, stop


@pytest.mark.promise(1)
def test_a_bot_without_the_lock_stays_protected_while_the_new_release_begins(world: World) -> None:
    bot = world.by_hand()
    guard = world.guard()
    lock = world.instance / "bot.lock"
    oracle.until(lambda: oracle.lock_holders(lock) == [guard], "the guard holds the lock for it")
    new = Release(world, "9.1")
    gate = new.gate(*AFTER_THE_EXEC)
    asking = world.begin("guard", "--replace", **new.variables)
    gate.reached()
    assert oracle.lock_holders(lock) == [guard]
    gate.open()
    assert asking.wait(30) == 0
    assert world.until_running() == bot and oracle.lock_holders(lock) == [guard] == world.guards


def test_a_guard_that_knows_no_upgrade_gives_way_as_before(world: World) -> None:
    old = Release(world, "1.0")
    old.guard()
    oracle.until(lambda: old.on_watch, "the old release is on watch")
    shutil.rmtree(old.package)  # it answers like the releases before there were upgrades
    guard, bot = world.until_guarded(), world.until_running()
    new = Release(world, "9.1")
    new.takes_over()
    assert world.until_guarded(other_than=guard) and not oracle.alive(guard)
    assert world.until_running() == bot and not world.events("upgraded")


def test_a_guard_in_the_foreground_stays_there(world: World) -> None:
    process = world.begin("guard", "--foreground")
    assert world.until_guarded() == process.pid
    bot = world.until_running()
    Release(world, "9.1").takes_over()
    assert world.until_guarded() == process.pid and process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    oracle.until(lambda: not world.heirs, "the heir leaves too")
    assert world.bots() == [bot]


@pytest.mark.promise(1)
@pytest.mark.promise(2)
def test_guards_killed_at_any_moment_of_an_upgrade_leave_a_guard_an_heir_and_the_bot(world: World) -> None:
    guard = world.guard()
    bot = world.until_running()
    new, chance = Release(world, "9.1"), random.Random(9)
    for _ in range(ROUNDS):
        asking = threading.Thread(target=new.asks)
        asking.start()
        time.sleep(chance.uniform(0, 0.5))
        world.kill(guard)
        asking.join()
        world.ok("guard")  # cron's part, for a guard that had no heir at that moment
        guard = world.until_guarded(other_than=guard)
        assert world.bots() == [bot]
    assert world.until_running() == bot and len(world.births()) == 1


@pytest.mark.promise(1)
@pytest.mark.promise(6)
def test_twenty_upgrades_while_the_bot_keeps_dying_make_one_bot_and_keep_the_guard(world: World) -> None:
    guard = world.guard()
    world.until_running()
    releases = [Release(world, f"9.{number}") for number in range(2)]
    chance, over, killed = random.Random(4), threading.Event(), []

    def keep_killing() -> None:
        while not over.wait(chance.uniform(0.2, 0.8)):
            for pid in world.bots():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=keep_killing)
    killer.start()
    try:
        for number in range(20):
            releases[number % 2].replaces()
            if number % 3 == 0:
                ask(world, {"verb": "start"})  # the ladder begins anew, so that there is something to kill
    finally:
        over.set()
        killer.join()
    assert len(killed) >= 5 and len(world.events("upgraded")) == 20
    world.ok("start")
    assert world.until_guarded() == guard and world.bots() == [world.until_running()]
    assert len(world.births()) <= len(killed) + 1
    oracle.until(lambda: children(guard) == sorted([world.bot, *world.heirs]), "no zombie is left")
