"""Starting the bot: what it gets, what it never gets, and where its words go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import settings_for
from watchdog import spawn
from watchdog.config import Config
from watchdog.instance import Instance


@pytest.mark.promise(7)
@pytest.mark.fault("F47")
def test_the_bot_gets_crons_environment_and_its_own_file_and_nothing_of_ours(
    project: Path, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SMTP_PASSWORD", "WATCHDOG_STOP_GRACE", "ALERT_EMAIL_TO", "SSH_AUTH_SOCK", "PYTHONPATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "of the shell")
    (project / ".env").write_text("API_KEY='k'\nPATH=/opt/bin\nSMTP_PASSWORD=s\nALERT_EMAIL_TO=a\nWATCHDOG_LOCK_FD=3\n")
    config = settings_for(project, app_env_file=str(project / ".env"), smtp={"SMTP_PASSWORD": "s"})
    found = spawn.environment(config, instance, 7, notify=True)
    assert set(found) == {
        "HOME", "LOGNAME", "PATH", "SHELL", "PYTHONUNBUFFERED", "PYTHONFAULTHANDLER", "API_KEY", "WATCHDOG_INSTANCE",
        "WATCHDOG_USEC", "WATCHDOG_PID_FILE", "WATCHDOG_LOCK_FD", "NOTIFY_SOCKET",
    }  # fmt: skip
    assert (found["API_KEY"], found["PATH"], found["WATCHDOG_LOCK_FD"]) == ("k", "/opt/bin", "7")
    assert found["NOTIFY_SOCKET"] == instance.notify_socket
    assert found["WATCHDOG_PID_FILE"] == config.pid_file and found["WATCHDOG_INSTANCE"] == instance.key


def test_without_a_notify_socket_none_is_promised(config: Config, instance: Instance) -> None:
    assert "NOTIFY_SOCKET" not in spawn.environment(config, instance, None, notify=False)


@pytest.mark.fault("F45")
@pytest.mark.parametrize("content", [None, "not an env file\n", "A=1\nA=2\n"])
def test_a_bot_whose_env_file_cannot_be_used_is_not_started(
    project: Path, instance: Instance, content: str | None
) -> None:
    if content is not None:
        (project / ".env").write_text(content)
    config = settings_for(project, app_env_file=str(project / ".env"))
    with pytest.raises(OSError, match=r"\.env"):
        spawn.environment(config, instance, 7, notify=False)


@pytest.mark.fault("F45")
def test_a_missing_script_or_interpreter_is_named_before_anything_is_started(project: Path, instance: Instance) -> None:
    (project / "no-python").write_text("")
    for changes, named in (
        ({"script": str(project / "no.py")}, "no.py"),
        ({"python": str(project / "nopython")}, "nopython"),
        ({"python": str(project / "no-python")}, "no-python"),
    ):
        with pytest.raises(OSError, match=r"missing|executable") as caught:
            spawn.start(settings_for(project, **changes), instance, 1, 1, notify=False)
        assert named in str(caught.value.filename)


@pytest.mark.fault("F72")
def test_output_goes_to_the_first_file_that_takes_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    bad = [str(tmp_path / "file" / "bot.out"), str(tmp_path / "fifo"), str(tmp_path / "link"), str(tmp_path)]
    good = str(tmp_path / "new" / "bot.out")
    descriptor, path = spawn.open_output([*bad, good])
    assert path == good and stat.S_IMODE(os.stat(good).st_mode) == 0o600
    assert os.get_blocking(descriptor) and not os.get_inheritable(descriptor)
    os.write(descriptor, b"x")
    os.truncate(good, 0)
    os.write(descriptor, b"y")
    assert Path(good).read_bytes() == b"y", "appended, so that truncation leaves no hole"
    os.close(descriptor)
    descriptor, path = spawn.open_output(bad)
    assert path == os.devnull
    os.close(descriptor)


@pytest.mark.fault("F70")
def test_a_large_output_file_is_cut_and_its_end_kept_for_the_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "OUT_LIMIT", 1000)
    descriptor, path = spawn.open_output([str(tmp_path / "bot.out")])
    os.write(descriptor, b"a" * 999)
    spawn.trim_output(path)
    assert os.path.getsize(path) == 999
    os.write(descriptor, b"a" * 500 + b"end\n")
    spawn.trim_output(path)
    assert os.path.getsize(path) == 0
    os.write(descriptor, b"next\n")
    os.close(descriptor)
    assert Path(path).read_bytes() == b"next\n"
    assert Path(f"{path}.1").read_bytes().endswith(b"aend\n")
    assert stat.S_IMODE(os.stat(f"{path}.1").st_mode) == 0o600, "what a bot prints is for nobody else"
    spawn.trim_output(str(tmp_path / "no such file"))
