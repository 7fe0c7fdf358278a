"""Reading cron's tables, and commenting out one line without touching another byte."""

from __future__ import annotations

import os
from pathlib import Path

from roles.watchdog.files.onhost import crontabs
from roles.watchdog.files.onhost.crontabs import Table

USERS = """\
# m h dom mon dow command
MAILTO=""
APP = /home/trader/dcaTrader

*/5 * * * * cd $APP && python3 scripts/watchdog.py
  @reboot   python3 x.py
0 4 * * 0 date +\\%F > /tmp/x % this is standard input
nonsense
"""


def test_jobs_have_their_line_number_command_and_the_assignments_above_them() -> None:
    jobs = crontabs.jobs(Table("crontab of trader", None, "trader", USERS))
    assert [(job.number, job.user, job.command) for job in jobs] == [
        (5, "trader", "cd $APP && python3 scripts/watchdog.py"),
        (6, "trader", "python3 x.py"),
        (7, "trader", "date +%F > /tmp/x"),
    ]
    assert jobs[0].variables == {"MAILTO": "", "APP": "/home/trader/dcaTrader"}


def test_a_system_table_names_the_user_before_the_command() -> None:
    text = "17 * * * *\troot\tcd / && run-parts /etc/cron.hourly\n@reboot trader /opt/x guard\n"
    jobs = crontabs.jobs(Table("/etc/crontab", "/etc/crontab", None, text))
    assert [(job.user, job.command) for job in jobs] == [
        ("root", "cd / && run-parts /etc/cron.hourly"),
        ("trader", "/opt/x guard"),
    ]


def test_retiring_a_line_keeps_every_other_byte_and_the_files_mode(tmp_path: Path) -> None:
    path = tmp_path / "bots"
    before = "# caf\udce9\r\n\t* * * * * trader a\n* * * * * trader b   \nno newline at the end"
    path.write_text(before, encoding="utf-8", errors="surrogateescape", newline="")
    path.chmod(0o640)
    table = Table(str(path), str(path), None, before)
    assert crontabs.retire(table, [3], "# retired by us:", "root") is None
    after = path.read_text(encoding="utf-8", errors="surrogateescape").encode(errors="surrogateescape")
    expected = before.replace("* * * * * trader b   ", "# retired by us: * * * * * trader b   ")
    assert path.read_bytes() == expected.encode(errors="surrogateescape")
    assert after
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["bots"]


def test_a_retired_line_is_no_job_any_more(tmp_path: Path) -> None:
    path = tmp_path / "bots"
    path.write_text("* * * * * trader python3 watchdog.py\n")
    crontabs.retire(Table(str(path), str(path), None, path.read_text()), [1], "# retired:", "root")
    assert crontabs.jobs(Table(str(path), str(path), None, path.read_text())) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "gone" / "bots")
    problem = crontabs.retire(Table(path, path, None, "* * * * * trader x\n"), [1], "#", "root")
    assert problem == f"{path}: No such file or directory"
