"""Whether logind ends with the log-in what is started in it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from watchdog import login

SCOPE = "0::/user.slice/user-1000.slice/session-4.scope\n"
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.fault("F47")
@pytest.mark.parametrize(
    ("cgroup", "said", "taken"),
    [
        (SCOPE, "KillUserProcesses=yes\nKillExcludeUsers=nobody\n", True),
        (SCOPE, f"KillUserProcesses=yes\nKillExcludeUsers=nobody {ME}\n", False),
        (SCOPE, "KillUserProcesses=no\n", False),
        (SCOPE, None, False),
        ("0::/system.slice/cron.service\n", "KillUserProcesses=yes\n", False),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice\n", "KillUserProcesses=yes\n", False),
    ],
)
def test_a_log_in_takes_the_bot_with_it_where_logind_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, said: str | None, taken: bool
) -> None:
    (tmp_path / "cgroup").write_text(cgroup)
    monkeypatch.setattr(login, "_CGROUP", str(tmp_path / "cgroup"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if said is None:
        monkeypatch.setattr(login, "_ASK", ("/no/such/program",))
    else:
        tool = tmp_path / "loginctl"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
        tool.chmod(0o755)
    assert login.takes_all() is taken
    assert login.within(1) is (cgroup == SCOPE)
