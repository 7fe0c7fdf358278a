"""Which command lines would start the bot beside ours, and which only look like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.watchdog.files.onhost.commandline import OLD_WATCHDOG, OTHER_DEPLOYMENT, STARTS_BOT, Bot, finding


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with two bots, a shell script that starts one of them, and a deployment."""
    for name in ("dcaTrader", "otherTrader"):
        (tmp_path / name / "src").mkdir(parents=True)
        (tmp_path / name / "scripts").mkdir()
        (tmp_path / name / "src" / "main_app.py").write_text("")
        (tmp_path / name / "scripts" / "watchdog.py").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "dcaTrader")
    (tmp_path / "dcaTrader" / "start.sh").write_text('#!/bin/sh\ncd "$(dirname "$0")"\npython3 src/main_app.py\n')
    (tmp_path / "dcaTrader" / "guard.sh").write_text("#!/bin/bash\n.venv/bin/python scripts/watchdog.py\n")
    (tmp_path / "dcaTrader" / "backup.sh").write_text(
        "#!/bin/sh\n# copies src/main_app.py, too\ntar cf /tmp/x.tar src\n"
    )
    return tmp_path


def ask(home: Path, command: str, cwd: str = "", **variables: str) -> str | None:
    app = home / "dcaTrader"
    bot = Bot(str(app), str(app / "src" / "main_app.py"), str(home / "root" / "bin" / "dcaTrader"))
    filled = command.replace("HOME", str(home))
    return finding(filled, bot, cwd or str(home), str(home), variables)


@pytest.mark.parametrize(
    "command",
    [
        "python3 HOME/dcaTrader/scripts/watchdog.py",
        "cd HOME/dcaTrader && .venv/bin/python scripts/watchdog.py >> logs/cron.log 2>&1",
        "cd HOME/dcaTrader; python scripts/watchdog.py",
        "cd ~/dcaTrader && python3 scripts/watchdog.py",
        "cd $BOTS/dcaTrader && python3 scripts/watchdog.py",
        "APP=HOME/dcaTrader python3 $APP/scripts/watchdog.py",
        "/usr/bin/flock -n /tmp/w.lock python3 dcaTrader/scripts/watchdog.py",
        "python3 HOME/link/scripts/watchdog.py",
        "/usr/local/bin/bot_watchdog.sh --app HOME/dcaTrader",
        "cd HOME/dcaTrader && python3 -m watchdog check",
        "cd HOME/dcaTrader && python3 -m scripts.watchdog",
        "python3 $UNKNOWN/watchdog.py",
        "HOME/dcaTrader/guard.sh",
        "bash HOME/dcaTrader/guard.sh",
        "sudo -u trader python3 HOME/dcaTrader/scripts/watchdog.py",
    ],
)
def test_an_older_watchdog_for_this_bot_is_found(home: Path, command: str) -> None:
    assert str(ask(home, command, BOTS=str(home))).startswith(OLD_WATCHDOG)


@pytest.mark.parametrize(
    "command",
    [
        "python3 HOME/dcaTrader/src/main_app.py",
        "cd HOME/dcaTrader && nohup .venv/bin/python src/main_app.py &",
        "pgrep -f main_app.py || python3 HOME/dcaTrader/src/main_app.py",
        "cd HOME/link && python src/main_app.py --paper",
        "sh HOME/dcaTrader/start.sh",
        "(cd HOME/dcaTrader && python3 src/main_app.py)",
    ],
)
def test_a_line_that_starts_the_bot_itself_is_found(home: Path, command: str) -> None:
    assert str(ask(home, command)).startswith(STARTS_BOT)


@pytest.mark.parametrize(
    "command",
    [
        "python3 HOME/otherTrader/scripts/watchdog.py",
        "cd HOME/otherTrader && python3 scripts/watchdog.py",
        "cd HOME/otherTrader && python3 -m watchdog",
        "HOME/otherTrader/src/main_app.py",
        "/usr/sbin/watchdog -F",
        "systemctl restart watchdog",
        "tail -n 100 HOME/dcaTrader/src/main_app.py",
        "cp HOME/dcaTrader/src/main_app.py /backup/",
        "pkill -f src/main_app.py",
        "HOME/dcaTrader/backup.sh",
        "find HOME/dcaTrader/logs -name 'watchdog.log.*' -delete",
        "gzip HOME/dcaTrader/logs/watchdog.log",
        "python3 HOME/dcaTrader/scripts/report.py",
        "",
        "echo 'unbalanced",
    ],
)
def test_what_concerns_another_bot_or_starts_nothing_is_let_be(home: Path, command: str) -> None:
    assert ask(home, command) is None


def test_our_own_door_is_let_be_and_another_deployments_door_for_this_bot_is_found(home: Path) -> None:
    for name, app in (("dcaTrader", "dcaTrader"), ("sameBot", "link"), ("other", "otherTrader")):
        settings = home / "root" / name / "etc" / "watchdog.env"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'WATCHDOG_APP_DIR="{home}/{app}"\n')
        (home / "root" / "bin").mkdir(exist_ok=True)
        (home / "root" / "bin" / name).write_text("#!/bin/sh\n")
    assert ask(home, "HOME/root/bin/dcaTrader guard") is None
    assert ask(home, "HOME/root/bin/other guard") is None
    assert ask(home, "HOME/root/bin/sameBot guard") == OTHER_DEPLOYMENT
