"""Unpacking a release on a host: whole or not at all, and only if it is what its name says."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from release import archive, contents
from release.__main__ import CHECKOUT
from release.contents import Member
from roles.watchdog.files.onhost import stage
from roles.watchdog.files.onhost.stage import StageError

MEMBERS = {
    "bin/watchdog": Member(b"#!/usr/bin/python3\n", executable=True),
    "lib/watchdog/__init__.py": Member(b'__version__ = "1.0"\n'),
    "lib/watchdog/sub/part.py": Member(b"x = 1\n"),
}


def packed(folder: Path, members: dict[str, Member] = MEMBERS) -> tuple[str, Path]:
    release, sealed = contents.seal(members, "1.0", "x86_64")
    return release, archive.write(release, sealed, folder / "built")


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    folder = tmp_path / "releases"
    folder.mkdir()
    return folder


def test_a_release_arrives_with_the_modes_and_the_hash_that_the_builder_gave_it(tmp_path: Path, releases: Path) -> None:
    release, path = packed(tmp_path)
    stage.unpack(str(path), release, str(releases))
    folder = releases / release
    assert stage.digest(str(folder)) == release.rpartition("-")[2]
    assert (folder / "bin" / "watchdog").stat().st_mode & 0o7777 == 0o755
    assert (folder / "lib" / "watchdog" / "sub" / "part.py").stat().st_mode & 0o7777 == 0o644
    assert (folder / "RELEASE").is_file()
    assert [entry.name for entry in releases.iterdir()] == [release]


def test_bytecode_is_made_and_does_not_count_for_the_hash(tmp_path: Path, releases: Path) -> None:
    release, path = packed(tmp_path)
    stage.unpack(str(path), release, str(releases))
    assert list((releases / release).rglob("*.pyc"))
    assert stage.digest(str(releases / release)) == release.rpartition("-")[2]


def test_a_half_unpacked_release_of_old_is_replaced(tmp_path: Path, releases: Path) -> None:
    release, path = packed(tmp_path)
    (releases / release / "lib").mkdir(parents=True)
    stage.unpack(str(path), release, str(releases))
    assert (releases / release / "RELEASE").is_file()


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.9])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_leaves_nothing_behind(tmp_path: Path, releases: Path, part: float, damage: str) -> None:
    release, path = packed(tmp_path)
    whole = path.read_bytes()
    at = 10 + int(len(whole) * part)
    path.write_bytes(whole[:at] if damage == "cut" else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
    with pytest.raises(StageError, match=release):
        stage.unpack(str(path), release, str(releases))
    assert list(releases.iterdir()) == []


def test_another_content_under_the_same_name_is_refused(tmp_path: Path, releases: Path) -> None:
    release, _ = packed(tmp_path)
    forged = {**MEMBERS, "lib/watchdog/sub/part.py": Member(b"x = 2\n"), "RELEASE": Member(b"{}")}
    path = tmp_path / "forged.tar.gz"
    path.write_bytes(archive.pack(release, forged))
    with pytest.raises(StageError, match="arrived damaged"):
        stage.unpack(str(path), release, str(releases))
    assert list(releases.iterdir()) == []


@pytest.mark.parametrize("name", ["RELEASE/../../evil", "/etc/evil", "other/evil", "RELEASE//evil", "RELEASE"])
def test_a_member_that_would_leave_the_release_is_refused(tmp_path: Path, releases: Path, name: str) -> None:
    release = "1.0-0123456789ab"
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive_file:
        info = tarfile.TarInfo(name.replace("RELEASE", release))
        info.size = 4
        archive_file.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(StageError, match="is not unpacked"):
        stage.unpack(str(path), release, str(releases))
    assert [entry.name for entry in tmp_path.rglob("*evil*")] == ["evil.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_pipes_and_devices_are_refused(tmp_path: Path, releases: Path, kind: bytes) -> None:
    release = "1.0-0123456789ab"
    path = tmp_path / "odd.tar.gz"
    with tarfile.open(path, "w:gz") as archive_file:
        info = tarfile.TarInfo(f"{release}/lib/odd")
        info.type, info.linkname = kind, "/etc/passwd"
        archive_file.addfile(info)
    with pytest.raises(StageError, match="is not unpacked"):
        stage.unpack(str(path), release, str(releases))


def test_the_agent_runs_from_an_unpacked_release_with_nothing_but_its_own_libraries(
    tmp_path: Path, releases: Path
) -> None:
    members = contents.agent_members(CHECKOUT / "watchdog", CHECKOUT / "release" / "launcher.py")
    release, path = packed(tmp_path, members)
    stage.unpack(str(path), release, str(releases))
    command = [sys.executable, "-I", "-S", "-B", str(releases / release / "bin" / "watchdog"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents.read_version(CHECKOUT / "watchdog") in done.stdout
