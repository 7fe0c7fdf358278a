"""Does a command line, of cron or of a service manager, start this bot or an older watchdog for it?

The answer errs on the safe side: what cannot be resolved (an unknown variable before `watchdog.py`) counts as a yes,
because a second starter beside ours would bring a stopped bot back. What certainly belongs to another bot is a no.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import NamedTuple

from .envsettings import same_bot
from .system import expand, read_text

OLD_WATCHDOG = "runs an older watchdog for this bot"
STARTS_BOT = "starts this bot"
OTHER_DEPLOYMENT = "belongs to another deployment of this bot"

_WATCHDOG_FILE = re.compile(r"^[\w.-]*watchdog[\w.-]*\.(py|sh|bash)$", re.IGNORECASE)
_WATCHDOG_MODULE = re.compile(r"^([\w]+\.)*[\w]*watchdog[\w]*(\.[\w]+)*$", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_OPERATORS = frozenset({"&&", "||", ";", "&", "|", "(", ")", ";;"})
_LOOP = re.compile(r"^\s*(while|until)\b", re.MULTILINE)
_READERS = re.compile(
    r"(tail|head|cat|less|[ef]?grep|pgrep|pkill|killall|kill|cp|mv|rm|ln|ls|stat|test|\[|echo|printf|chmod|chown|find|tar"
    r"|rsync|scp|git|touch|mkdir|du|wc|diff|logger|mail|sha256sum|md5sum|vim?|nano|sed|awk|sleep)"
)
"""Programs that may name the script without starting it."""

_WRAPPER_BYTES = 65536


class Bot(NamedTuple):
    """What identifies the bot on this host: real paths, and the one door through which it is to be handled."""

    app_dir: str
    script: str
    door: str


def finding(command: str, bot: Bot, cwd: str, home: str, variables: dict[str, str]) -> str | None:
    """Why this command must not run beside ours, or None. It starts in `cwd`; `variables` is what is known of `$X`."""
    known = {"HOME": home, **variables}
    for segment in _segments(command):
        words = [expand(_substitute(word, known), home) for word in segment]
        while len(words) > 1 and re.match(r"^\w+=", words[0]):
            key, _, value = words.pop(0).partition("=")
            known[key] = value
        if words[0] == "cd" and len(words) > 1:
            cwd = os.path.join(cwd, words[1])
        elif not _READERS.fullmatch(os.path.basename(words[0])):
            reason = next((found for found in (_word(words, i, bot, cwd) for i in range(len(words))) if found), None)
            if reason:
                return reason
    return None


def loops(path: str) -> bool:
    """Whether the shell script at `path` goes round in a loop, as one does that starts its program again and again."""
    return bool(_LOOP.search((read_text(path) or "")[:_WRAPPER_BYTES]))


def _segments(command: str) -> list[list[str]]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        words = command.split()
    segments: list[list[str]] = [[]]
    for word in words:
        if word in _OPERATORS:
            segments.append([])
        else:
            segments[-1].append(word)
    return [segment for segment in segments if segment]


def _substitute(word: str, known: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), word)


def _word(words: list[str], index: int, bot: Bot, cwd: str) -> str | None:
    word = words[index]
    if index and words[index - 1] == "-m" and _WATCHDOG_MODULE.match(word):
        return OLD_WATCHDOG if _inside(os.path.realpath(cwd), bot.app_dir) else None
    path = os.path.realpath(os.path.join(cwd, word))
    if path == bot.script:
        return STARTS_BOT
    if _WATCHDOG_FILE.match(os.path.basename(word)):
        mentioned = any(bot.app_dir in other for other in words)
        return OLD_WATCHDOG if mentioned or _inside(path, bot.app_dir) or "$" in word or "`" in word else None
    if _is_other_door(path, bot):
        return OTHER_DEPLOYMENT
    return _wrapper(path, bot)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_other_door(path: str, bot: Bot) -> bool:
    settings = os.path.join(os.path.dirname(os.path.dirname(path)), os.path.basename(path), "etc", "watchdog.env")
    return path != os.path.realpath(bot.door) and os.path.isfile(settings) and same_bot(settings, bot.script)


def _wrapper(path: str, bot: Bot) -> str | None:
    """A shell script of the project, or one that names it, which starts the bot or an older watchdog in its turn."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _WRAPPER_BYTES:
            return None
    except OSError:
        return None
    text = read_text(path) or ""
    first = text.split("\n", 1)[0]
    if not path.endswith((".sh", ".bash")) and not re.match(r"^#!.*\b(ba|da|z|k)?sh\b", first):
        return None
    if not _inside(path, bot.app_dir) and bot.app_dir not in text:
        return None
    code = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    names = {word.rsplit("/", 1)[-1].strip("\"'") for line in code for word in line.split()}
    if any(_WATCHDOG_FILE.match(name) for name in names):
        return f"{OLD_WATCHDOG} through {path}"
    return f"{STARTS_BOT} through {path}" if os.path.basename(bot.script) in names else None
