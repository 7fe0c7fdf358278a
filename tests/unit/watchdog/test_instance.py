"""The lock directory: one place for one script, and refused where a lock would prove nothing."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import instance_below, one_line
from watchdog import instance as instances
from watchdog.errors import ConfigError
from watchdog.instance import Instance, locate, prepare
from watchdog.pidfile import BASE

pytestmark = pytest.mark.fault("F28")


def refusal(instance: Instance) -> str:
    """The one line by which the directory is refused."""
    with pytest.raises(ConfigError) as caught:
        prepare(instance)
    assert caught.value.exit_code == 78
    said = one_line(caught.value)
    assert instance.directory in said
    return said


@pytest.mark.fault("F33")
def test_every_way_to_name_one_script_leads_to_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "bot" / "src" / "main_app.py"
    script.parent.mkdir(parents=True)
    script.write_text("")
    (tmp_path / "current").symlink_to(tmp_path / "bot")
    (tmp_path / "alias.py").symlink_to(script)
    monkeypatch.chdir(tmp_path / "bot")
    names = [
        str(script),
        str(tmp_path / "current/src/main_app.py"),
        str(tmp_path / "alias.py"),
        "src/../src/main_app.py",
    ]
    assert len({locate(name).directory for name in names}) == 1


@pytest.mark.fault("F07")
def test_two_scripts_have_two_places(tmp_path: Path) -> None:
    assert locate(str(tmp_path / "a/main_app.py")).directory != locate(str(tmp_path / "b/main_app.py")).directory


@pytest.mark.fault("F33")
def test_the_place_depends_on_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = locate(str(tmp_path / "main_app.py"))
    for name in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "TMPDIR", "WATCHDOG_STATE_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    assert locate(str(tmp_path / "main_app.py")) == before
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert before.directory.startswith(os.path.join(home, BASE, "main_app-"))


def test_naming_the_place_touches_nothing(tmp_path: Path) -> None:
    found = locate(str(tmp_path / "never_started_bot.py"))
    assert not os.path.exists(found.directory)
    assert all(path.startswith(found.directory) for path in found[3:])
    assert os.path.basename(found.directory) == found.key


def test_the_name_in_the_place_is_stable_over_versions() -> None:
    assert locate("/opt/bots/dca/src/main_app.py").key == "main_app-a585f33f382a2319"


@pytest.mark.fault("F79")
def test_a_user_without_an_entry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with pytest.raises(ConfigError, match="password database"):
        locate("/opt/bot/main_app.py")


def test_a_new_place_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    instance = instance_below(tmp_path)
    os.rmdir(instance.directory)
    prepare(instance)
    assert os.stat(instance.directory).st_mode & 0o777 == 0o700
    prepare(instance)


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o702, 0o777, 0o2775])
def test_a_place_that_others_can_write_to_is_refused(instance: Instance, mode: int) -> None:
    os.chmod(instance.directory, mode)
    assert "chmod 700" in refusal(instance)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_place_that_others_can_only_read_is_fine(instance: Instance, mode: int) -> None:
    os.chmod(instance.directory, mode)
    prepare(instance)


@pytest.mark.needs_root
def test_a_place_of_another_user_is_refused(instance: Instance) -> None:
    os.chown(instance.directory, 65534, 65534)
    assert "chown" in refusal(instance)


def test_a_place_of_another_user_is_refused_to_us(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "chown" in refusal(instance)


def test_a_link_or_a_file_in_the_place_is_refused(tmp_path: Path, instance: Instance) -> None:
    os.rmdir(instance.directory)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    os.symlink(elsewhere, instance.directory)
    assert "nothing is started" in refusal(instance)
    os.unlink(instance.directory)
    Path(instance.directory).write_text("")
    assert "nothing is started" in refusal(instance)


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "fuse", "fuse.sshfs", "fuse.gocryptfs", "virtiofs"]
)
def test_a_network_or_fuse_file_system_is_refused(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(instances, "filesystem", lambda descriptor: kind)
    said = refusal(instance)
    assert kind in said and "local disk" in said


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs", ""])
def test_a_local_file_system_is_fine(instance: Instance, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(instances, "filesystem", lambda descriptor: kind)
    prepare(instance)


def test_the_kernel_tells_the_type_of_a_file_system(tmp_path: Path) -> None:
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    for place in ("/proc", str(tmp_path)):
        descriptor = os.open(place, os.O_RDONLY)
        found = instances.filesystem(descriptor)
        os.close(descriptor)
        assert found in known
        assert place != "/proc" or found == "proc"


def test_no_descriptor_is_left_open(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/proc/self/fd"))
    prepare(instance)
    os.chmod(instance.directory, 0o777)
    refusal(instance)
    assert set(os.listdir("/proc/self/fd")) == before
