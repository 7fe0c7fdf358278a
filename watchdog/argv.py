"""What a Python command line runs, parsed as CPython itself parses it (``python3 --help-all``, Python/initconfig.c)."""

from __future__ import annotations

from typing import NamedTuple

_FLAGS = "bBdEiIOPqRsStuvx"
_TAKES_VALUE = "WX"
_LONG_WITH_VALUE = "-check-hash-based-pycs"


class Program(NamedTuple):
    """``kind`` is ``script`` (a path as written), ``module`` (dotted), or ``other`` (-c, stdin, --help, an error)."""

    kind: str
    name: str


_OTHER = Program("other", "")


def program(argv: list[str]) -> Program:
    """The program named by an interpreter's argument vector, ``argv[0]`` being the interpreter itself."""
    rest = list(reversed(argv[1:]))
    more = True
    while more and rest and rest[-1].startswith("-") and rest[-1] != "-":
        found = _cluster(rest.pop()[1:], rest)
        if isinstance(found, Program):
            return found
        more = found
    name = rest[-1] if rest else ""
    return _OTHER if name in ("", "-") else Program("script", name)


def is_agent(argv: list[str]) -> bool:
    """True for a process of this very agent: ``python -m watchdog`` or a release's ``bin/watchdog``."""
    found = program(argv)
    return found.name == "watchdog" if found.kind == "module" else found.name.rpartition("/")[2] == "watchdog"


def _cluster(letters: str, rest: list[str]) -> Program | bool:
    """Read one word of options such as ``uB``, ``Wignore`` or ``um``, and its value from ``rest``, last word first.

    True when more options may follow, False after ``--`` and after a stray ``-`` as in ``-u-``, of which CPython
    complains and goes on.
    """
    for index, letter in enumerate(letters):
        tail = letters[index + 1 :]
        if letter == "-" and not tail:
            return False
        if letter == "m":
            name = tail or (rest.pop() if rest else "")
            return Program("module", name) if name else _OTHER
        if letter in _TAKES_VALUE or letters[index:] == _LONG_WITH_VALUE:
            if (not tail or letter == "-") and rest:
                rest.pop()
            return True
        if letter not in _FLAGS:
            return _OTHER
    return True
