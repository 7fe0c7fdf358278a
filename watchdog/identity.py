"""Is this process the bot? Never by a name alone: same user, a Python, and its argv names the very script.

What cannot be inspected is *unknown*, which is neither "the bot" nor "not the bot": nobody starts a second one over it
and nobody kills it. Functions that look at processes raise OSError where the machine is short of something, such as
descriptors: that proves nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from . import argv, clock, pidfile, procfs

if TYPE_CHECKING:
    from .config import Config
    from .instance import Instance

MARKER = pidfile.INSTANCE
"""Variable in the environment of every bot that we start; its value is the instance's key."""


class Identity(NamedTuple):
    """One process, for ever: a PID alone is reused, PID and start are not within one boot.

    ``start`` is in clock ticks since boot; ``own_session`` says that we made its session (its sid is its PID).
    """

    pid: int
    start: int
    boot: str
    own_session: bool

    def alive(self) -> bool:
        """True while that very process runs; false for a zombie and after a reboot."""
        return self.boot == clock.boot_id() and procfs.alive(self.pid, self.start)


class Sighting(NamedTuple):
    """What a scan found. ``unknown`` is a sentence about what could not be identified, or None."""

    bot: Identity | None
    others: tuple[Identity, ...]
    leftovers: tuple[Identity, ...]
    unknown: str | None


def identify(pid: int, own_session: bool = False) -> Identity | None:
    """The identity of a living process, None when it is gone."""
    found = procfs.stat(pid)
    if found is None or found.state in "ZX":
        return None
    return Identity(pid, found.start, clock.boot_id(), own_session)


def unburied(pid: int, start: int | None = None) -> str | None:
    """Who leaves a dead process a zombie, where somebody does: that is a fault of its own, worth naming."""
    found = procfs.stat(pid)
    if found is None or found.state != "Z" or start not in (None, found.start):
        return None
    parent = " ".join(procfs.cmdline(found.parent))[:60] or "?"
    return f"PID {pid} stays a zombie, since its parent PID {found.parent} ({parent}) does not bury it"


def look(config: Config, instance: Instance, known: Identity | None) -> Sighting:
    """Scan the process table for the bot. ``known`` is the bot that was recorded last."""
    matched: list[Identity] = []
    unknown: str | None = None
    mine, stem = os.getpid(), _stem(config)
    for pid in procfs.pids():
        command = procfs.command(pid)
        if not (stem in command or _other_title(command) or (known and pid == known.pid)) or pid == mine:
            continue
        verdict = _verdict(pid, command, config, instance, known, holder=False)
        if verdict == "bot":
            found = identify(pid, _ours(pid, instance))
            if found:
                matched.append(found)
        elif verdict is not None:
            unknown = verdict
    heads = _heads(matched, known)
    leftovers = [one for one in heads if _left_by(one, known)]
    orphans = orphaned([one.pid for one in heads], known)
    rest = (one for one in heads if one not in leftovers and one.pid not in orphans)
    heads = sorted(rest, key=lambda one: one.start)
    if not heads and not unknown:
        unknown = orphan_text(orphans, known) or _veto(config, known)
    bot = next((one for one in heads if known and one[:3] == known[:3]), heads[0] if heads else None)
    return Sighting(bot, tuple(one for one in heads if one is not bot), tuple(leftovers), unknown)


def among(pids: list[int], config: Config, instance: Instance, known: Identity | None) -> Identity | None:
    """The bot among the holders of its lock: as recorded, by argv or marker, or as the PID file says."""
    if known and known.pid in pids and known.alive():
        return known
    others = [(pid, procfs.command(pid)) for pid in pids if pid != os.getpid()]
    matched = [pid for pid, command in others if _verdict(pid, command, config, instance, known, holder=True) == "bot"]
    named = read_pid_file(config.pid_file)
    if not matched and named in pids and named != os.getpid():
        matched = [named]
    found = [one for one in (identify(pid, _ours(pid, instance)) for pid in matched) if one]
    orphans = orphaned(matched, known)
    return next((one for one in _heads(found, known) if not _left_by(one, known) and one.pid not in orphans), None)


