"""What every supervisor does in trouble, found out by making the trouble; all of them side by side."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

from benchmarks import usage
from benchmarks.run import Run
from benchmarks.stand import HOST, bots_among, kill, wait
from benchmarks.supervisor import Supervisor

YES, NO = "yes", "no"
#: Seconds: to adopt a bot, and to get over its own death.
ADOPTION, COMEBACK = 6.0, 5.0
#: Seconds between two looks at hung bots.
MOMENT = 0.5


def idle(run: Run, seconds: float) -> None:
    """Memory, and processor time over some seconds in which nothing happens."""
    rows = run.present()
    run.progress.say(f"{seconds:g} idle seconds")
    time.sleep(min(5.0, seconds))
    before = {one.key: {pid: usage.cpu_s([pid]) for pid in one.processes(run.stand)} for one in rows}
    began = time.monotonic()
    time.sleep(seconds)
    per_minute = 60_000 / (time.monotonic() - began)
    for one in rows:
        with run.allowed_to_fail(one):
            pids = one.processes(run.stand)
            spent = sum(usage.cpu_s([pid]) - before[one.key].get(pid, 0.0) for pid in pids)
            run.result(one).cpu_ms = spent * per_minute
            run.result(one).pss_mb = usage.memory_mb(pids)


def crash_loop(run: Run, seconds: float) -> None:
    """How often a bot is started in a minute that ends at once, every time."""
    rows = run.part("crash loop")
    run.each(rows, lambda one: one.before_kill(run.stand), "crash loop")
    time.sleep(1.5)
    before: dict[str, int] = {}
    for one in rows:
        run.stand.crashing(one.folder, wanted=True)
        before[one.key] = len(run.stand.starts(one.folder))
    kill([pid for one in rows for pid in run.stand.bots_of(one.folder)])
    run.sleep(seconds)
    for one in rows:
        with run.allowed_to_fail(one):
            run.result(one).crash_starts = len(run.stand.starts(one.folder)) - before[one.key]
    run.each(rows, lambda one: one.stop(run.stand), "crash loop ends")


def hung(run: Run, seconds: float) -> None:
    """A bot that has stopped doing anything (SIGSTOP): is it replaced, and when, or at least reported?"""
    rows = run.part("hung bot")
    before = {one.key: run.stand.bots_of(one.folder) for one in rows}
    after: dict[str, float] = {}
    told, began = time.time(), time.monotonic()
    kill([pid for pids in before.values() for pid in pids], signal.SIGSTOP)
    while (passed := time.monotonic() - began) < seconds:
        living = run.stand.bots()
        for one in [one for one in rows if one.key not in after]:
            if set(living.get(one.folder, ())) - set(before[one.key]):
                after[one.key] = passed
        run.sleep(min(MOMENT, seconds - passed))
    for one in rows:
        with run.allowed_to_fail(one):
            replaced = one.key in after
            run.result(one).hung = f"replaced after {after[one.key]:.0f} s" if replaced else _said(run, one, told)
    kill([pid for pids in before.values() for pid in pids], signal.SIGCONT)


def duplicate(run: Run, seconds: float) -> None:
    """Somebody starts a second bot by hand: is one of the two ended, or is it reported?"""
    rows = run.part("second bot")
    before: dict[str, list[int]] = {}
    began = time.time()

    def double(one: Supervisor) -> None:
        run.stand.bot_by_hand(one.folder)
        before[one.key] = run.stand.bots_of(one.folder)

    run.each(rows, double, "second bot")
    run.sleep(seconds)
    for one in [one for one in rows if len(before.get(one.key, ())) == 2]:
        with run.allowed_to_fail(one):
            ended = run.stand.bots_of(one.folder) != before[one.key]
            run.result(one).duplicate = "one ended" if ended else _said(run, one, began)


def _said(run: Run, one: Supervisor, since: float) -> str:
    return "reported" if one.reports(run.stand, since) else NO


def adopted(run: Run) -> None:
    """The bot runs already when its supervisor is started: is it taken over, and brought back when it dies?"""
    rows = run.part("running bot")
    running: dict[str, list[int]] = {}

    def prepare(one: Supervisor) -> None:
        one.stop(run.stand)
        wait(lambda: not run.stand.bots_of(one.folder), 5)
        run.stand.bot_by_hand(one.folder)
        running[one.key] = run.stand.bots_of(one.folder)
        one.start(run.stand)

    run.each(rows, prepare, "running bot: supervisors start")
    run.sleep(ADOPTION)

    def judge(one: Supervisor) -> None:
        run.result(one).adopted = _adoption(run, one, running[one.key])

    run.each([one for one in rows if one in run.present()], judge, "running bot")


def _adoption(run: Run, one: Supervisor, running: list[int]) -> str:
    bots = run.stand.bots_of(one.folder)
    if len(bots) > 1:
        return "no: a second bot"
    if bots != running:
        return "no: replaced"
    kill(bots)
    back = wait(lambda: bool(run.stand.bots_of(one.folder)), one.patience)
    return YES if back else "no: left alone"


def killed(run: Run) -> None:
    """The supervisor itself is killed -9: what becomes of the bot, and who looks after it then?"""
    rows = run.part("killed supervisor")
    chiefs = {one.key: pid for one in rows if (pid := one.chief(run.stand)) is not None}
    rows = [one for one in rows if one.key in chiefs]
    words = {key: usage.command_line(pid) for key, pid in chiefs.items()}
    bots = {one.key: run.stand.bots_of(one.folder) for one in rows}
    most, back = dict.fromkeys(chiefs, 0), dict[str, float]()
    time.sleep(1.5)
    began = time.monotonic()
    kill(chiefs.values())
    while (passed := time.monotonic() - began) < COMEBACK:
        seen = run.stand.lab.pids(HOST)
        living = bots_among(seen)
        for one in rows:
            most[one.key] = max(most[one.key], len(living.get(one.folder, ())))
            others = [line for pid, line in seen.items() if pid != chiefs[one.key]]
            if one.key not in back and any(one.is_chief(line, words[one.key]) for line in others):
                back[one.key] = passed
        time.sleep(0.01)
    for one in rows:
        with run.allowed_to_fail(one):
            lives = set(bots[one.key]) <= set(run.stand.bots_of(one.folder))
            run.result(one).killed = {
                "bot lives on": YES if lives else NO,
                "supervisor is back": f"{back[one.key]:.2f} s" if one.key in back else NO,
                "two bots": YES if most[one.key] > 1 else NO,
            }
    _next_death(run, rows)


def _next_death(run: Run, rows: Sequence[Supervisor]) -> None:
    """After all that, the bot (each of them) dies, too: is there another one?"""
    before = {one.key: len(run.stand.starts(one.folder)) for one in rows}
    kill([pid for one in rows for pid in run.stand.bots_of(one.folder)])
    run.sleep(COMEBACK)
    for one in rows:
        with run.allowed_to_fail(one):
            again = len(run.stand.starts(one.folder)) > before[one.key]
            run.result(one).killed["next death of the bot"] = "restarted" if again else "unnoticed"
