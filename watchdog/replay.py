"""`explain`: the decisions on record, each taken again by the policy of this version and put into words."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any, get_args

from . import __version__, clock, decision, explain, logs, model, policy, snapshot
from .cli import Context
from .errors import UsageError
from .journal import EVENTS_LIMIT, GENERATIONS, clean

_LARGEST = 1e12  # of a number that any policy has decided by
_KINDS = {one.__name__: one for one in get_args(model.Event)}
_TYPES = {
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
    "bool": (bool,),
    "str": (str,),
}

Document = dict[str, Any]


def decisions(path: str, count: int, since: float | None) -> list[Document]:
    """The newest ``count`` entries of the events at ``path`` and its rotated files, oldest first.

    ``since`` in epoch seconds leaves out older ones. An entry that is no decision, or none that this version knows, has
    no ``why``.
    """
    found: list[Document] = []
    also: list[Document] = []
    for entry in _entries(path, since):
        if len(found) >= count:
            break
        if entry["decision"] == {"same": True}:
            also.append(entry)
            continue
        if entry["decision"] is None:
            found += _lost(also)
        else:
            entry["message"] = "; ".join([entry["message"], *(one["message"] for one in reversed(also))])
        also = []
        found.append(_explained(entry))
    found += _lost(also)
    return found[:count][::-1]


def _entries(path: str, since: float | None) -> Iterator[Document]:
    for line in _newest_first(path):
        entry = _entry(line)
        if entry and (since is None or (logs.written_at(entry["time"]) or 0.0) >= since):
            yield entry


def _lost(also: list[Document]) -> list[Document]:
    """Events whose decision is not there any more stand for themselves."""
    return [_explained({**entry, "decision": None}) for entry in also]


def sentences(one: Document, verbose: bool = False) -> list[str]:
    """An entry for people, in lines."""
    rows = [f"{one['time']}  {one['message']}"]
    if one["why"]:
        rows.append(f"    why   {one['why']}")
    if one["actions"]:
        rows.append(f"    done  {', '.join(word for word in one['actions'] if not word.startswith('event '))}")
    if one["replayed"] == "different":
        would = ", ".join(one["would"])
        rows.append(f"    ⚠️    this version ({__version__}) would have: {would}; {one['version']} decided otherwise")
    elif verbose and one["event"]:
        rows.append(f"    {one['event']}, decided by {one['version']}, replayed by {__version__}: {one['replayed']}")
    return [clean(row) for row in rows]


def show(context: Context) -> int:
    """The verb `explain`."""
    arguments = context.arguments
    if arguments.lines < 0:
        raise UsageError(f"--lines {arguments.lines}: a number of lines cannot be negative")
    since = None if arguments.since is None else logs.moment(arguments.since, clock.utc())
    found = decisions(context.paths.events_file, arguments.lines, since)
    documents = [{**one, "text": sentences(one)} for one in found]
    rows = [row for one in found for row in sentences(one, arguments.verbose)]
    context.answer({"decisions": documents}, "\n".join(rows) or "nothing is on record for that time")
    return 0


def _newest_first(path: str) -> Iterator[bytes]:
    for name in (path, *(f"{path}.{number}" for number in range(1, GENERATIONS + 1))):
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                file.seek(max(0, os.fstat(descriptor).st_size - 2 * EVENTS_LIMIT))
                content = file.read(2 * EVENTS_LIMIT)
        except OSError:
            continue
        yield from reversed((content or b"").split(b"\n"))


def _entry(line: bytes) -> Document | None:
    """The parts of an event that are shown, None for a line that is no event."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("time", "message")):
        return None
    kept = found.get("decision")
    return {**{key: found[key] for key in ("time", "message")}, "decision": kept if isinstance(kept, dict) else None}


def _explained(entry: Document) -> Document:
    known, one = entry["decision"] or {}, {"time": entry["time"], "message": entry["message"]}
    words = known.get("actions")
    actions = words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None
    one |= {"event": None, "fields": None, "why": None, "actions": actions, "replayed": "unknown", "would": None}
    one["version"] = known["version"] if isinstance(known.get("version"), str) else None
    try:
        _plausible(known)
        if isinstance(known.get("event"), str) and isinstance(known.get("fields"), dict):
            one |= {"event": known["event"], "fields": known["fields"]}
        before, event, at = _taken(known)
        after, done = policy.step(before, event, at)
        one["why"] = explain.why(before, event, at, after, done)
        would = decision.deeds(after, done, at)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return one
    if actions is not None:
        one["replayed"] = "same" if would == actions else "different"
        one["would"] = None if would == actions else would
    return one


def _taken(known: Document) -> tuple[model.Memory, model.Event, float]:
    """What the policy was given. Raises ValueError, KeyError or TypeError for what this version cannot have decided."""
    kind, fields, memory, at = _KINDS[known["event"]], known["fields"], known["memory"], known["at"]
    if type(at) not in (int, float) or set(fields) - set(kind._fields) or set(memory) - set(model.Memory._fields):
        raise ValueError("not of this version")
    values = {name: _value(_type(kind, name), value) for name, value in fields.items()}
    return snapshot.memory(memory), kind(**values), at


def _type(kind: Any, name: str) -> str:
    hint = kind.__annotations__[name]
    return str(getattr(hint, "__forward_arg__", hint))


def _value(kind: str, value: Any) -> Any:
    if kind == "tuple[Sign, ...]":
        return tuple(_sign(*one) for one in value)
    if type(value) not in _TYPES[kind]:
        raise TypeError(kind)
    return value


def _sign(*values: Any) -> model.Sign:
    found = model.Sign(*values)
    return model.Sign(*(_value(_type(model.Sign, name), value) for name, value in found._asdict().items()))


def _plausible(value: Any) -> None:
    """Raise ValueError for a number that no clock and no counter shows."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _plausible(part)
    if isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) < _LARGEST):
        raise ValueError(str(type(value)))
