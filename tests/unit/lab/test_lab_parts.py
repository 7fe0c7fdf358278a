"""The parts of the lab that decide something without root."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab import commands, image, inventory, mirror, network, paths, registry
from lab.errors import LabError, MissingPrerequisite

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.LabRecord:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state with space"))
    hosts = tuple(registry.HostRecord(f"bot{n}", f"10.77.3.{10 + n}", f"lab-abcd-{n}") for n in (1, 2))
    return registry.LabRecord("mine", "bookworm", "/image", 3, registry.Owner.me(), hosts)


def test_a_record_is_read_as_it_was_written(record: registry.LabRecord) -> None:
    record.save()
    assert registry.load("mine") == record
    assert registry.all_labs() == [record]
    assert record.folder.stat().st_mode & 0o777 == 0o700


def test_a_lab_is_abandoned_when_its_owner_is_gone_or_its_number_is_anothers(record: registry.LabRecord) -> None:
    assert not record.abandoned()
    me = registry.Owner.me()
    assert dataclasses.replace(record, owner=registry.Owner(me.pid, me.start_ticks - 1)).abandoned()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert dataclasses.replace(record, owner=registry.Owner(gone.pid, 1)).abandoned()
    assert not dataclasses.replace(record, owner=None).abandoned()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1}', "[1]", '{"schema": 99}'])
def test_a_damaged_or_foreign_record_is_one_line(record: registry.LabRecord, text: str) -> None:
    record.save()
    (record.folder / "lab.json").write_text(text)
    with pytest.raises(LabError) as caught:
        registry.load("mine")
    assert str(record.folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_inventory_holds_the_keys_and_the_users_of_the_hosts(record: registry.LabRecord) -> None:
    record.save()
    inventory.write(record, {"bot1": "ssh-ed25519 AAAA root@bot1", "bot2": "ssh-ed25519 BBBB root@bot2"})
    assert inventory.known_hosts(record).read_text() == (
        "bot1,10.77.3.11 ssh-ed25519 AAAA\nbot2,10.77.3.12 ssh-ed25519 BBBB\n"
    )
    bots = yaml.safe_load(inventory.inventory(record).read_text())["bots"]
    assert bots["hosts"] == {"bot1": {"ansible_host": "10.77.3.11"}, "bot2": {"ansible_host": "10.77.3.12"}}
    assert (bots["vars"]["ansible_user"], bots["vars"]["watchdog_user"]) == ("ops", "trader")
    assert "StrictHostKeyChecking=yes" in bots["vars"]["ansible_ssh_common_args"]
    assert f"'UserKnownHostsFile={inventory.known_hosts(record)}'" in bots["vars"]["ansible_ssh_common_args"]


def test_a_network_is_free_if_no_lab_and_no_interface_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_addresses", lambda: ["127.0.0.1/8", "10.77.1.200/30", "fe80::1/64"])
    monkeypatch.setattr(network, "_interfaces", lambda: {"lo", "labbr2"})
    assert network.free({0}).number == 3
    assert network.free({0}).address(0) == "10.77.3.11"
    monkeypatch.setattr(network, "_addresses", lambda: ["10.0.0.5/8"])
    with pytest.raises(LabError, match="in use"):
        network.free(set())


def test_the_mirror_is_the_debian_archive_of_this_machines_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    sources = "Debian\tDebian-Security\tone\nnode\tnode\ttwo\nDebian\tDebian\tthree\nDebian\tDebian\tfour\n"
    monkeypatch.setattr(mirror, "run", lambda argv: sources)
    assert mirror.debian() == "three"
    monkeypatch.setattr(mirror, "run", lambda argv: "Ubuntu\tUbuntu\tone\n")
    with pytest.raises(MissingPrerequisite, match="LAB_MIRROR"):
        mirror.debian()
    monkeypatch.setenv("LAB_MIRROR", "mine")
    assert mirror.debian() == "mine"


def test_an_unknown_suite_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LabError, match="bullseye, bookworm, trixie"):
        image.ensure("../etc", print)
    assert list(tmp_path.iterdir()) == []


def test_relative_xdg_folders_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert paths.cache_root() == Path.home() / ".cache" / paths.NAME


def test_a_failing_tool_is_named_with_its_last_words() -> None:
    with pytest.raises(LabError, match="failed with exit code 3: second"):
        commands.run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"])
    with pytest.raises(LabError, match=r"did not end within 0\.05 s"):
        commands.run(["sleep", "10"], timeout=0.05)
    with pytest.raises(LabError, match="cannot run no-such-tool"):
        commands.run(["no-such-tool"])


def test_missing_packages_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(commands.shutil, "which", lambda tool, path: None if tool != "ssh" else tool)
    reason = commands.why_not()
    assert reason is not None
    assert "apt-get install -y debootstrap iproute2 openssh-client systemd-container util-linux" in reason


@pytest.mark.needs_user
def test_whoever_is_not_root_is_told_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "lab.up"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 78
    assert done.stderr.strip() == "lab: lab hosts need root: run it as root (sudo ./dev ...)"
