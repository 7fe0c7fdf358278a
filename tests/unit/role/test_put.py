"""What the role writes on a host is written where it differs, is told in check mode, and is tried before."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from roles.watchdog.files.onhost import folders, put

OWNER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name
RIGHTS = {"owner": OWNER, "group": GROUP}


def write(path: Path, text: str, mode: str = "0640", **more: Any) -> dict[str, Any]:
    given = {"path": str(path), "text": text, "mode": mode, **RIGHTS, "check": False, "diff": False, **more}
    return put.main(given)


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    assert write(path, "one\n")["changed"]
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("one\n", 0o640)
    assert not write(path, "one\n")["changed"]
    assert write(path, "one\n", "0600")["changed"]
    assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path) == ["settings"]


def test_a_link_in_its_place_is_replaced_and_what_it_led_to_is_left_alone(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "settings"
    write(other, "one\n")
    path.symlink_to(other)
    assert write(path, "one\n", diff=True)["diff"][0]["before"].startswith("a link to ")
    write(path, "two\n")
    assert not path.is_symlink()
    assert other.read_text() == "one\n"


def test_check_mode_tells_the_same_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "settings"
    told = write(path, "one\n", check=True, diff=True)
    assert told["changed"]
    assert [(part["before"], part["after"]) for part in told["diff"]] == [("", "one\n")]
    assert not path.parent.exists()


def test_without_diff_nothing_of_the_content_is_told(tmp_path: Path) -> None:
    write(tmp_path / "settings", "secret of old\n")
    assert "secret" not in str(write(tmp_path / "settings", "secret\n"))


def test_other_rights_are_part_of_the_diff(tmp_path: Path) -> None:
    write(tmp_path / "settings", "one\n", "0600")
    _, said = write(tmp_path / "settings", "one\n", "0640", diff=True)["diff"]
    assert (said["before"], said["after"]) == (f"0600 {OWNER} {GROUP}\n", f"0640 {OWNER} {GROUP}\n")


def test_a_content_that_its_tool_refuses_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "rule"
    write(path, "good\n")
    assert "grep refuses it" in write(path, "bad\n", validate=["grep", "good"])["problem"]
    assert path.read_text() == "good\n"
    assert write(path, "as good\n", validate=["grep", "good"])["changed"]


@pytest.mark.parametrize("more", [{}, {"owner": "nobody-of-this-name"}, {"group": "nobody-of-this-name"}])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, more: dict[str, str]) -> None:
    path = tmp_path / "settings" if more else tmp_path / "missing" / "settings"
    problem = write(path, "one\n", **more)["problem"]
    assert str(path) in problem
    assert "\n" not in problem
    assert not path.exists()


def test_folders_are_made_with_their_rights_once(tmp_path: Path) -> None:
    wanted = [{"path": str(tmp_path / name), "mode": "0755", **RIGHTS} for name in ("a/b", "c")]
    given = {"folders": wanted, "check": True, "diff": True}
    told = folders.main(given)
    assert told["changed"]
    assert len(told["diff"]) == 2
    assert os.listdir(tmp_path) == []
    assert folders.main(given | {"check": False, "diff": False}) == {"problem": "", "changed": True, "diff": []}
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o755
    assert not folders.main(given)["changed"]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    wanted = [{"path": str(tmp_path / "a"), "mode": "0755", **RIGHTS}]
    assert "cannot make" in folders.main({"folders": wanted, "check": False, "diff": False})["problem"]