def are_leftovers(pids: list[int], known: Identity | None) -> bool:
    """True when every one of these processes belongs to the session that we made for the recorded, now dead bot."""
    if known is None or not known.own_session or known.boot != clock.boot_id() or known.alive():
        return False
    leader = procfs.stat(known.pid)
    if leader and leader.start != known.start:  # the number was given out again, and with it perhaps a session
        return False
    sessions = {found.session for found in map(procfs.stat, pids) if found}
    return sessions == {known.pid}


def orphaned(pids: list[int], known: Identity | None) -> list[int]:
    """Those of these processes that the recorded, now dead bot has left behind, where somebody else had started it.

    They are told by the process group that it led: its number is given to nobody while a member lives (setpgid(2)).
    """
    if known is None or known.own_session or known.boot != clock.boot_id() or known.alive():
        return []
    found = ((pid, procfs.stat(pid)) for pid in pids if pid != known.pid)
    return [pid for pid, one in found if one and one.group == known.pid and one.start >= known.start]


def orphan_text(orphans: list[int], known: Identity | None) -> str | None:
    """What is to be said about them: we did not make their session, so it is not for us to end them."""
    if not orphans or known is None:
        return None
    numbers = " ".join(map(str, orphans))
    return (
        f"the bot that somebody started (PID {known.pid}) is dead, and children of it live on: PIDs {numbers};"
        f" end them (kill {numbers}), and it is started again"
    )


def read_pid_file(path: str) -> int | None:
    """The PID that a PID file names; None for anything but a regular file with one plausible number in it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not os.path.isfile(f"/proc/self/fd/{descriptor}"):
            return None
        text = os.read(descriptor, 64)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    text = text.strip()
    return int(text) if text.isdigit() and 1 < int(text) < 1 << 22 else None


def _heads(matched: list[Identity], known: Identity | None) -> list[Identity]:
    """The main processes among those that match: children share a bot's argv, but have it as ancestor or session."""
    numbers = {one.pid for one in matched}
    if known and known.own_session and known.alive():
        numbers.add(known.pid)
    heads = []
    for one in matched:
        found = procfs.stat(one.pid)
        above = {*procfs.ancestors(one.pid), found.session if found else one.pid} - {one.pid}
        if not numbers & above:
            heads.append(one)
    return heads


def _stem(config: Config) -> bytes:
    """What the argument vector of every bot contains, be the script named as a file or as a module."""
    return os.fsencode(os.path.splitext(os.path.basename(config.script))[0])


def _verdict(
    pid: int, command: bytes, config: Config, instance: Instance, known: Identity | None, holder: bool
) -> str | None:
    """``bot``, None for a stranger, or a sentence about why it cannot be told.

    The marker in the environment counts for holders of the lock, and for a process that has rewritten its title; a
    helper that the bot once started carries it too.
    """
    suspicious = _stem(config) in command
    owner = procfs.owner(pid)
    if owner is None:
        return None
    words = procfs.words(command)
    if owner != os.geteuid():
        return _stranger(pid, owner, words, config) if suspicious else None
    marked = (holder or (_retitled(words) and _python(procfs.executable(pid)))) and _ours(pid, instance)
    if not suspicious and not (known and pid == known.pid) and not marked:
        return None
    judged = _judge(pid, words, config, known, marked)
    if judged is None:
        return _stranger(pid, owner, words, config) if suspicious else None
    return "bot" if judged else None


def _judge(pid: int, words: list[str], config: Config, known: Identity | None, marked: bool) -> bool | None:
    """The verdict on a process of our own user; None when it may not be looked at (credentials(7))."""
    found = procfs.stat(pid)
    if found is None or found.state in "ZX":
        return False
    if known and pid == known.pid and known.alive():
        return True
    try:
        executable, directory = procfs.link(pid, "exe"), procfs.link(pid, "cwd")
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        return False
    return _python(executable) and (_names_script(words, directory, config.script) or marked)


def _other_title(command: bytes) -> bool:
    """True when the first word is no Python's: a program of another kind, or one that has rewritten its title."""
    name = command.partition(b"\0")[0].partition(b" ")[0].rpartition(b"/")[2]
    return bool(name) and not name.startswith((b"python", b"pypy"))


