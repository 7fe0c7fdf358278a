"""The bot's side: ``create_pid_file()`` on start, ``remove_pid_file()`` on a clean end.

This one file may be copied beside ``main_app.py`` as it is; it needs nothing but Python 3.9 on Linux::

    from pidfile import create_pid_file, remove_pid_file

    create_pid_file()          # first thing in main(); a second copy of the bot ends here with exit code 79
    try:
        run_the_bot()
    finally:
        remove_pid_file()

The PID file is for people. What keeps a second bot away is a lock that the kernel drops when the process dies: its
place depends on nothing but the user and the real path of the bot's script, so every way to start the bot meets there.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import sys
import time

try:
    from _blake2 import blake2b  # hashlib's own, without the 2 MB of OpenSSL that importing hashlib maps
except ImportError:
    from hashlib import blake2b

BASE = ".local/state/dca-watchdog"
"""Where the instance directories lie, below the home directory that the password database names."""

BOT_LOCK = "bot.lock"
CONTROL_SOCKET = "control.sock"
VOUCHER = "adopted"
LOCK_FD = "WATCHDOG_LOCK_FD"
PID_FILE = "WATCHDOG_PID_FILE"
INSTANCE = "WATCHDOG_INSTANCE"

EXIT_CONFIG = 78
EXIT_DUPLICATE = 79

_held: list[int] = []  # the lock lives as long as this descriptor, that is, as long as the process


def instance_dir(script: str) -> str:
    """Directory of the locks of the bot whose script lies at ``script``, for the current user.

    Raises KeyError when the user has no entry in the password database.
    """
    real = os.path.realpath(script)
    stem = os.path.splitext(os.path.basename(real))[0]
    digest = blake2b(os.fsencode(real), digest_size=8).hexdigest()
    return os.path.join(pwd.getpwuid(os.getuid()).pw_dir, BASE, f"{stem}-{digest}")


def write_pid_file(path: str, pid: int) -> None:
    """Replace the PID file at ``path`` in one step, so that nobody reads half of it. Raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, b"%d\n" % pid)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def write_voucher(folder: str, pid: int, start: int, boot: str) -> None:
    """The watchdog holds the lock in the instance directory ``folder`` for this very process. Raises OSError."""
    path = os.path.join(folder, VOUCHER)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, f"{pid} {start} {boot}\n".encode())
    finally:
        os.close(descriptor)


def create_pid_file(path: str | None = None) -> str:
    """Take the bot's lock (unless the watchdog passed it on) and write this process's PID file; returns its path.

    ``path`` defaults to what the watchdog names, else ``main_app.pid`` in the project's root. Ends the process with
    exit code 79 when another copy of this bot holds the lock, with 78 when no lock can be had at all. A PID file that
    cannot be written is reported on stderr and is no reason to stop trading.
    """
    script = _script()
    if not _inherited(script):
        _take_lock(script)
    target = _target(path, script)
    try:
        write_pid_file(target, os.getpid())
    except OSError as error:
        print(f"pidfile: cannot write {target}: {error.strerror}; the bot goes on without it", file=sys.stderr)
    return target


def remove_pid_file(path: str | None = None) -> bool:
    """Remove the PID file if it names this very process; tells whether it did. Never raises OSError."""
    target = _target(path, _script())
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            mine = int(os.read(descriptor, 32)) == os.getpid()
        finally:
            os.close(descriptor)
        if mine:
            os.unlink(target)
            return True
    except (OSError, ValueError):
        pass
    return False


def _script() -> str:
    main = getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0]
    return os.path.realpath(main)


def _target(path: str | None, script: str) -> str:
    if path:
        return os.path.abspath(path)
    named = os.environ.get(PID_FILE)
    if named:
        return named
    folder = os.path.dirname(script)
    root = os.path.dirname(folder) if os.path.basename(folder) == "src" else folder
    return os.path.join(root, "main_app.pid")


def _inherited(script: str) -> bool:
    """True when the watchdog handed us the lock, which then stays with this process and does not reach its children.

    The descriptor is the ``bot.lock`` of this very script; or of the instance that the watchdog names, if we lead the
    session that it made (the script may be behind a link that has moved meanwhile).
    """
    leader = os.getsid(0) == os.getpid()
    try:
        descriptor = int(os.environ.get(LOCK_FD, ""))
        folders = [instance_dir(script)]
        if leader and os.path.basename(os.environ.get(INSTANCE, "/")):
            folders.append(os.path.join(os.path.dirname(folders[0]), os.path.basename(os.environ[INSTANCE])))
        ours = os.fstat(descriptor)
        for folder in folders:
            try:
                theirs = os.stat(os.path.join(folder, BOT_LOCK))
            except OSError:
                continue
            if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
                os.set_inheritable(descriptor, False)
                return True
    except (ValueError, OSError, KeyError):
        pass
    return False


def _vouched_for(folder: str) -> int | None:
    """PID of the living process for which the watchdog said that it holds the lock, found before it came here."""
    try:
        with open(os.path.join(folder, VOUCHER), encoding="ascii") as file:
            pid, start, boot = file.read(128).split()
        with open(f"/proc/{int(pid)}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            this_boot = file.read().strip()
        same = int(start) == int(fields[19]) and boot == this_boot and fields[0] not in (b"Z", b"X")
    except (OSError, ValueError, IndexError):
        return None
    return int(pid) if same else None


def _take_lock(script: str) -> None:
    if _held:
        return
    descriptor = -1
    for attempt in range(20):  # the watchdog takes the lock for an instant when it proves that a bot is gone
        try:
            folder = instance_dir(script)
            os.makedirs(folder, mode=0o700, exist_ok=True)
            path = os.path.join(folder, BOT_LOCK)
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _vouched_for(folder) not in (None, os.getpid()):
                os.close(descriptor)
                break
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:  # else it was removed while we waited
                _held.append(descriptor)
                return
        except (BlockingIOError, FileNotFoundError):
            if _vouched_for(folder) == os.getpid():
                return
        except (OSError, KeyError) as error:
            print(f"pidfile: no lock for {script}: {error}; not starting, since two bots could run", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        if descriptor >= 0:
            os.close(descriptor)
            descriptor = -1
        if attempt < 19:
            time.sleep(0.05)
    print(f"pidfile: another copy of {script} is running; this one ends. `watchdog status` tells more", file=sys.stderr)
    sys.exit(EXIT_DUPLICATE)
