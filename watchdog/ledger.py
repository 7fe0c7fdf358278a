"""What the engine knows and has yet to say: memory, the bot seen last, its end, events and alerts."""

from __future__ import annotations

from typing import Any

from . import clock, exits, model, policy, snapshot
from .decision import Decision
from .identity import Identity
from .lastwords import Span
from .record import Effect, Recorder


class Ledger:
    """Every decision of the policy goes through `feed`; `flush` writes and tells what has become of it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.memory = model.Memory()
        self.known: Identity | None = None
        self.last: exits.Exit | None = None
        self._last_exit: dict[str, Any] | None = None
        self._words: list[tuple[dict[str, Any], Span]] = []
        self._effects: list[Effect] = []

    def load(self) -> None:
        """Begin with what is on disk."""
        remembered, trouble = self._recorder.load()
        self.memory, self.known, self._last_exit = remembered
        if trouble:
            effects = (model.Note("state-rebuilt", trouble, "warning"), model.Alert("error", trouble))
            self._effects += [Effect(effect, None) for effect in effects]

    def feed(self, event: model.Event) -> tuple[model.Action, ...]:
        """Let the policy decide."""
        before, now = self.memory, clock.now()
        self.memory, actions = policy.step(before, event, now)
        if actions:
            made = Decision(before, event, now, self.memory, actions)
            self._effects += [Effect(action, self._last_exit, made) for action in actions]
        return actions

    def ended(self, end: exits.Exit, pid: int | None, said: Span | None) -> None:
        """A bot has ended. Its last words are read in `flush`, since they may take longer than the next start."""
        self.last, self._last_exit = end, end.document(pid, said.path if said else None)
        if said:
            self._words.append((self._last_exit, said))

    def flush(self) -> None:
        """Write and tell everything: whatever may fail or be slow comes after the deed."""
        words, self._words = self._words, []
        for document, said in words:
            document["last_lines"] = self._recorder.last_lines(said)
        effects, self._effects = self._effects, []
        current = snapshot.Snapshot(self.memory, self.known, self._last_exit)
        self._recorder.tell(effects, current)  # before it is on record: a mail may come twice, but not never
        self._recorder.save(current)
