"""The release archive: the same bytes for the same content, wherever and whenever it is built."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from release import archive, contents
from release.contents import Member
from release.errors import ReleaseError

MEMBERS = {"lib/watchdog/b.py": Member(b"b = 1\n"), "bin/watchdog": Member(b"#!/usr/bin/python3\n", executable=True)}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small stand-in for the agent's package, beside its launcher."""
    package = tmp_path / "checkout" / "watchdog"
    (package / "sub" / "__pycache__").mkdir(parents=True)
    (package / "tests").mkdir()
    (package / "__init__.py").write_text('"""Agent."""\n\n__version__ = "1.2.3"\n')
    (package / "sub" / "part.py").write_text("x = 1\n")
    (package / "sub" / "__pycache__" / "part.cpython-311.pyc").write_bytes(b"old")
    (package / "stray.pyc").write_bytes(b"old")
    (package / "tests" / "test_part.py").write_text("assert True\n")
    (package / ".hidden.py").write_text("x = 2\n")
    (package.parent / "launcher.py").write_text("#!/usr/bin/python3\n")
    return package


def sealed(package: Path) -> tuple[str, dict[str, Member]]:
    members = contents.agent_members(package, package.parent / "launcher.py")
    return contents.seal(members, contents.read_version(package), "x86_64")


def test_the_same_content_gives_the_same_bytes_whatever_dates_modes_and_order(package: Path) -> None:
    first = archive.pack(*sealed(package))
    for path in package.rglob("*"):
        os.utime(path, (1, 1))
    (package / "__init__.py").chmod(0o755)
    (package / "sub" / "part.py").chmod(0o600)
    backwards = dict(reversed(sealed(package)[1].items()))
    time.sleep(0.01)
    assert archive.pack(sealed(package)[0], backwards) == first


def test_one_other_byte_name_or_mode_gives_another_id() -> None:
    ids = {
        contents.digest(MEMBERS),
        contents.digest({**MEMBERS, "lib/watchdog/b.py": Member(b"b = 2\n")}),
        contents.digest({**MEMBERS, "lib/watchdog/b.py": Member(b"b = 1\n", executable=True)}),
        contents.digest({"lib/watchdog/c.py": MEMBERS["lib/watchdog/b.py"], "bin/watchdog": MEMBERS["bin/watchdog"]}),
    }
    assert len(ids) == 4


def test_the_id_is_version_and_hash_and_stands_in_the_release_itself(package: Path) -> None:
    release, members = sealed(package)
    assert release == f"1.2.3-{contents.digest(members)}"
    record = json.loads(members["RELEASE"].data)
    assert record == {"version": "1.2.3", "release": release, "arch": "x86_64"}


def test_only_the_agents_own_modules_travel(package: Path) -> None:
    assert set(sealed(package)[1]) == {
        "bin/watchdog",
        "lib/watchdog/__init__.py",
        "lib/watchdog/sub/part.py",
        "RELEASE",
    }


def test_a_symbolic_link_in_the_package_is_refused(package: Path) -> None:
    (package / "linked.py").symlink_to("/etc/hostname")
    with pytest.raises(ReleaseError, match=r"linked\.py is a symbolic link"):
        sealed(package)


def test_a_package_without_a_version_is_refused(package: Path) -> None:
    (package / "__init__.py").write_text("")
    with pytest.raises(ReleaseError, match="holds no line of the form"):
        contents.read_version(package)


def test_members_are_sorted_owned_by_root_and_dated_alike_and_release_comes_last() -> None:
    release, members = contents.seal(MEMBERS, "1.0", "x86_64")
    with tarfile.open(fileobj=io.BytesIO(archive.pack(release, members))) as packed:
        found = packed.getmembers()
    names = [member.name.removeprefix(f"{release}/") for member in found]
    assert names == ["bin/watchdog", "lib/watchdog/b.py", "RELEASE"]
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in found} == {(0, 0, "root", archive.MTIME)}
    assert [f"{member.mode:o}" for member in found] == ["755", "644", "644"]


def test_the_gzip_header_holds_neither_a_date_nor_a_file_name() -> None:
    packed = archive.pack("1.0-0123456789ab", MEMBERS)
    flags, date = packed[3], packed[4:8]
    assert (flags, date) == (0, b"\0\0\0\0")
    assert gzip.decompress(packed)


def test_an_archive_that_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    path = archive.write("1.0-0123456789ab", MEMBERS, tmp_path / "out")
    before = path.stat()
    assert archive.write("1.0-0123456789ab", MEMBERS, tmp_path / "out") == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [path.name]


def test_the_launcher_tells_an_old_python_what_to_do_and_exits_78(tmp_path: Path) -> None:
    launcher = Path(contents.__file__).with_name("launcher.py").read_text()
    old = tmp_path / "old.py"
    old.write_text(f"import sys\nsys.version_info = (3, 8, 10)\nexec(compile({launcher!r}, 'watchdog', 'exec'))\n")
    done = subprocess.run([sys.executable, "-I", "-S", str(old)], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert "Python 3.9 or newer is needed" in done.stderr
    assert "watchdog_python" in done.stderr


def test_the_launcher_can_be_read_by_pythons_from_before_f_strings_and_annotations() -> None:
    launcher = Path(contents.__file__).with_name("launcher.py").read_text()
    compile(launcher, "watchdog", "exec")
    assert 'f"' not in launcher
    assert "__future__" not in launcher
    assert "->" not in launcher
