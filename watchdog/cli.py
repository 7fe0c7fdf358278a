"""The command line: one entry point for cron, for sudo, for `fab` and for people."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from . import __version__, config, deadline, host, instance, paths
from .contain import contain, escape_unprintable, print_json
from .errors import ConfigError, UsageError
from .journal import Journal, clean

MAINTENANCE = "2h"

REPLACE = 180
"""Seconds that `guard --replace` may take: the guard on watch tries the new release and ends what is under way."""


class Parser(argparse.ArgumentParser):
    """argparse with errors of our kind: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` lists what there is")


def parser(prog: str) -> Parser:
    """The grammar of the command line."""
    top = Parser(
        prog=prog, description="Keeps one trading bot alive: never two, never silently none.", allow_abbrev=False
    )
    top.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="env file; wins over the environment"
    )
    top.add_argument("--door", help=argparse.SUPPRESS)
    top.add_argument("--debug", action="store_true", help="debug lines on the console, tracebacks")
    top.add_argument("--version", action="version", version=f"{prog} {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)

    def verb(name: str, text: str | None, json_too: bool = True) -> argparse.ArgumentParser:
        shown: dict[str, Any] = {} if text is None else {"help": text, "description": text}
        found: argparse.ArgumentParser = verbs.add_parser(name, allow_abbrev=False, **shown)
        if json_too:
            found.add_argument("--json", action="store_true", help="one JSON document on stdout")
        return found

    verb("check", "one pass: start the bot if it should run and does not (the default)")
    guard = verb("guard", "stay on watch; from cron every minute", json_too=False)
    guard.add_argument("--foreground", action="store_true", help="do not detach")
    guard.add_argument("--replace", action="store_true", help="have the guard go on as this release; the bot stays")
    for hidden in ("--heir", "--self-test"):
        guard.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    guard.add_argument("--resume", help=argparse.SUPPRESS)
    verb("status", "what the bot is doing").add_argument("-v", "--verbose", action="store_true", help="every field")
    for name, text in (
        ("start", "start the bot"),
        ("stop", "stop it and keep it stopped"),
        ("restart", "stop, then start"),
    ):
        _who(verb(name, f"{text}; the last word of the operator, over reboots and deploys"))
    _who(verb("reset", "forget the bot's failures; a bot that should run and does not is started at once"))
    found = verb("explain", "why the watchdog decided as it did, from the events on record")
    found.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="how many decisions (20)")
    found.add_argument("--since", metavar="WHEN", help="10m, 2h, 1d or 2026-11-24T05:40")
    found.add_argument("-v", "--verbose", action="store_true", help="which version decided, and does this one agree")
    logs = verb("logs", "the bot's output, the watchdog's log or the events")
    logs.add_argument("-n", "--lines", type=int, default=50, metavar="N", help="how many lines (50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the file grows")
    logs.add_argument("--since", metavar="WHEN", help="10m, 2h, 1d or 2026-11-24T05:40")
    logs.add_argument("--grep", metavar="REGEX", help="only lines that match")
    logs.add_argument("--source", choices=("app", "watchdog", "events"), default="app")
    logs.add_argument("--until-eof", action="store_true", help=argparse.SUPPRESS)
    maintenance = verb("maintenance", "hands off for a while; without a word: show it")
    maintenance.add_argument("switch", nargs="?", choices=("on", "off"))
    maintenance.add_argument(
        "--for", dest="span", default=MAINTENANCE, metavar="TIME", help=f"30m, 2h, 1d ({MAINTENANCE})"
    )
    _who(maintenance)
    run = verb("run", "the bot in the foreground, for people", json_too=False)
    run.add_argument("--by", help=argparse.SUPPRESS)
    verb("alert-test", "send one mail now and say whether the server took it")
    retire = verb("retire", "end guard and heir, never the bot; for upgrade and removal")
    retire.add_argument("--purge", action="store_true", help="remove the state directory too")
    verb("send", None, json_too=False).add_argument("--stdin", action="store_true", help=argparse.SUPPRESS)
    return top


def _who(found: argparse.ArgumentParser) -> None:
    found.add_argument("--by", help="who asks (default: you)")
    found.add_argument("--reason", default="", help="why, for the record")


def main(words: list[str], prog: str = "watchdog") -> int:
    """Run one verb; its documented exit code."""
    return contain(lambda: _run(words, prog), prog, "--json" in words, "--debug" in words)


def _run(words: list[str], prog: str) -> int:
    escape_unprintable()
    arguments = parser(prog).parse_args(words if _has_verb(words) else [*words, "check"])
    settings = config.load(dict(os.environ), arguments.config, arguments.door)
    if arguments.verb != "guard" or arguments.self_test:
        _need_psutil()
    os.chdir("/")  # every path is absolute by now, and ours may be a directory that the bot's user cannot enter again
    if arguments.verb == "guard":
        return _guard(settings, arguments)
    here = instance.locate(settings.script)
    places = paths.of(settings, here)
    journal = Journal(places.log_file, places.events_file, settings.name, arguments.debug)
    context = Context(settings, here, places, journal, arguments)
    from . import verbs

    return verbs.VERBS[arguments.verb](context)


def _guard(settings: config.Config, arguments: argparse.Namespace) -> int:
    if arguments.self_test:
        from . import handover

        print_json(handover.self_test(settings))
        return 0
    from . import tick

    if arguments.foreground or arguments.resume:
        deadline.lift()
    if arguments.replace:
        deadline.extend(REPLACE)
    return tick.become_guard(
        settings, arguments.foreground, arguments.replace, arguments.debug, resume=arguments.resume
    )


class Context:
    """What a verb works with."""

    def __init__(
        self,
        settings: config.Config,
        here: instance.Instance,
        places: paths.Paths,
        journal: Journal,
        arguments: argparse.Namespace,
    ) -> None:
        self.config, self.instance, self.paths, self.journal, self.arguments = (
            settings,
            here,
            places,
            journal,
            arguments,
        )

    @property
    def by(self) -> str:
        """Who asks: as told, else the login behind sudo, else the user."""
        import pwd

        told = getattr(self.arguments, "by", None) or os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
        return clean(told)[:80]

    def answer(self, document: dict[str, Any], text: str) -> None:
        """One JSON document with --json, else the text for people."""
        if self.arguments.json:
            print_json({"name": self.config.name, "host": host.name(), **document})
        elif text:
            print(text)


def _has_verb(words: list[str]) -> bool:
    """False for options alone: then the verb is `check`, as cron ran it in the beginning."""
    rest = iter(words)
    for word in rest:
        if word in ("--config", "--door"):
            if next(rest, None) is None:
                return True
        elif not word.startswith("-") or word in ("-h", "--help", "--version"):
            return True
    return False


def _need_psutil() -> None:
    try:
        import psutil
    except ImportError as error:
        raise ConfigError(
            f"no psutil for {sys.executable} ({error}): use the release's own entry, or pip install 'psutil>=7.2.2'"
        ) from None
    if psutil.version_info < (7, 1):
        raise ConfigError(
            f"psutil {psutil.__version__} tells processes apart by a clock that can be set: 7.2.2 is needed"
        )
