"""What the trials came to: a row for each behaviour, one for each illness of lives at random; docs/verdicts.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.verdicts import healthy, lives, sick
from tests.verdicts.healthy import Trial
from tests.verdicts.simulated import Outcome, live
from watchdog.clock import human

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verdicts.md"
MATRIX, LIVES = "<!-- matrix -->", "<!-- lives -->"

MATRIX_HEAD = ("behaviour", "truth", "verdict", "after", "simulated", "restarts", "alerts")
LIVES_HEAD = ("lives", "number", "restarted", "after (median, longest)", "told of", "restarted while well")


class Figures(NamedTuple):
    """Over lives at random. Precision: how many of those restarted were ill; recall: how many of the ill were found.

    ``provable``: ill in a way that shows, under the settings of that life, in a sign that restarts.
    """

    healthy: int
    ill: int
    provable: int
    restarted_well: int
    restarted_ill: int
    restarted_provable: int
    doubted_well: int
    told_ill: int

    @property
    def precision(self) -> float:
        """Of the verdicts that restart."""
        return self.restarted_ill / max(1, self.restarted_ill + self.restarted_well)

    @property
    def recall(self) -> float:
        """Of the verdicts that restart."""
        return self.restarted_ill / max(1, self.ill)

    @property
    def proved(self) -> float:
        """Recall of the verdicts that restart, among those that can be proved."""
        return self.restarted_provable / max(1, self.provable)

    @property
    def told(self) -> float:
        """Recall of being told at all."""
        return self.told_ill / max(1, self.ill)

    @property
    def text(self) -> str:
        """In sentences."""
        return (
            f"Restarted while well: {self.restarted_well} of {self.healthy + self.ill} lives"
            f" (precision {self.precision:.3f}).\n"
            f"Restarted when ill: {self.restarted_ill} of {self.ill} (recall {self.recall:.2f});\n"
            f"where a sign that restarts can show: {self.restarted_provable} of {self.provable} ({self.proved:.2f}).\n"
            f"Told of when ill: {self.told_ill} of {self.ill} ({self.told:.2f});"
            f" when well: {self.doubted_well} of {self.healthy}."
        )


def matrix(seed: int) -> list[tuple[Trial, Outcome]]:
    """Every named behaviour, lived through once."""
    trials = (*healthy.TRIALS, *sick.TRIALS)
    return [(trial, live(trial.behaviour, seed, trial.limits, trial.seconds, trial.vows)) for trial in trials]


def at_random(seed: int, count: int) -> list[tuple[Trial, Outcome]]:
    """So many lives; each has a seed of its own, from this one on."""
    trials = [(number, lives.draw(number)) for number in range(seed, seed + count)]
    return [(trial, live(trial.behaviour, number, trial.limits, trial.seconds, trial.vows)) for number, trial in trials]


def figures(found: Sequence[tuple[Trial, Outcome]]) -> Figures:
    """Counted over these lives. A restart of one that fell ill later counts against us as any other."""
    well = [outcome for trial, outcome in found if trial.truth == "well"]
    ill = [outcome for trial, outcome in found if trial.truth != "well"]
    provable = [outcome for trial, outcome in found if trial.truth == "hung"]
    return Figures(
        healthy=len(well),
        ill=len(ill),
        provable=len(provable),
        restarted_well=sum(bool(outcome.wrong) for _, outcome in found),
        restarted_ill=sum(bool(outcome.hung_after) for outcome in ill),
        restarted_provable=sum(bool(outcome.hung_after) for outcome in provable),
        doubted_well=sum(outcome.doubted for outcome in well),
        told_ill=sum(bool(outcome.told_after) for outcome in ill),
    )


def verdict(outcome: Outcome) -> str:
    """In a word: well, suspect or hung."""
    return "hung" if outcome.restarts else "suspect" if outcome.told_after or outcome.doubted else "well"


def late(trial: Trial, outcome: Outcome) -> float | None:
    """Seconds until the verdict that the trial is to come to, in its first life: later ones wait for the policy.

    None when there was none.
    """
    found = outcome.hung_after if trial.truth == "hung" else outcome.told_after
    return found[0] if found else None


def good(trial: Trial, outcome: Outcome) -> bool:
    """Whether the trial came out as it has to."""
    if outcome.wrong or (trial.truth != "hung" and outcome.restarts):
        return False
    seconds = late(trial, outcome)
    return trial.truth == "well" or (seconds is not None and seconds <= trial.within)


def matrix_rows(found: Iterable[tuple[Trial, Outcome]]) -> list[tuple[str, ...]]:
    """For the table."""
    rows: list[tuple[str, ...]] = []
    for trial, outcome in found:
        seconds = late(trial, outcome)
        word = verdict(outcome) if good(trial, outcome) else f"**{verdict(outcome)}**"
        after = "" if seconds is None else human(round(seconds))
        counts = (str(outcome.restarts), str(outcome.alerts))
        rows.append((trial.name, trial.truth, word, after, human(trial.seconds), *counts))
    return rows


def lives_rows(found: Sequence[tuple[Trial, Outcome]]) -> list[tuple[str, ...]]:
    """For the table: the healthy ones, then each illness."""
    rows: list[tuple[str, ...]] = []
    for name in ("well", *(name for name in lives.ILLNESSES if name)):
        mine = [outcome for trial, outcome in found if trial.name == name]
        after = [seconds for outcome in mine for seconds in outcome.hung_after[:1]]
        times = f"{human(round(statistics.median(after)))}, {human(round(max(after)))}" if after else ""
        told = sum(outcome.doubted if name == "well" else bool(outcome.told_after) for outcome in mine)
        wrong = sum(bool(outcome.wrong) for outcome in mine)
        rows.append((name, str(len(mine)), str(len(after)), times, str(told), str(wrong)))
    return rows


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def write(rows: str, random: str, path: Path = PAGE) -> None:
    """Put both tables between their marks of the page."""
    text = path.read_text(encoding="utf-8")
    for mark, table in ((MATRIX, rows), (LIVES, random)):
        head, _, foot = text.split(mark)
        text = f"{head}{mark}\n\n{table}\n\n{mark}{foot}"
    path.write_text(text, encoding="utf-8")
