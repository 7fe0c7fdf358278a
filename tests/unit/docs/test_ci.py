"""What CI runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MARK = "needs" + "_user"


def test_what_only_an_unprivileged_user_can_see_is_run_without_root() -> None:
    step = (ROOT / ".ci" / "run").read_text().partition("step 'tests without root'")[2]
    folders = re.findall(r"--only (\S+)", step)[0].split(",")
    tests = ROOT / "tests"
    marked = [str(path.relative_to(tests)) for path in tests.rglob("test_*.py") if MARK in path.read_text()]
    assert marked and all(any(path.startswith(folder) for folder in folders) for path in marked), marked
