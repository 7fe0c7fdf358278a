"""Where the lab keeps its things: outside the repository, below the user's XDG folders."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "dca-watchdog-lab"


def cache_root() -> Path:
    """Base images: large, slow to make, harmless to delete while no lab is up."""
    return _xdg("XDG_CACHE_HOME", ".cache") / NAME


def state_root() -> Path:
    """What is up right now: one folder per lab, made by `lab.up`, gone after `lab.down`."""
    return _xdg("XDG_STATE_HOME", ".local/state") / NAME


def _xdg(variable: str, below_home: str) -> Path:
    named = os.environ.get(variable, "")
    # The specification: a relative path in these variables is invalid and ignored.
    return Path(named) if named.startswith("/") else Path.home() / below_home
