"""The lab itself: its hosts are what tests take them for, and nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import api, network, registry
from lab.api import Lab
from lab.cgroup import mount_point
from lab.errors import LabError
from lab.image import SUITES

ROOT = Path(__file__).resolve().parents[2]

#: What a process does that needs its time to end in order; it leaves a file as proof.
SLOW_TO_END = "trap 'sleep 1; echo done > /var/tmp/ended; exit' TERM; touch /run/ready; while :; do sleep 0.1; done"


def traces(lab: Lab) -> list[str]:
    """Everything on this machine that still belongs to that lab."""
    unique = [host.unique for host in lab.record.hosts]
    found = [f"cgroup {name}" for name in unique if (mount_point() / name).exists()]
    found += [f"interface {name}" for name in network._interfaces() if name == lab.network.bridge]
    found += [f"folder {lab.record.folder}"] if lab.record.folder.exists() else []
    found += [
        f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(lab.record.folder) in line
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            groups = (process / "cgroup").read_text()
            dead = "\nState:\tZ" in (process / "status").read_text()
        except OSError:
            continue
        if dead:  # killed, and the machine's init has not reaped it yet
            continue
        found += [f"process {process.name} {command}" for name in unique if name in command or name in groups]
    return found


@pytest.mark.parametrize("suite", SUITES)
def test_hosts_of_every_suite_come_up_with_nothing_failed(start_lab, suite: str) -> None:
    lab = start_lab(hosts=2, suite=suite)
    for name in ("bot1", "bot2"):
        assert lab.ssh(name, "hostname").stdout.strip() == name
        assert lab.exec(name, ["systemctl", "is-system-running"]).stdout.strip() == "running"
        for unit in ("cron", "ssh"):
            assert lab.exec(name, ["systemctl", "is-active", unit]).stdout.strip() == "active"
    python = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}[suite]
    assert lab.ssh("bot1", "/usr/bin/python3 -V").stdout.startswith(f"Python {python}.")


def test_hosts_of_one_image_have_their_own_identity(fleet: Lab) -> None:
    for question in (
        ["hostname"],
        ["cat", "/etc/machine-id"],
        ["cat", "/proc/sys/kernel/random/boot_id"],
        ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"],
    ):
        answers = {fleet.exec(name, question).stdout for name in fleet.hosts}
        assert len(answers) == 3, question


def test_ssh_verifies_the_host_key(fleet: Lab) -> None:
    assert fleet.ssh("bot1", "true").returncode == 0
    keys = fleet.known_hosts.read_text()
    bot1, bot2, _ = (line.split()[2] for line in keys.splitlines())
    try:
        fleet.known_hosts.write_text(keys.replace(bot1, bot2))
        refused = fleet.ssh("bot1", "true", check=False)
    finally:
        fleet.known_hosts.write_text(keys)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_the_operator_may_sudo_and_the_bots_user_may_not(fleet: Lab) -> None:
    assert fleet.ssh("bot1", "sudo -n id -u").stdout.strip() == "0"
    assert fleet.ssh("bot1", "sudo -n -u trader whoami").stdout.strip() == "trader"
    assert fleet.ssh("bot1", "whoami", user="trader").stdout.strip() == "trader"
    assert fleet.ssh("bot1", "sudo -n true", user="trader", check=False).returncode != 0


def test_a_host_reaches_the_controller_and_its_neighbours_and_nothing_else(fleet: Lab) -> None:
    probe = "import socket, sys; socket.create_connection((sys.argv[1], 22), 5).close()"
    fleet.exec("bot1", ["python3", "-c", probe, "bot2"])
    serve = (
        f"import socket; s = socket.create_server(('{fleet.controller_address}', 0)); "
        "print(s.getsockname()[1], flush=True); s.accept()[0].send(b'hello')"
    )
    with subprocess.Popen([sys.executable, "-c", serve], stdout=subprocess.PIPE, text=True) as server:
        port = server.stdout.readline().strip()
        hear = (
            "import socket, sys; print(socket.create_connection(('controller', int(sys.argv[1])), 5).recv(9).decode())"
        )
        assert fleet.exec("bot1", ["python3", "-c", hear, port]).stdout.strip() == "hello"
    routes = fleet.exec("bot1", ["ip", "route"]).stdout.splitlines()
    assert [line.split()[0] for line in routes] == [f"10.77.{fleet.record.network}.0/24"]


def test_ansible_reaches_every_host_through_the_inventory(fleet: Lab) -> None:
    done = subprocess.run(
        ["ansible", "bots", "-m", "ansible.builtin.command", "-a", "hostname", "--become", "--one-line"],
        env=fleet.environment() | {"ANSIBLE_HOST_KEY_CHECKING": "True"},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == ["bot1", "bot2", "bot3"]


def test_a_reboot_keeps_the_disk_and_starts_a_new_life(lab: Lab) -> None:
    before = lab.boot_id("bot1")
    lab.exec("bot1", ["sh", "-c", "echo kept > /etc/kept; touch /run/forgotten"])
    lab.reboot("bot1")
    assert lab.boot_id("bot1") != before
    assert lab.ssh("bot1", "cat /etc/kept; ls /run/forgotten", check=False).stdout == "kept\n"


def test_a_host_that_reboots_by_itself_comes_back(lab: Lab) -> None:
    before = lab.hosts["bot1"].init_pid()
    lab.ssh("bot1", "sudo systemctl reboot", check=False)
    lab.hosts["bot1"].wait_ready(other_than=before)
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"


@pytest.mark.parametrize("suite", SUITES)
def test_an_orderly_shut_down_gives_processes_their_sigterm_and_their_time(start_lab, suite: str) -> None:
    lab = start_lab(suite=suite)
    lab.exec("bot1", ["systemd-run", "--quiet", "sh", "-c", SLOW_TO_END])
    lab.exec("bot1", ["sh", "-c", "until [ -e /run/ready ]; do sleep 0.05; done"])
    lab.shut_down("bot1")
    assert not lab.hosts["bot1"].is_up()
    lab.switch_on("bot1")
    assert lab.exec("bot1", ["cat", "/var/tmp/ended"]).stdout == "done\n"


def test_a_power_cut_asks_nobody(lab: Lab) -> None:
    lab.exec("bot1", ["sh", "-c", "echo 1 > /etc/before-the-cut; rm -f /var/tmp/ended"])
    lab.exec("bot1", ["systemd-run", "--quiet", "sh", "-c", SLOW_TO_END])
    lab.exec("bot1", ["sh", "-c", "until [ -e /run/ready ]; do sleep 0.05; done"])
    lab.cut_power("bot1")
    lab.switch_on("bot1")
    assert lab.exec("bot1", ["cat", "/etc/before-the-cut"]).stdout == "1\n"
    assert lab.exec("bot1", ["cat", "/var/tmp/ended"], check=False).returncode != 0


def test_a_frozen_host_accepts_connections_and_says_nothing(lab: Lab) -> None:
    lab.freeze("bot1")
    try:
        with pytest.raises(LabError, match="did not end within"):
            lab.ssh("bot1", "true", timeout=1)
    finally:
        lab.freeze("bot1", frozen=False)
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"


def test_a_host_without_its_cable_is_unreachable_until_it_is_back(lab: Lab) -> None:
    lab.plug("bot1", False)
    try:
        with pytest.raises(LabError, match="did not end within"):
            lab.ssh("bot1", "true", timeout=1)
    finally:
        lab.plug("bot1", True)
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"


def test_a_process_in_a_host_is_killed_by_its_pid_on_this_machine(lab: Lab) -> None:
    lab.exec("bot1", ["systemd-run", "--quiet", "--unit=victim", "--property=Type=exec", "sleep", "987654"])
    (pid,) = (pid for pid, words in lab.pids("bot1").items() if words[-1] == "987654")
    os.kill(pid, signal.SIGKILL)
    lab.exec("bot1", ["sh", "-c", "while systemctl is-active --quiet victim; do sleep 0.05; done"])
    assert "signal" in lab.exec("bot1", ["systemctl", "show", "-P", "Result", "victim"]).stdout
    lab.exec("bot1", ["systemctl", "reset-failed"])


def test_a_folder_is_copied_to_its_owner(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "app" / "src").mkdir(parents=True)
    (tmp_path / "app" / "src" / "main_app.py").write_text("print('hello')\n")
    lab.put("bot1", tmp_path / "app", "/home/trader/deep/dcaTrader", owner="trader")
    done = lab.exec(
        "bot1", ["sh", "-c", "stat -c %U deep/dcaTrader/src && cat deep/dcaTrader/src/main_app.py"], user="trader"
    )
    assert done.stdout == "trader\nprint('hello')\n"


def test_a_lab_that_is_down_leaves_nothing() -> None:
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    with api.session(hosts=2) as lab:
        lab.exec("bot1", ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null &"])
        assert {line.split()[0] for line in traces(lab)} == {"cgroup", "interface", "folder", "process"}
    assert traces(lab) == []
    if not registry.all_labs():
        assert not (registry.state_root() / "inotify-limit").exists()
    assert int(limit.read_text()) >= 1


def test_what_a_killed_run_left_is_removed_and_other_labs_are_not(lab: Lab) -> None:
    script = (
        "import sys\nfrom lab import api\n"
        "with api.session() as lab:\n    print(lab.record.name, flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        abandoned = api.find(owner.stdout.readline().strip())
        owner.send_signal(signal.SIGKILL)
    assert traces(abandoned) != []
    api.remove_abandoned()
    assert traces(abandoned) == []
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"


def test_a_run_killed_while_it_starts_hosts_leaves_nothing_after_the_next_look() -> None:
    """Killed at any moment of `up`: the record comes first, so whatever exists by then is known."""
    script = "from lab import api\nprint(flush=True)\napi.session(hosts=2).__enter__()\n"
    for delay in (0.02, 0.05, 0.1, 0.2, 0.5):
        with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
            owner.stdout.readline()
            time.sleep(delay)  # the moment of the kill is what is tried, not a wait for something
            left = [api.Lab(one) for one in registry.all_labs() if one.owner and one.owner.pid == owner.pid]
            owner.kill()
        left = left or [api.Lab(one) for one in registry.all_labs() if one.owner and one.owner.pid == owner.pid]
        api.remove_abandoned()
        assert [trace for one in left for trace in traces(one)] == []


def test_a_name_is_taken_once(lab: Lab) -> None:
    with pytest.raises(LabError, match="is up already"):
        api.up(1, name=lab.record.name)
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"


def test_a_host_that_cannot_boot_is_reported_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.image, "ensure", lambda suite, say: ROOT / "docs-that-are-no-image")
    before = {one.name for one in registry.all_labs()}
    with pytest.raises(LabError, match=r"bot1 ended with .*console\.log"):
        api.up(1, name="broken")
    assert "broken" not in {one.name for one in registry.all_labs()} - before


def test_the_command_line_starts_shows_and_ends_a_lab(lab: Lab) -> None:
    def invoke(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "invoke", *words], cwd=ROOT, capture_output=True, text=True)

    try:
        up = invoke("lab.up", "--hosts", "2", "--name", "cli-test")
        assert up.returncode == 0, up.stderr
        assert "export ANSIBLE_INVENTORY=" in up.stdout
        again = invoke("lab.up", "--name", "cli-test")
        assert again.returncode == 1
        assert again.stderr.count("\n") <= 1
        assert "is up already" in again.stderr
        assert "bot2" in invoke("lab.status").stdout
        assert invoke("lab.ssh", "--name", "cli-test", "--host", "bot2", "--", "hostname").stdout == "bot2\n"
    finally:
        down = invoke("lab.down", "--all")
    assert down.returncode == 0
    assert "cli-test" in down.stdout
    assert lab.ssh("bot1", "hostname").stdout == "bot1\n"  # a running session's hosts are not the command line's to end
    assert "cli-test" not in invoke("lab.status").stdout
