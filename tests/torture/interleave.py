"""Explore the orders in which guards, ticks and an operator's verbs can act on one bot, on the agent's real code.

``python -m tests.torture.interleave [--seed N] [--seconds S] [--json]``: every verb killed at each of its seams, then
every order with at most one preemption for each pair of actors, then random orders, with kills, until the time is up.
See `seams` for what is real and what is not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.torture import actors, mutants
from tests.torture.schedule import Option, Schedule, Violation, steadily

PAIRS = (
    "check check", "check stop", "guard guard", "guard stop", "check hand", "start stop", "bot: restart stop",
    "bot: check stop", "bot: guard restart", "bot: stop start", "check death", "bot: restart check",
)  # fmt: skip
ALONE = ("check", "guard", "bot: stop", "bot: restart", "bot: check", "bot: guard")
LOCAL = ("born", "tell", "write_pid_file")
"""Seams at which a preemption changes nothing that the other actor sees."""

CAST = ("check", "check", "guard", "guard", "stop", "start", "restart", "hand", "death")


class Explorer:
    """Counts what it has run; `runs` by scenario."""

    def __init__(self, stage: actors.Stage) -> None:
        self.stage = stage
        self.end = 0.0
        self.runs: Counter[str] = Counter()
        self.steps = 0

    def within(self, seconds: float) -> None:
        """So much time from now on."""
        self.end = time.monotonic() + seconds

    def timely(self) -> bool:
        """Whether there is time for one more run."""
        return time.monotonic() < self.end

    def exhaust(self, scenario: str, preemptions: int) -> bool:
        """Every order with at most so many preemptions; false when the time was up before that."""
        waiting: list[tuple[list[Option], int]] = [([], 0)]
        while waiting and self.timely():
            prefix, spent = waiting.pop()
            waiting += self._branch(scenario, prefix, spent, preemptions)
        return not waiting

    def _branch(self, scenario: str, prefix: list[Option], spent: int, bound: int) -> list[tuple[list[Option], int]]:
        """Run the order that begins with ``prefix``; the orders that part from it later."""
        taken: list[Option] = []
        branches: list[tuple[list[Option], int]] = []

        def choose(schedule: Schedule, options: list[Option], last: Option | None) -> Option:
            usual = steadily(schedule, options, last)
            if len(taken) < len(prefix):
                found = prefix[len(taken)] if prefix[len(taken)] in options else usual
            else:
                found = usual
                cost = spent + (1 if last in options else 0)
                if cost <= bound and not (last in options and schedule.seam(last) in LOCAL):
                    branches.extend(([*taken, other], cost) for other in options if other != usual)
            taken.append(found)
            return found

        self._run(scenario, lambda schedule: schedule.explore(choose))
        return branches

    def kill_everywhere(self, scenario: str) -> None:
        """The first actor is killed at each of its seams in turn."""
        for point in range(200):
            reached = False

            def story(schedule: Schedule, at: int = point) -> None:
                nonlocal reached
                number = len(schedule.actors) - 1
                for _ in range(at):
                    if not schedule.options() or not schedule.actors[number].alive:
                        return
                    schedule.take(steadily(schedule, schedule.options(), ("go", number)))
                if schedule.actors[number].alive:
                    reached = True
                    schedule.take(("kill", number))
                schedule.explore(steadily)

            self._run(scenario, story)
            if not reached or not self.timely():
                return

    def wander(self, dice: random.Random) -> None:
        """A random cast in a random order; some of them are killed."""
        roles = dice.choices(CAST, k=dice.randint(2, 4))
        scenario = f"{dice.choice(['', 'bot:'])} {' '.join(roles)}".strip()
        restless, deadly = dice.choice([0.05, 0.3, 0.8]), dice.choice([0.0, 0.01, 0.04])

        def choose(schedule: Schedule, options: list[Option], last: Option | None) -> Option:
            if dice.random() < deadly:
                return "kill", dice.choice([n for n, actor in enumerate(schedule.actors) if actor.alive])
            return dice.choice(options) if last not in options or dice.random() < restless else last

        self._run(scenario, lambda schedule: schedule.explore(choose), "random")

    def _run(self, scenario: str, story: object, kind: str | None = None) -> None:
        schedule = Schedule(self.stage, scenario)
        self.runs[kind or scenario] += 1
        try:
            story(schedule)  # type: ignore[operator]
            schedule.settle()
        except Violation as error:
            raise Violation(f"{scenario}: {error}") from None
        finally:
            self.steps += len(schedule.trace)
            schedule.close()


def explore(explorer: Explorer, options: argparse.Namespace) -> bool:
    """A quarter of the time for the kills, half for the pairs, what is left at random; whether the pairs were done."""
    pairs = options.scenario or PAIRS
    explorer.within(options.seconds / 4)
    for scenario in () if options.scenario else ALONE:
        explorer.kill_everywhere(scenario)
    end = time.monotonic() + options.seconds / 2
    complete = True
    for number, pair in enumerate(pairs):
        explorer.within((end - time.monotonic()) / (len(pairs) - number))
        complete = explorer.exhaust(pair, options.preemptions) and complete
    dice = random.Random(options.seed)
    explorer.within(0.0 if options.scenario else options.seconds / 4)
    while explorer.timely():
        explorer.wander(dice)
    return complete


def main(words: list[str] | None = None) -> int:
    """Explore; 0 when everything held."""
    parser = argparse.ArgumentParser(prog="interleave", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--preemptions", type=int, default=1)
    parser.add_argument(
        "--scenario", action="append", help='explore the orders of this alone, such as "bot: stop start"'
    )
    parser.add_argument("--mutant", choices=list(mutants.APPLY), default="none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    actors.subreaper()
    with tempfile.TemporaryDirectory(prefix="interleave") as folder:
        explorer = Explorer(actors.set_up(Path(folder), options.mutant))
        violation, complete = None, False
        try:
            complete = explore(explorer, options)
        except Violation as error:
            violation = str(error)
    document = {
        "seed": options.seed, "mutant": options.mutant, "preemptions": options.preemptions, "complete": complete,
        "runs": explorer.runs.total(), "steps": explorer.steps, "by_scenario": explorer.runs, "violation": violation,
    }  # fmt: skip
    if options.json:
        print(json.dumps(document))
    else:
        print(*(f"{count:6} {name}" for name, count in explorer.runs.items()), sep="\n")
        print(f"{document['runs']} orders, {explorer.steps} steps, complete: {complete}")
        print(violation or "nothing was ever doubled, missed or resurrected")
    return 1 if violation else 0


if __name__ == "__main__":
    sys.exit(main())
