"""Starting ourselves: nothing of a shell, cron or ssh is passed on, nor anything secret on a command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import REPOSITORY, settings_for, until
from watchdog import launch
from watchdog.config import Config

SHOW = "import os, sys; print(sorted(int(n) for n in os.listdir('/proc/self/fd')), os.getsid(0) == os.getpid())"


def in_a_process(code: str, *args: str, pass_fds: tuple[int, ...] = ()) -> list[str]:
    """Run a few lines with these descriptors inherited; the lines they print."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=REPOSITORY, pass_fds=pass_fds, capture_output=True, text=True,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.fault("F47")
def test_sealed_descriptors_are_kept_by_us_and_lost_by_what_we_start() -> None:
    read, write = os.pipe()
    code = """
import os, subprocess, sys
from watchdog import launch
fd = int(sys.argv[1])
before = os.get_inheritable(fd)
launch.seal()
os.fstat(fd)
print(before, os.get_inheritable(fd))
print(subprocess.run(["readlink", f"/proc/self/fd/{fd}"], close_fds=False, capture_output=True).returncode)
print(all(os.get_inheritable(n) for n in (0, 1, 2)))
"""
    assert in_a_process(code, str(read), pass_fds=(read,)) == ["True False", "1", "True"]
    os.close(read)
    os.close(write)


@pytest.mark.fault("F24")
def test_shedding_closes_all_but_the_standard_three_and_what_is_kept() -> None:
    one, other = os.pipe()
    code = """
import os, sys
from watchdog import launch
keep, lose = int(sys.argv[1]), int(sys.argv[2])
launch.shed({keep})
left = []
for number in range(100):
    try:
        os.fstat(number)
        left.append(number)
    except OSError:
        pass
print(left == [0, 1, 2, keep], lose in left)
"""
    assert in_a_process(code, str(one), str(other), pass_fds=(one, other)) == ["True False"]
    os.close(one)
    os.close(other)


@pytest.mark.fault("F47")
def test_a_detached_process_has_a_session_of_its_own_and_three_descriptors(tmp_path: Path) -> None:
    leak, write = os.pipe()
    os.set_inheritable(write, False)
    keep = os.open(tmp_path, os.O_RDONLY)
    out = tmp_path / "out"
    code = f"""
import json, os
found = {{}}
for name in os.listdir('/proc/self/fd'):
    try: found[name] = os.readlink('/proc/self/fd/' + name)
    except OSError: pass
doc = [found, os.getsid(0) == os.getpid(), dict(os.environ)]
open({str(out)!r} + '.part', 'w').write(json.dumps(doc)); os.rename({str(out)!r} + '.part', {str(out)!r})
"""
    pid = launch.detached([sys.executable, "-S", "-c", code], {"ONLY": "this"}, keep=keep)
    os.waitpid(pid, 0)
    descriptors, own_session, environment = json.loads(out.read_text())
    assert {name: descriptors[name] for name in "012"} == dict.fromkeys("012", "/dev/null")
    assert descriptors[str(keep)] == str(tmp_path)
    assert os.readlink(f"/proc/self/fd/{leak}") not in descriptors.values()
    assert own_session
    assert {key: value for key, value in environment.items() if key != "LC_CTYPE"} == {"ONLY": "this"}
    assert not os.get_inheritable(keep), "kept for that one process alone"
    for descriptor in (leak, write, keep):
        os.close(descriptor)


def test_a_detached_process_can_be_given_its_stdin(tmp_path: Path) -> None:
    read, write = os.pipe2(os.O_CLOEXEC)
    os.write(write, b"an alert")
    os.close(write)
    out = tmp_path / "out"
    pid = launch.detached(
        ["sh", "-c", f"cat > {out}.part && mv {out}.part {out}"], {"PATH": "/usr/bin:/bin"}, stdin=read
    )
    os.close(read)
    os.waitpid(pid, 0)
    assert until(out.read_text) == "an alert"


def test_a_program_that_is_missing_is_an_error_and_leaks_nothing(tmp_path: Path) -> None:
    keep = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="No such file"):
        launch.detached([str(tmp_path / "no such program")], {}, keep=keep)
    assert not os.get_inheritable(keep)
    os.close(keep)


def test_with_a_door_everything_goes_through_the_door(config: Config) -> None:
    behind = config._replace(door="/opt/dca-watchdog/bin/bot", smtp={"SMTP_PASSWORD": "hunter2-secret"})
    assert launch.command(behind, "guard", "--heir") == ["/opt/dca-watchdog/bin/bot", "guard", "--heir"]
    assert set(launch.environment(behind)) == {"HOME", "LOGNAME", "PATH", "SHELL"}


@pytest.mark.promise(7)
def test_no_secret_is_on_a_command_line(project: Path) -> None:
    secret = settings_for(project, smtp={"SMTP_PASSWORD": "hunter2-secret", "SMTP_SERVER": "mail"})
    assert not any("hunter2" in word for word in launch.command(secret, "send"))
    assert launch.environment(secret)["SMTP_PASSWORD"] == "hunter2-secret"


@pytest.mark.fault("F73")
def test_without_a_door_the_settings_travel_and_the_package_is_found_from_anywhere(config: Config) -> None:
    done = subprocess.run(
        [*launch.command(config, "--version")], env=launch.environment(config), cwd="/", capture_output=True, text=True,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith("watchdog "), done
    code = "import os; from watchdog import config; print(config.load(dict(os.environ), []))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env=launch.environment(config),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert shown.stdout.strip() == str(config), shown.stderr
