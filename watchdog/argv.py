"""What a Python command line runs, parsed as CPython itself parses it (``python3 --help-all``, Python/initconfig.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAKES_VALUE = "WX"
_FLAGS = "bBdEhiIJOPqRsStuvVx?"
_LONG_WITH_VALUE = ("--check-hash-based-pycs",)


class Program(NamedTuple):
    """``kind`` is ``script`` (a path as written), ``module`` (dotted), or ``other`` (-c, stdin, --help)."""

    kind: str
    name: str


_OTHER = Program("other", "")


def program(argv: list[str]) -> Program:
    """The program named by an interpreter's argument vector, ``argv[0]`` being the interpreter itself."""
    rest = iter(argv[1:])
    for word in rest:
        if word == "--":
            follower = next(rest, None)
            return Program("script", follower) if follower else _OTHER
        if word.startswith("--"):
            if word in _LONG_WITH_VALUE:
                next(rest, None)
            elif word.partition("=")[0] not in _LONG_WITH_VALUE:
                return _OTHER
            continue
        if word == "-" or not word.startswith("-"):
            return _OTHER if word == "-" or not word else Program("script", word)
        found = _cluster(word[1:], rest)
        if found is not None:
            return found
    return _OTHER


def is_agent(argv: list[str]) -> bool:
    """True for a process of this very agent: ``python -m watchdog`` or a release's ``bin/watchdog``."""
    found = program(argv)
    return found.name == "watchdog" if found.kind == "module" else found.name.rpartition("/")[2] == "watchdog"


def _cluster(letters: str, rest: Iterator[str]) -> Program | None:
    """Read one word of short options such as ``-uB``, ``-Wignore`` or ``-um``; None when more words are to come."""
    for index, letter in enumerate(letters):
        tail = letters[index + 1 :]
        if letter == "c":
            return _OTHER
        if letter == "m":
            name = tail or next(rest, None)
            return Program("module", name) if name else _OTHER
        if letter in _TAKES_VALUE:
            if not tail:
                next(rest, None)
            return None
        if letter not in _FLAGS:
            return _OTHER
    return None
