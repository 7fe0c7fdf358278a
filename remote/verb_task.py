"""The `@verb` decorator: a Fabric task with one-line errors and an exit code, which runs behind `fab` only."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fabric.tasks import Task, task
from invoke import Argument, Exit

from .errors import RemoteError
from .report import INTERRUPTED

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as for any filter whose reader has gone


class VerbTask(Task):
    """A task with chosen short flags and, for one parameter, a word that may be left out.

    Invoke has required positional words only. Here the word counts as positional exactly when the command line has one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shorts: Mapping[str, str] = kwargs.pop("shorts", {})
        self._word: str | None = kwargs.pop("word", None)
        super().__init__(*args, **kwargs)

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Arguments with the declared short flags in place of automatic ones."""
        if self._word:
            self.positional = [self._word] if has_word(sys.argv, self.name) else []
        arguments = super().get_arguments(ignore_unknown_help=ignore_unknown_help)
        for argument in arguments:
            name = argument.names[0]  # `argument.name` is the parameter's: for_, not for
            argument.names = (name, self._shorts[name]) if name in self._shorts else (name,)
        return list(arguments)


def has_word(argv: Iterable[str], name: str) -> bool:
    """Whether a word follows ``name`` on the command line: at once, or "on" or "off" after its flags."""
    words = list(argv)
    if name not in words[1:]:
        return False
    rest = words[words.index(name, 1) + 1 :]
    if rest and not rest[0].startswith("-"):
        return True
    before = ["", *rest]
    return any(
        word in ("on", "off") and not (previous.startswith("-") and "=" not in previous and previous not in _SWITCHES)
        for previous, word in zip(before, rest, strict=False)
    )


_SWITCHES = frozenset({"--json", "--yes", "-j", "-y", "-jy", "-yj"})


def verb(**options: Any) -> Callable[[Callable[..., int]], Any]:
    """Make a Fabric task of a function ``(control, **flags) -> exit code``; ``shorts`` and ``word`` as in VerbTask."""

    def decorate(body: Callable[..., int]) -> Any:
        @functools.wraps(body)
        def run(c: Any, *args: Any, **flags: Any) -> None:
            code = _guarded(c, body, args, flags)
            if code:
                raise Exit(code=code)

        return task(klass=VerbTask, auto_shortflags=False, **options)(run)

    return decorate


def _guarded(c: Any, body: Callable[..., int], args: tuple[Any, ...], flags: dict[str, Any]) -> int:
    """Run the verb; turn what it raises into a line and an exit code."""
    selection = getattr(c, "selection", None)
    if selection is None:
        raise Exit(f"`{body.__name__}` acts on remote hosts: run it as `fab {body.__name__}`", code=2)
    from .verbs import Control

    quiet_paramiko()
    try:
        code = body(Control(selection), *args, **flags)
        sys.stdout.flush()
    except RemoteError as problem:
        raise Exit(f"fab: {problem}", code=problem.exit_code) from None
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the prompt does not stand behind "^C"
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more at exit
        code = _BROKEN_PIPE
    return code


def quiet_paramiko() -> None:
    """Paramiko logs a traceback for every refused connection; our rows say it better. With --debug it may speak."""
    if not logging.getLogger().handlers:
        logger = logging.getLogger("paramiko")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