def _retitled(words: list[str]) -> bool:
    """True when the argument vector is no interpreter's any more (setproctitle)."""
    return bool(words) and not _python(words[0].split(" ")[0]) and argv.program(words).kind != "module"


def _names_script(words: list[str], directory: str | None, script: str) -> bool:
    found = argv.program(words)
    if found.kind == "other" or (directory is None and not os.path.isabs(found.name)):
        return False
    directory = (directory or "/").removesuffix(" (deleted)")
    if found.kind == "script":
        return _same_file(os.path.join(directory, found.name), script)
    names = (found.name, found.name.removesuffix(".py"))  # `-m main_app.py` imports main_app, and fails after that
    places = [os.path.join(directory, folder, name.replace(".", "/")) for name in names for folder in ("", "src")]
    candidates = [place + ending for place in places for ending in ("/__main__.py", ".py")]
    first = next((path for path in candidates if os.path.exists(path)), None)
    return first is not None and _same_file(first, script)


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _ours(pid: int, instance: Instance) -> bool:
    """True for the head of a session that we made: children inherit the marker, but not the session's number."""
    found = procfs.stat(pid)
    return found is not None and found.session == pid and procfs.variable(pid, MARKER) == instance.key


def _left_by(one: Identity, known: Identity | None) -> bool:
    return known is not None and one.pid != known.pid and are_leftovers([one.pid], known)


def _python(executable: str | None) -> bool:
    name = os.path.basename(executable or "")
    return name.startswith(("python", "pypy"))


def _stranger(pid: int, owner: int, words: list[str], config: Config) -> str | None:
    """A process that we may not inspect and whose argv names our script: neither start over it nor touch it."""
    directory = procfs.working_directory(pid)
    executable = procfs.executable(pid)
    if (executable is not None and not _python(executable)) or (executable is None and not _python(words[0])):
        return None
    sentence = f"PID {pid} of uid {owner} seems to run {config.script}, but may not be looked at"
    if directory is not None and owner != os.geteuid():
        sentence = f"PID {pid} of uid {owner} runs {config.script}: not ours to start over or to stop"
    if directory is not None:
        return sentence if _names_script(words, directory, config.script) else None
    found = argv.program(words)
    if found.kind != "script":
        return None
    if os.path.isabs(found.name):
        return sentence if _same_file(found.name, config.script) else None
    # Its directory is hidden from us. root (sudo) and our own user may work in ours; any other user has a bot of that
    # name of their own.
    tail = os.path.normpath(found.name).lstrip("./")
    near = owner in (0, os.geteuid())
    return sentence if near and os.path.realpath(config.script).endswith("/" + tail) else None


def _veto(config: Config, known: Identity | None) -> str | None:
    """A PID file of this boot that names a living process which cannot be told from the bot.

    Either nobody lets us look at it, or it is a Python of ours that has rewritten its title.
    """
    pid = read_pid_file(config.pid_file)
    if pid is None or procfs.is_thread(pid) or _older_than_boot(config.pid_file):
        return None
    if known and known.pid == pid and (known.boot != clock.boot_id() or _other_start(pid, known.start)):
        return None
    words = procfs.cmdline(pid)
    if procfs.owner(pid) == os.geteuid() and _python(procfs.executable(pid)) and _retitled(words):
        found = procfs.stat(pid)
        if found and found.state not in "ZX" and _written_after(config.pid_file, found.start):
            title = words[0][:40]
            return f"{config.pid_file} names PID {pid} ({title}), which may be the bot: remove the file if it is not"
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        if not procfs.cmdline(pid) and procfs.stat(pid) is None:
            return (
                f"{config.pid_file} names PID {pid}, which nobody lets us inspect: remove the file if it is not the bot"
            )
    return None


def _other_start(pid: int, start: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and found.start != start


def _written_after(path: str, start: int) -> bool:
    try:
        return clock.since_boot(os.stat(path).st_mtime) > start / clock.TICKS_PER_SECOND - 2
    except OSError:
        return False


def _older_than_boot(path: str) -> bool:
    try:
        return clock.since_boot(os.stat(path).st_mtime) < -2
    except OSError:
        return False
