"""Which process is the bot: by user, interpreter and the script it really runs, never by a name alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.watchdog.parts import Sleepers, first_line, settings_for, until
from watchdog import clock, identity, procfs
from watchdog.config import Config
from watchdog.identity import MARKER, Identity, Sighting
from watchdog.instance import Instance

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def look(config: Config, instance: Instance) -> Callable[..., Sighting]:
    """Scan for the bot of this test's project."""

    def scan(known: Identity | None = None, settings: Config = config) -> Sighting:
        return identity.look(settings, instance, known)

    return scan


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter."""
    with tempfile.TemporaryDirectory(prefix="open-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def of(process: subprocess.Popen[str], own_session: bool = False) -> Identity:
    """The identity of a living process."""
    found = identity.identify(process.pid, own_session)
    assert found is not None
    return found


def sleeping_program(folder: Path, name: str) -> None:
    """A program of that name that prints a line and sleeps, whatever its arguments are."""
    path = folder / name
    path.write_text("#!/bin/sh\necho up\nread line\n")
    path.chmod(0o755)


# The bot is found ----------------------------------------------------------------------------------------------------


def test_nobody_runs(look: Callable[..., Sighting]) -> None:
    assert look() == Sighting(None, (), (), None)


@pytest.mark.fault("F02")
@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    ("words", "folder"),
    [
        (["{project}/src/main_app.py"], "/"),
        (["src/main_app.py", "--live"], "{project}"),
        (["main_app.py"], "{project}/src"),
        (["../src/./main_app.py"], "{project}/src"),
        (["-X", "dev", "-u", "-W", "ignore", "src/main_app.py"], "{project}"),
        (["-m", "src.main_app"], "{project}"),
        (["-um", "main_app"], "{project}/src"),
        (["-m", "main_app"], "{project}/src"),
        (["{link}/src/main_app.py"], "/"),
    ],
    ids=" ".join,
)
def test_the_bot_is_found_however_it_was_started(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting], words: list[str], folder: str
) -> None:
    link = project.with_name("current")
    link.symlink_to(project)
    names = {"project": str(project), "link": str(link)}
    process = sleepers.python(*(word.format(**names) for word in words), cwd=folder.format(**names))
    found = look()
    assert found.bot == of(process) and found.others == () and found.unknown is None


@pytest.mark.fault("F12")
def test_a_virtual_environments_link_to_python_is_a_python(
    sleepers: Sleepers, project: Path, tmp_path: Path, look: Callable[..., Sighting]
) -> None:
    link = tmp_path / "venv" / "bin" / "run-the-bot"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    process = sleepers.start(str(link), "src/main_app.py", cwd=project)
    first_line(process)
    assert look().bot == of(process)


@pytest.mark.fault("F12")
def test_a_bot_behind_nohup_or_a_shell_is_the_python_not_the_shell(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    shell = sleepers.start("sh", "-c", f"{sys.executable} src/main_app.py & echo $!; wait", cwd=project)
    child = sleepers.child_of(shell)
    first_line(shell)
    found = look()
    assert found.bot is not None and found.bot.pid == child and found.others == ()


@pytest.mark.fault("F12")
def test_a_bot_that_we_started_is_known_by_its_marker_when_it_rewrote_its_title(
    sleepers: Sleepers, instance: Instance, look: Callable[..., Sighting]
) -> None:
    environment = {**os.environ, MARKER: instance.key}
    titled = ["-c", SLEEP, "live"]
    process = sleepers.start(
        "dcaTrader: trading", *titled, executable=sys.executable, env=environment, start_new_session=True
    )
    first_line(process)
    assert look().bot == of(process, own_session=True)


@pytest.mark.fault("F76")
def test_a_bot_whose_folder_was_replaced_by_a_deploy_is_still_found(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    process = sleepers.python("src/main_app.py", cwd=project)
    spare = project.with_name("spare")
    shutil.copytree(project, spare)
    shutil.rmtree(project)
    spare.rename(project)
    assert os.readlink(f"/proc/{process.pid}/cwd").endswith(" (deleted)")
    assert look().bot == of(process)


def test_of_a_bot_and_its_forks_the_bot_is_the_head(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    (project / "src" / "main_app.py").write_text(
        "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)\n"
    )
    process = sleepers.start(sys.executable, "src/main_app.py", cwd=project)
    child = sleepers.child_of(process)
    found = look()
    assert found.bot == of(process) and found.others == ()
    assert procfs.ancestors(child)[0] == process.pid


@pytest.mark.fault("F26")
def test_two_bots_are_both_seen_the_older_first(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    first = sleepers.python("src/main_app.py", cwd=project)
    second = sleepers.python("src/main_app.py", cwd=project)
    found = look()
    assert found.bot == of(first) and found.others == (of(second),)
    assert look(of(second)).bot == of(second), "the recorded one stays the bot"


# The bot is not somebody else ----------------------------------------------------------------------------------------


@pytest.mark.fault("F05")
@pytest.mark.parametrize(
    "command",
    [
        ["tail", "-f", "src/main_app.py"],
        ["{fake}/vim", "src/main_app.py"],
        ["{fake}/less", "{project}/src/main_app.py"],
        ["grep", "x", "src/main_app.py", "-"],
        ["{python}", "-c", SLEEP, "src/main_app.py"],
        ["{python}", "-m", "pytest", "src/main_app.py"],
        ["{python}", "other/main_app.py"],
        ["{python}", "src/main_app.py.bak"],
        ["{python}", "src/not_main_app.py"],
        ["{python}", "runner.py", "src/main_app.py"],
        ["{python}", "-m", "main_app"],
        ["sh", "-c", "echo up; read line; : src/main_app.py"],
    ],
    ids=lambda command: " ".join(word for word in command if word != SLEEP),
)
def test_what_only_looks_like_the_bot_is_a_stranger(
    sleepers: Sleepers, project: Path, tmp_path: Path, look: Callable[..., Sighting], command: list[str]
) -> None:
    strangers = ["other/main_app.py", "src/main_app.py.bak", "src/not_main_app.py", "runner.py", "pytest.py"]
    for name in [*strangers, "main_app.py"]:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    for name in ("vim", "less"):
        sleeping_program(tmp_path, name)
    names = {"project": str(project), "python": sys.executable, "fake": str(tmp_path)}
    process = sleepers.start(*(word.format(**names) for word in command), cwd=project, stdin=subprocess.PIPE)
    if command[0] not in ("grep",):
        first_line(process)
    until(lambda: procfs.cmdline(process.pid)[:1] != [sys.executable] or len(procfs.cmdline(process.pid)) > 1)
    found = look()
    assert found == Sighting(None, (), (), None)
    assert process.poll() is None


@pytest.mark.fault("F07")
def test_another_bot_with_the_same_script_name_is_another_bot(
    sleepers: Sleepers, project: Path, tmp_path: Path, look: Callable[..., Sighting]
) -> None:
    second = tmp_path / "secondTrader"
    shutil.copytree(project, second)
    process = sleepers.python("src/main_app.py", cwd=second)
    assert look().bot is None
    assert look(settings=settings_for(second)).bot == of(process)


@pytest.mark.fault("F11")
def test_a_zombie_is_not_the_bot(sleepers: Sleepers, project: Path, look: Callable[..., Sighting]) -> None:
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, 'src/main_app.py'], stdout=subprocess.PIPE)\n"
        "p.stdout.readline(); p.kill(); print(p.pid, flush=True); time.sleep(600)"
    )
    parent = sleepers.start(sys.executable, "-c", code, cwd=project)
    zombie = sleepers.child_of(parent)
    found = until(lambda: (stat := procfs.stat(zombie)) and stat.state == "Z" and stat)
    assert look().bot is None
    recorded = Identity(zombie, found.start, clock.boot_id(), True)
    assert not recorded.alive()
    assert look(recorded).bot is None
    assert identity.identify(zombie) is None


def test_a_helper_that_the_bot_started_is_not_the_bot_though_it_carries_the_marker(
    sleepers: Sleepers, instance: Instance, look: Callable[..., Sighting]
) -> None:
    environment = {**os.environ, MARKER: instance.key}
    sleepers.python("-c", SLEEP, env=environment)
    sleepers.python("-c", SLEEP, env=environment, start_new_session=True)
    assert look().bot is None


def test_the_marker_of_another_instance_is_not_ours(
    sleepers: Sleepers, instance: Instance, look: Callable[..., Sighting]
) -> None:
    environment = {**os.environ, MARKER: instance.key + "0"}
    process = sleepers.start(
        "dcaTrader", "-c", SLEEP, executable=sys.executable, env=environment, start_new_session=True
    )
    first_line(process)
    assert look().bot is None


def test_we_are_never_the_bot(config: Config, instance: Instance) -> None:
    assert identity.among([os.getpid()], config, instance, None) is None
    Path(config.pid_file).write_text(str(os.getpid()))
    assert identity.among([os.getpid()], config, instance, None) is None


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
@pytest.mark.needs_root
def test_the_same_bot_under_another_user_is_unknown_and_hands_off(
    sleepers: Sleepers, project: Path, open_folder: Path, look: Callable[..., Sighting]
) -> None:
    shutil.copytree(project, open_folder / "dcaTrader")
    theirs = settings_for(open_folder / "dcaTrader")
    process = sleepers.start("/usr/bin/python3", theirs.script, user=65534)
    first_line(process)
    found = look(settings=theirs)
    assert found.bot is None
    assert found.unknown is not None and str(process.pid) in found.unknown and "65534" in found.unknown
    assert look().unknown is None, "a bot of theirs elsewhere is nothing to us"


# Holders, leftovers, identities --------------------------------------------------------------------------------------


@pytest.mark.fault("F22")
def test_among_the_holders_of_the_lock_the_recorded_bot_comes_first(
    sleepers: Sleepers, project: Path, config: Config, instance: Instance
) -> None:
    script = sleepers.python("src/main_app.py", cwd=project)
    other = sleepers.python("-c", SLEEP)
    pids = [other.pid, script.pid]
    assert identity.among(pids, config, instance, None) == of(script), "by its argv"
    assert identity.among(pids, config, instance, of(other)) == of(other), "as recorded"
    assert identity.among([other.pid], config, instance, None) is None
    Path(config.pid_file).write_text(f"{other.pid}\n")
    assert identity.among([other.pid], config, instance, None) == of(other), "as its own PID file says, with the lock"


@pytest.mark.fault("F25")
def test_only_a_session_that_we_made_for_the_dead_bot_leaves_leftovers(sleepers: Sleepers) -> None:
    code = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)"
    bot = sleepers.start(sys.executable, "-c", code, start_new_session=True)
    child = sleepers.child_of(bot)
    stranger = sleepers.python("-c", SLEEP)
    ours = of(bot, own_session=True)
    assert not identity.are_leftovers([child], ours), "its parent lives: it is no leftover"
    bot.kill()
    bot.wait(10)
    assert identity.are_leftovers([child], ours)
    assert not identity.are_leftovers([child], ours._replace(own_session=False))
    assert not identity.are_leftovers([child], ours._replace(boot="another boot"))
    assert not identity.are_leftovers([child, stranger.pid], ours), "all of them or none"
    assert not identity.are_leftovers([stranger.pid], ours)
    assert not identity.are_leftovers([child], None)


@pytest.mark.fault("F25")
def test_a_fork_that_outlived_its_bot_is_a_leftover_and_not_the_bot(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting], config: Config, instance: Instance
) -> None:
    (project / "src" / "main_app.py").write_text(
        "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)\n"
    )
    bot = sleepers.start(sys.executable, "src/main_app.py", cwd=project, start_new_session=True)
    child = sleepers.child_of(bot)
    ours = of(bot, own_session=True)
    bot.kill()
    bot.wait(10)
    found = look(ours)
    assert found.bot is None
    assert [one.pid for one in found.leftovers] == [child]
    assert identity.among([child], config, instance, ours) is None


@pytest.mark.fault("F08")
@pytest.mark.fault("F13")
def test_a_number_is_not_an_identity(sleepers: Sleepers) -> None:
    process = sleepers.python("-c", SLEEP)
    real = of(process)
    assert real.alive()
    assert not real._replace(start=real.start - 1).alive()
    assert not real._replace(boot="another boot").alive()
    process.kill()
    process.wait(10)
    assert not real.alive()


def test_a_stopped_process_is_alive(sleepers: Sleepers) -> None:
    process = sleepers.python("-c", SLEEP)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: (found := procfs.stat(process.pid)) and found.state == "T")
    assert of(process).alive()


# PID files -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F09")
@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"1234", 1234), (b"1234\n", 1234), (b"1234\r\n", 1234), (b"  1234  \n", 1234), (b"4194303", 4194303),
        (b"", None), (b"\n", None), (b"0", None), (b"1", None), (b"-1", None), (b"-1234", None), (b"+1234", None),
        (b"4194304", None), (b"322993229932299", None), (b"9" * 5000, None), (b"1234 5678", None),
        (b"1234\n5678", None), (b"12.5", None), (b"0x10", None), (b"1_000", None), (b"\xff\xfe1\x002\x00", None),
        (b"\0", None), (b"abc", None),
        ("١٢٣٤".encode(), None), (b"1234\0", None),
    ],
)  # fmt: skip
def test_a_pid_file_names_one_plausible_number_or_nobody(tmp_path: Path, content: bytes, number: int | None) -> None:
    path = tmp_path / "main_app.pid"
    path.write_bytes(content)
    assert identity.read_pid_file(str(path)) == number


@pytest.mark.fault("F09")
@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "dangling link", "device"])
def test_what_is_no_file_names_nobody_and_does_not_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "main_app.pid"
    make: dict[str, Callable[[], Any]] = {
        "missing": lambda: None,
        "directory": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "dangling link": lambda: path.symlink_to(tmp_path / "nowhere"),
        "device": lambda: path.symlink_to("/dev/zero"),
    }
    make[kind]()
    before = set(os.listdir("/proc/self/fd"))
    assert identity.read_pid_file(str(path)) is None
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.fault("F03")
@pytest.mark.fault("F04")
@pytest.mark.fault("F06")
@pytest.mark.parametrize("names", ["dead", "stranger", "thread", "init", "kernel thread"])
def test_a_pid_file_that_names_somebody_else_vetoes_nothing(
    sleepers: Sleepers, config: Config, look: Callable[..., Sighting], names: str
) -> None:
    stranger = sleepers.python("-c", SLEEP)
    dead = sleepers.start("true")
    dead.wait(10)
    leave = threading.Event()
    started = threading.Event()
    threads: list[int] = []

    def wait() -> None:
        threads.append(threading.get_native_id())
        started.set()
        leave.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(10)
    numbers = {"dead": dead.pid, "stranger": stranger.pid, "thread": threads[0], "init": 1, "kernel thread": 2}
    Path(config.pid_file).write_text(f"{numbers[names]}\n")
    found = look()
    leave.set()
    thread.join(10)
    assert found == Sighting(None, (), (), None)


@pytest.mark.fault("F10")
def test_a_pid_file_that_names_what_nobody_may_inspect_is_a_veto(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """hidepid=2 cannot be had here without a mount: this is how it answers."""
    hidden = 4194301
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    Path(config.pid_file).write_text(f"{hidden}\n")
    found = look()
    assert found.bot is None and found.unknown is not None
    assert str(hidden) in found.unknown and config.pid_file in found.unknown


@pytest.mark.fault("F13")
def test_a_pid_file_from_before_the_boot_is_no_veto(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    path = Path(config.pid_file)
    path.write_text("4194301\n")
    before_boot = clock.utc() - clock.now() - 3600
    os.utime(path, (before_boot, before_boot))
    assert look().unknown is None


@pytest.mark.fault("F08")
@pytest.mark.fault("F13")
def test_the_veto_falls_when_boot_or_start_differ(
    config: Config, look: Callable[..., Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: (_ for _ in ()).throw(PermissionError(1, "x")))
    Path(config.pid_file).write_text("4194301\n")
    assert look(Identity(4194301, 5, "another boot", True)).unknown is None
    assert look(Identity(4194301, 5, clock.boot_id(), True)).unknown is not None


# /proc ---------------------------------------------------------------------------------------------------------------


def test_a_process_with_brackets_and_spaces_in_its_name_is_read_right(sleepers: Sleepers, tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", odd)
    process = sleepers.start(str(odd), "600", start_new_session=True)
    found = until(lambda: procfs.stat(process.pid))
    assert found.parent == os.getpid() and found.session == process.pid
    assert found.state in "SRD"


def test_what_is_gone_is_nothing(sleepers: Sleepers) -> None:
    process = sleepers.start("true")
    process.wait(10)
    gone = process.pid
    assert procfs.stat(gone) is None and procfs.owner(gone) is None and procfs.cmdline(gone) == []
    assert procfs.executable(gone) is None and procfs.working_directory(gone) is None
    assert procfs.variable(gone, "PATH") is None
    assert not procfs.is_thread(gone) and not procfs.alive(gone, 1) and procfs.ancestors(gone) == []


def test_the_environment_that_a_process_was_started_with_is_read_exactly(sleepers: Sleepers) -> None:
    process = sleepers.python("-c", SLEEP, env={"XX": "no", "X": "a=b c", "EMPTY": ""})
    assert procfs.variable(process.pid, "X") == "a=b c"
    assert procfs.variable(process.pid, "EMPTY") == ""
    assert procfs.variable(process.pid, "Y") is None


def test_the_members_of_a_session_are_all_but_its_leader(sleepers: Sleepers) -> None:
    code = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)"
    leader = sleepers.start(sys.executable, "-c", code, start_new_session=True)
    child = sleepers.child_of(leader)
    found = procfs.stat(child)
    assert found is not None
    assert procfs.session_members(leader.pid) == [(child, found.start)]
