"""The bot of the process tests. It is copied to ``src/main_app.py`` and does what ``behaviour.json`` says.

``behaviour.json`` is a list: the first life follows the first entry, and so on; the last entry counts for all others.
Every life is a line in ``births.jsonl``. While it "trades" it holds a lock of its own, so that two lives that overlap
leave a line in ``overlaps``, however short the overlap was.
"""

import fcntl
import importlib
import json
import os
import signal
import sys
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main():
    """Live one life."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # who sees the line of our birth may signal us
    life = born()
    behaviour = read_behaviour(life)
    if behaviour.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif not behaviour.get("plain_term"):
        signal.signal(signal.SIGTERM, lambda *_: leave(behaviour))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    time.sleep(behaviour.get("imports_take", 0))
    if behaviour.get("pid_file"):
        from pidfile import create_pid_file

        create_pid_file(behaviour.get("pid_path"))
    market = None if behaviour.get("may_overlap") else trade()
    start_children(behaviour, market)
    wait_for_word(behaviour)
    perform(behaviour)
    if "die_of" in behaviour:
        os.kill(os.getpid(), behaviour["die_of"])
    if "exit_after" in behaviour:
        time.sleep(behaviour["exit_after"])
        sys.exit(behaviour.get("exit_code", 1))
    while True:
        time.sleep(3600)


def perform(behaviour):
    """Whatever else this life is to do before it settles down."""
    for line in behaviour.get("say", []):
        print(line, flush=True)
    if behaviour.get("flood"):
        for _ in range(behaviour["flood"] // 1000):
            os.write(1, b"x" * 991 + b"\x1b]0;evil\n")
        note("flooded", str(behaviour["flood"]))
    if "title" in behaviour:
        retitle(behaviour["title"])
    if behaviour.get("inspect"):
        inspect()
    if behaviour.get("ready"):
        say_ready()
    if "open" in behaviour:
        open(behaviour["open"]).close()
    if "program" in behaviour:
        importlib.import_module(behaviour["program"]).live(behaviour, told)


def told():
    """Whether the word has come that this life waits for to fall ill; ``fell`` is when it was heard, in UTC."""
    if not os.path.exists(os.path.join(PROJECT, "ill")):
        return False
    if not os.path.exists(os.path.join(PROJECT, "fell")):
        note("fell", repr(time.time()))
    return True


def born():
    """Write the line of this life; its number, from 0."""
    path = os.path.join(PROJECT, "births.jsonl")
    with open("/proc/self/stat") as file:
        started = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    line = {"pid": os.getpid(), "started": started, "at": now, "argv": sys.argv}
    note("births.jsonl", json.dumps(line))
    with open(path) as file:
        return len(file.readlines()) - 1


def read_behaviour(life):
    """What this life is told to do."""
    try:
        with open(os.path.join(PROJECT, "behaviour.json")) as file:
            lives = json.load(file)
    except FileNotFoundError:
        return {}
    return lives[min(life, len(lives) - 1)]


def trade():
    """Hold the market lock for as long as this process lives."""
    market = os.open(os.path.join(PROJECT, "market.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    for _ in range(20):  # the kernel closes a dead bot's files one by one
        try:
            fcntl.flock(market, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return market
        except BlockingIOError:
            time.sleep(0.01)
    note("overlaps", f"two bots trade: PID {os.getpid()} is the second")
    return market


def start_children(behaviour, market):
    """Children that outlive the bot: ``fork`` keeps every descriptor, ``respawn`` also comes anew with every SIGTERM,
    ``sleep`` is an ordinary program.
    """
    kind = behaviour.get("child")
    if kind == "fork":
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour.get("child_ignores_term") else signal.SIG_DFL)
            os.close(market)
            time.sleep(3600)
        note("children", str(pid))
    elif kind == "respawn":
        if os.fork() == 0:
            os.close(market)
            come_anew()
    elif kind == "sleep":
        pid = os.posix_spawn("/bin/sleep", ["sleep", "3600"], os.environ)
        note("children", str(pid))


def come_anew():
    """Answer every SIGTERM with a child of the same kind, and end."""

    def again(*_):
        if os.fork():
            os._exit(0)

    signal.signal(signal.SIGTERM, again)
    note("children", str(os.getpid()))
    while True:
        time.sleep(3600)


def wait_for_word(behaviour):
    """Go on when a file is there; ``eat`` all memory then."""
    while "after" in behaviour and not os.path.exists(os.path.join(PROJECT, behaviour["after"])):
        time.sleep(0.01)
    hoard = []
    while behaviour.get("eat"):
        hoard.append(b"x" * 1_000_000)


def retitle(title):
    """Overwrite the argument vector, as setproctitle does it (proc(5): arg_start and arg_end)."""
    import ctypes

    with open("/proc/self/stat") as file:
        begin, end = (int(word) for word in file.read().rpartition(")")[2].split()[45:47])
    text = title.encode().ljust(end - begin, b"\0")
    ctypes.memmove(begin, text, end - begin)


def inspect():
    """Write down what this process was given."""
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            descriptors[name] = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
    document = {
        "environment": dict(os.environ),
        "descriptors": descriptors,
        "cwd": os.getcwd(),
        "session": os.getsid(0) == os.getpid(),
        "umask": os.umask(0o022),
        "argv": sys.argv,
    }
    path = os.path.join(PROJECT, "given.json")
    with open(path + ".part", "w") as file:
        json.dump(document, file)
    os.rename(path + ".part", path)


def say_ready():
    """READY=1 to the notify socket, as sd_notify(3) does it."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(b"READY=1\n", os.environ["NOTIFY_SOCKET"])


def leave(behaviour):
    """A clean end."""
    if behaviour.get("pid_file"):
        from pidfile import remove_pid_file

        note("leaving", str(os.getpid()))
        remove_pid_file(behaviour.get("pid_path"))
    time.sleep(behaviour.get("term_takes", 0))
    sys.exit(behaviour.get("term_code", 0))


def note(name, line):
    """One line, in one write, so that two lives do not mix."""
    descriptor = os.open(os.path.join(PROJECT, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


if __name__ == "__main__":
    main()
