"""Which process is the bot: by user, interpreter and the script it really runs, never by a name alone."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import SLEEP, Sleepers, first_line, identity_of, until
from watchdog import identity, procfs
from watchdog.config import Config
from watchdog.identity import MARKER, Sighting
from watchdog.instance import Instance

# The bot is found -----------------------------------------------------------------------------------------------------


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
        (["-m", "main_app.py"], "{project}/src"),
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
    assert found.bot == identity_of(process) and found.others == () and found.unknown is None


@pytest.mark.fault("F12")
def test_a_virtual_environments_link_to_python_is_a_python(
    sleepers: Sleepers, project: Path, tmp_path: Path, look: Callable[..., Sighting]
) -> None:
    link = tmp_path / "venv" / "bin" / "run-the-bot"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    process = sleepers.start(str(link), "src/main_app.py", cwd=project)
    first_line(process)
    assert look().bot == identity_of(process)


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
    assert look().bot == identity_of(process, own_session=True)


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
    assert look().bot == identity_of(process)


def test_of_a_bot_and_its_forks_the_bot_is_the_head(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    (project / "src" / "main_app.py").write_text(
        "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)\n"
    )
    process = sleepers.start(sys.executable, "src/main_app.py", cwd=project)
    child = sleepers.child_of(process)
    found = look()
    assert found.bot == identity_of(process) and found.others == ()
    assert procfs.ancestors(child)[0] == process.pid


@pytest.mark.fault("F26")
def test_two_bots_are_both_seen_the_older_first(
    sleepers: Sleepers, project: Path, look: Callable[..., Sighting]
) -> None:
    first = sleepers.python("src/main_app.py", cwd=project)
    second = sleepers.python("src/main_app.py", cwd=project)
    found = look()
    assert found.bot == identity_of(first) and found.others == (identity_of(second),)
    assert look(identity_of(second)).bot == identity_of(second), "the recorded one stays the bot"


# Holders, leftovers, identities ---------------------------------------------------------------------------------------


@pytest.mark.fault("F22")
def test_among_the_holders_of_the_lock_the_recorded_bot_comes_first(
    sleepers: Sleepers, project: Path, config: Config, instance: Instance
) -> None:
    script = sleepers.python("src/main_app.py", cwd=project)
    other = sleepers.python("-c", SLEEP)
    pids = [other.pid, script.pid]
    assert identity.among(pids, config, instance, None) == identity_of(script), "by its argv"
    assert identity.among(pids, config, instance, identity_of(other)) == identity_of(other), "as recorded"
    assert identity.among([other.pid], config, instance, None) is None
    Path(config.pid_file).write_text(f"{other.pid}\n")
    assert identity.among([other.pid], config, instance, None) == identity_of(other), (
        "as its own PID file says, with the lock"
    )


@pytest.mark.fault("F25")
def test_only_a_session_that_we_made_for_the_dead_bot_leaves_leftovers(sleepers: Sleepers) -> None:
    code = "import os, time\nif os.fork() == 0:\n    print(os.getpid(), flush=True)\ntime.sleep(600)"
    bot = sleepers.start(sys.executable, "-c", code, start_new_session=True)
    child = sleepers.child_of(bot)
    stranger = sleepers.python("-c", SLEEP)
    ours = identity_of(bot, own_session=True)
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
    ours = identity_of(bot, own_session=True)
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
    real = identity_of(process)
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
    assert identity_of(process).alive()
