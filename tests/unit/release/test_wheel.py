"""psutil's wheel: only a pinned one, and only names that stay inside the release."""

from __future__ import annotations

import hashlib
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from release import wheel
from release.__main__ import CHECKOUT, main
from release.errors import ReleaseError

NAME = "psutil-7.2.2-cp36-abi3-manylinux2010_x86_64.manylinux_2_28_x86_64.whl"


def make_wheel(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.writestr(name, name)
    return path


def pin(path: Path, *wheels: Path) -> Path:
    hashes = " ".join(f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" for wheel in wheels)
    path.write_text(f"# a comment with psutil==1.0\npsutil==7.2.2 {hashes}\n")
    return path


@pytest.fixture
def no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter in whose `-m pip` nobody can put any trust: it says that there is no network."""
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'ERROR: no network here' >&2\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(fake))


def test_a_cached_wheel_with_a_pinned_hash_is_used_without_pip(tmp_path: Path, no_pip: None) -> None:
    cached = make_wheel(tmp_path / "cache" / NAME, "psutil/__init__.py")
    assert wheel.obtain(pin(tmp_path / "agent.txt", cached), "x86_64", tmp_path / "cache") == cached


def test_a_cached_wheel_with_another_hash_is_not_used(tmp_path: Path, no_pip: None) -> None:
    cached = make_wheel(tmp_path / "cache" / NAME, "psutil/__init__.py")
    requirements = pin(tmp_path / "agent.txt", cached)
    cached.write_bytes(cached.read_bytes() + b"x")
    with pytest.raises(ReleaseError, match="no network here"):
        wheel.obtain(requirements, "x86_64", tmp_path / "cache")


def test_a_wheel_for_another_architecture_is_not_used(tmp_path: Path, no_pip: None) -> None:
    cached = make_wheel(tmp_path / "cache" / NAME, "psutil/__init__.py")
    with pytest.raises(ReleaseError, match=r"cannot fetch psutil 7\.2\.2 for aarch64"):
        wheel.obtain(pin(tmp_path / "agent.txt", cached), "aarch64", tmp_path / "cache")


def test_without_a_package_index_the_error_says_where_to_put_the_wheel(tmp_path: Path, no_pip: None) -> None:
    other = make_wheel(tmp_path / "elsewhere.whl", "psutil/__init__.py")
    with pytest.raises(ReleaseError) as caught:
        wheel.obtain(pin(tmp_path / "agent.txt", other), "x86_64", tmp_path / "cache")
    assert str(tmp_path / "cache") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["psutil==7.2.2\n", "psutil>=7 --hash=sha256:" + "0" * 64, "a==1 b==2 --hash=sha256:" + "0" * 64]
)
def test_requirements_that_pin_nothing_or_too_much_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "agent.txt").write_text(text)
    with pytest.raises(ReleaseError, match="must pin exactly one distribution"):
        wheel.read_pin(tmp_path / "agent.txt")


@pytest.mark.parametrize(
    "name", ["../evil.py", "/etc/evil.py", "psutil/../../evil.py", "a\\..\\evil.py", "watchdog/cli.py"]
)
def test_a_name_that_would_leave_its_place_is_refused(tmp_path: Path, name: str) -> None:
    packed = make_wheel(tmp_path / NAME, "psutil/__init__.py", name)
    with pytest.raises(ReleaseError, match="must not be unpacked"):
        wheel.members(packed)


def test_a_wheel_unpacks_below_lib_without_tests(tmp_path: Path) -> None:
    packed = make_wheel(
        tmp_path / NAME, "psutil/__init__.py", "psutil/tests/test_a.py", "psutil-7.2.2.dist-info/LICENSE"
    )
    assert set(wheel.members(packed)) == {"lib/psutil/__init__.py", "lib/psutil-7.2.2.dist-info/LICENSE"}


def test_a_broken_wheel_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no zip")
    with pytest.raises(ReleaseError, match="remove it, it is fetched again"):
        wheel.members(tmp_path / NAME)


def test_this_checkout_pins_one_psutil_for_both_architectures() -> None:
    found = wheel.read_pin(CHECKOUT / "requirements" / "agent.txt")
    assert found.name == "psutil"
    assert len(found.hashes) == 2


def test_the_command_line_prints_one_path_for_one_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one", "two"):
        assert main(["build", "--arch", "x86_64", "--out", str(tmp_path / folder)]) == 0
    first, second = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_the_command_line_says_in_one_line_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pip: None
) -> None:
    assert main(["build", "--arch", "x86_64", "--out", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
