"""Two guards, one truth: no order of steps doubles a bot, misses one, or brings back a stopped one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def explore(*words: str) -> dict[str, Any]:
    """Run the explorer, in a process of its own, since it adopts orphans."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.interleave", "--json", *words], cwd=REPOSITORY, capture_output=True,
        text=True, timeout=110,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict) and done.returncode == (1 if found["violation"] else 0)
    return found


@pytest.mark.fault("F20")
@pytest.mark.fault("F21")
@pytest.mark.fault("F35")
@pytest.mark.promise(1)
def test_no_order_of_steps_breaks_the_protocol() -> None:
    found = explore("--seconds", "8")
    assert not found["violation"], found["violation"]
    assert found["runs"] > 15 and "random" in found["by_scenario"], found


@pytest.mark.parametrize(
    ("mutant", "scenario", "said"),
    [
        ("no-lock-at-spawn", "check hand", "2 bots"),
        ("word-before-lock", "check stop", "against a word that stood before it took the lock"),
    ],
)
def test_a_fault_in_the_protocol_is_found(mutant: str, scenario: str, said: str) -> None:
    found = explore("--seconds", "80", "--mutant", mutant, "--scenario", scenario)
    assert said in (found["violation"] or ""), found
