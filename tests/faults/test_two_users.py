"""Two users on one machine: what belongs to the other one is neither started over nor touched. Root plays them both."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.mail_sink import MailSink
from tests.faults.watched import WatchedWorld
from tests.process import oracle
from tests.process.world import AGENT, REPOSITORY

pytestmark = [pytest.mark.needs_root]

UID = 54321


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user can reach; pytest's own is private."""
    folder = Path(tempfile.mkdtemp(prefix="two-users-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class Trader:
    """A throw-away user with a home and a bot, who exists only in the password file that its own commands see."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.project = folder, folder / "home", folder / "home" / "dcaTrader"
        self.script = self.project / "src" / "traders_app.py"  # no name that root's other bots may have as well
        self.script.parent.mkdir(parents=True)
        shutil.copyfile(REPOSITORY / "tests/process/standin.py", self.script)
        for name in ("births.jsonl", "market.lock"):  # root's bot must not leave files that this user cannot write
            (self.project / name).touch()
        library = folder / "lib"
        shutil.copytree(AGENT / "watchdog", library / "watchdog")
        shutil.copytree(Path(psutil.__file__).parent, library / "psutil", ignore=shutil.ignore_patterns("tests"))
        subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(library)], check=True)
        self.passwd = folder / "passwd"
        self.passwd.write_text(f"{Path('/etc/passwd').read_text()}trader:x:{UID}:{UID}::{self.home}:/bin/sh\n")
        self.passwd.chmod(0o644)
        self.environment = {
            "PATH": "/usr/bin:/bin", "PYTHONPATH": str(library), "WATCHDOG_APP_DIR": str(self.project),
            "WATCHDOG_APP_SCRIPT": "src/traders_app.py",
            "WATCHDOG_START_GRACE": "0.3", "WATCHDOG_STOP_GRACE": "2",
        }  # fmt: skip
        for path in [self.home, *self.home.rglob("*")]:
            os.chown(path, UID, UID)

    def argv(self, *words: str, known: bool = True, hidden: bool = False) -> list[str]:
        """A command as this user; with ``hidden`` it sees no process of anybody else (proc(5), hidepid)."""
        mount = f"mount --bind {self.passwd} /etc/passwd && " if known else ""
        mount += "mount -t proc -o hidepid=2 proc /proc && " if hidden else ""
        drop = f"exec setpriv --reuid {UID} --regid {UID} --clear-groups"
        return ["unshare", "-m", "sh", "-c", f'{mount}{drop} "$@"', "sh", *words]

    def verb(self, *words: str, **how: bool) -> subprocess.CompletedProcess[str]:
        """A verb as this user."""
        return subprocess.run(
            self.argv("/usr/bin/python3", "-m", "watchdog", *words, **how), cwd="/", env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    def bots(self) -> list[int]:
        """The live bots."""
        return oracle.instances(self.script)


@pytest.fixture
def trader(public: Path) -> Iterator[Trader]:
    """The throw-away user."""
    user = Trader(public)
    yield user
    while left := [pid for pid in oracle.related(f"{public}/") if oracle.alive(pid)]:
        for pid in left:
            os.kill(pid, 9)


def as_root(trader: Trader, **more: Any) -> subprocess.Popen[bytes]:
    """`sudo python src/main_app.py`, as people do it."""
    process = subprocess.Popen(
        [sys.executable, str(trader.script)], cwd=trader.project, env={"PATH": "/usr/bin:/bin"}, **more
    )
    oracle.until(lambda: trader.bots() == [process.pid], "root's bot runs")
    return process


def test_an_ordinary_user_needs_nothing_special(trader: Trader) -> None:
    done = trader.verb("guard")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (pid,) = oracle.until(trader.bots, "the bot runs")  # type: ignore[misc]
    assert os.stat(f"/proc/{pid}").st_uid == UID
    assert (trader.home / ".local/state/dca-watchdog").stat().st_uid == UID
    os.kill(pid, 9)
    oracle.until(lambda: (found := trader.bots()) and found != [pid], "the next bot")
    assert trader.verb("stop").returncode == 0
    assert trader.bots() == []


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_a_bot_that_root_started_means_hands_off_for_its_own_user(trader: Trader) -> None:
    process = as_root(trader)
    for verb in ("check", "start", "restart", "stop", "check"):
        done = trader.verb(verb)
        assert done.returncode == 4, (verb, done)
        assert str(process.pid) in done.stdout + done.stderr
    assert trader.verb("status").returncode == 4
    assert trader.verb("guard").returncode == 0
    assert trader.bots() == [process.pid] and process.poll() is None
    process.kill()
    process.wait()
    assert trader.verb("start").returncode == 0
    assert len(trader.bots()) == 1


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_a_pid_file_that_names_a_process_nobody_lets_us_see_means_hands_off_and_one_alert(trader: Trader) -> None:
    trader.environment.update(
        SMTP_SERVER="127.0.0.1", SMTP_PORT="1", ALERT_EMAIL_FROM="a@b.example", ALERT_EMAIL_TO="a@b.example"
    )
    process = as_root(trader)
    pid_file = trader.project / "main_app.pid"
    pid_file.write_text(f"{process.pid}\n")
    for verb in ("check", "start", "stop", "check"):
        done = trader.verb(verb, hidden=True)
        assert done.returncode == 4 and str(process.pid) in done.stdout + done.stderr, (verb, done)
    assert trader.verb("status", hidden=True).returncode == 4
    assert trader.bots() == [process.pid] and process.poll() is None
    assert pid_file.read_text() == f"{process.pid}\n"
    assert len(list(trader.home.glob(".local/state/dca-watchdog/*/outbox/new/*.json"))) == 1
    process.kill()
    process.wait()
    assert trader.verb("start", hidden=True).returncode == 0
    assert len(trader.bots()) == 1


@pytest.mark.fault("F09")
def test_a_pid_file_of_somebody_else_that_cannot_be_read_hinders_nothing(trader: Trader) -> None:
    pid_file = trader.project / "main_app.pid"
    pid_file.write_text("1\n")
    pid_file.chmod(0o600)
    assert trader.verb("check").returncode == 0
    (pid,) = trader.bots()
    assert pid_file.read_text() == f"{pid}\n" and pid_file.stat().st_uid == UID
    assert trader.verb("stop").returncode == 0


@pytest.mark.fault("F79")
def test_a_user_who_is_not_in_the_password_database_is_exit_78(trader: Trader) -> None:
    for verb in ("check", "guard", "status"):
        done = trader.verb(verb, known=False)
        assert done.returncode == 78 and done.stderr.count("\n") == 1 and str(UID) in done.stderr, done
    assert trader.bots() == []


@pytest.mark.fault("F79")
@pytest.mark.promise(3)
def test_a_user_who_vanishes_under_a_live_guard_means_no_start_until_they_are_back(trader: Trader) -> None:
    """As when an account is removed, or the directory service that knows it is down."""
    with MailSink() as sink:
        trader.environment.update(
            SMTP_SERVER=sink.host,
            SMTP_PORT=str(sink.port),
            ALERT_EMAIL_FROM="a@b.example",
            ALERT_EMAIL_TO="a@b.example",
        )
        assert trader.verb("guard").returncode == 0
        (pid,) = oracle.until(trader.bots, "the bot runs")  # type: ignore[misc]
        sink.wait_for()
        known = trader.passwd.read_text()
        trader.passwd.write_text("".join(line for line in known.splitlines(True) if not line.startswith("trader:")))
        os.kill(pid, 9)
        (events,) = trader.home.glob(".local/state/dca-watchdog/*/events.jsonl")
        oracle.until(lambda: f"uid {UID} is not in the password database" in events.read_text(), "it says why")
        assert trader.bots() == []
        trader.passwd.write_text(known)
        oracle.until(trader.bots, "the bot is back")
        sink.wait_for(lambda mail: f"uid {UID} is not in the password database" in mail.text, timeout=20)
        assert "Traceback" not in events.read_text()
        assert len(trader.bots()) == 1


@pytest.mark.fault("F28")
def test_a_lock_directory_that_belongs_to_somebody_else_is_refused(trader: Trader) -> None:
    (trader.home / ".local/state/dca-watchdog").mkdir(parents=True)
    done = trader.verb("check")
    assert done.returncode == 78 and "dca-watchdog" in done.stderr and done.stderr.count("\n") == 1
    assert trader.bots() == []


@pytest.mark.fault("F10")
@pytest.mark.promise(3)
def test_for_root_a_bot_of_another_user_means_hands_off_and_one_alert(public: Path) -> None:
    world = WatchedWorld(public)
    try:
        world.project.chmod(0o777)
        stranger = world.spawn(
            ["/usr/bin/python3", str(world.script)], world.project, {"PATH": "/bin"}, user=UID, group=UID
        )
        pid = world.until_bot()
        world.env.update(
            SMTP_SERVER="127.0.0.1", SMTP_PORT="1", ALERT_EMAIL_FROM="a@b.example", ALERT_EMAIL_TO="a@b.example"
        )
        done = world.verb("check", "--json")
        assert done.code == 4 and str(pid) in done.json["message"]
        assert world.verb("status", "--json").json["state"] == "unknown"
        assert world.verb("start", "--json").code == 4
        assert world.verb("stop", "--json").code == 4
        assert world.bots() == [pid] and stranger.poll() is None
        assert len(world.outbox()) == 1, "one alert, however often it is looked at"
        world.kill(pid)
        stranger.wait(5)
        assert world.ok("start", "--json").json["action"] == "started"
    finally:
        world.close()


def test_the_control_socket_does_not_listen_to_other_users(trader: Trader) -> None:
    trader.verb("guard")
    (pid,) = oracle.until(trader.bots, "the bot runs")  # type: ignore[misc]
    (socket,) = trader.home.glob(".local/state/dca-watchdog/*/control.sock")
    for path in (socket, *socket.parents):  # even where the directories let them in
        if path == trader.folder:
            break
        path.chmod(0o777)
    text = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        """s.send(b'{"verb": "stop"}\\n'); print(s.recv(99))"""
    )
    argv = ["/usr/bin/python3", "-c", text, str(socket)]
    done = subprocess.run(argv, user=65534, capture_output=True, text=True, timeout=10)
    assert "PermissionError" not in done.stderr, "it came as far as the guard itself"
    assert "heard" not in done.stdout
    assert trader.bots() == [pid]
