"""What CI runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MARK = "needs" + "_user"


def test_what_only_an_unprivileged_user_can_see_is_run_without_root() -> None:
    steps = (ROOT / ".ci" / "run").read_text().partition("step 'tests without root'")[2]
    chosen = [folder for only in re.findall(r"--only (\S+)", steps) for folder in only.split(",")]
    left_out = re.findall(r"not (test_\w+\.py)", steps)
    tests = ROOT / "tests"
    marked = [str(path.relative_to(tests)) for path in tests.rglob("test_*.py") if MARK in path.read_text()]
    assert marked and all(any(path.startswith(folder) for folder in chosen) for path in marked), marked
    assert left_out and not any(path.endswith(name) for path in marked for name in left_out), left_out
