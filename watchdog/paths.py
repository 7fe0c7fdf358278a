"""Where one bot's files lie. The locks are elsewhere, see `instance`."""

from __future__ import annotations

import os
from typing import NamedTuple

from .config import Config
from .instance import Instance
from .spawn import BOT_OUT


class Paths(NamedTuple):
    """Absolute paths; only ``log_file`` and ``bot_out`` lie in the bot's own project."""

    state_dir: str
    state_file: str
    beat: str
    events_file: str
    outbox: str
    outbox_lock: str
    samples: str
    log_file: str
    bot_out: str
    spare_bot_out: str


def of(config: Config, instance: Instance) -> Paths:
    """The state directory is the instance directory unless a setting says otherwise."""
    state = config.state_dir or instance.directory
    return Paths(
        state_dir=state,
        state_file=os.path.join(state, "state.json"),
        beat=os.path.join(state, "beat"),
        events_file=os.path.join(state, "events.jsonl"),
        outbox=os.path.join(state, "outbox"),
        outbox_lock=os.path.join(state, "outbox.lock"),
        samples=os.path.join(state, "samples"),
        log_file=os.path.join(config.log_dir, "watchdog.log"),
        bot_out=os.path.join(config.log_dir, BOT_OUT),
        spare_bot_out=os.path.join(state, BOT_OUT),
    )
