"""What only looks like the bot is left alone: F05 and its kin, on real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import SLEEP, Sleepers, first_line, identity_of, settings_for, until
from watchdog import clock, identity, procfs
from watchdog.config import Config
from watchdog.identity import MARKER, Identity, Sighting
from watchdog.instance import Instance


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can enter."""
    with tempfile.TemporaryDirectory(prefix="open-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def sleeping_program(folder: Path, name: str) -> None:
    """A program of that name that prints a line and sleeps, whatever its arguments are."""
    path = folder / name
    path.write_text("#!/bin/sh\necho up\nread line\n")
    path.chmod(0o755)


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
    assert look(settings=settings_for(second)).bot == identity_of(process)


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
