"""Hosts that are far, silent, dead or many: bounded time, and unreachable is not down."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ssh.bots import Door
from tests.ssh.checkout import ROOT, Checkout
from tests.ssh.conftest import MakeDoor, MakeSshd
from tests.ssh.sshd import Sshd, free_port, make_key


def until(found: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + 20
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)


BOUNDED = 30  # seconds: a few of its own and room for a busy machine; without a bound it would be minutes


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def test_a_refused_port_is_a_row(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    port = free_port()
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_port": port})})
    done = checkout.fab("status")
    assert done.code == 4, done
    assert done.out.splitlines()[1].split() == ["bot", "UNREACHABLE", "connection", "refused"]
    assert f"bot: 127.0.0.1:{port} refuses the connection" in done.err


def test_a_name_that_does_not_resolve_is_a_row(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_host": "no-such-host.invalid"})})
    done = checkout.fab("status")
    assert done.code == 4
    assert "the name no-such-host.invalid cannot be resolved" in done.err


def test_a_frozen_sshd_is_a_row_within_the_connect_timeout(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor
) -> None:
    server = make_sshd()
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, make_door("bot").variables)})
    server.freeze()
    done = checkout.fab("-t", "2", "status")
    assert done.code == 4, done
    assert done.rows()[0][:2] == ["bot", "UNREACHABLE"]
    assert "does not answer within 2 s" in done.err
    assert done.seconds < BOUNDED


def test_a_session_that_freezes_after_the_login_is_bounded(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor
) -> None:
    server, door = make_sshd(), make_door("bot")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, door.variables)})
    door.hang("status", before="kill -STOP $PPID")
    done = checkout.fab("-T", "2", "status")
    assert done.code == 4, done
    assert "no answer within 2 s" in done.err
    assert done.seconds < BOUNDED


def test_a_command_that_hangs_is_bounded_and_said_to_be_running_still(checkout: Checkout, bot: Door) -> None:
    bot.hang("status")
    done = checkout.fab("-T", "1", "status")
    assert done.code == 4, done
    assert "no answer within 1 s; the command may still be running there" in done.err
    assert done.seconds < BOUNDED


def test_something_that_is_no_sshd_is_a_row(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, {"ansible_port": server.getsockname()[1]})})
        process = subprocess.Popen(checkout.argv("status"), cwd=ROOT, env=checkout.environment, stderr=subprocess.PIPE)
        for _ in range(4):
            connection, _ = server.accept()
            connection.recv(100)
            connection.close()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 4, err
    assert b"is that an sshd?" in err


def test_an_sshd_at_its_limit_of_unfinished_logins_is_asked_again(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor
) -> None:
    server = make_sshd(max_startups="3:100:3")
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({"bot": checkout.host(server, make_door("bot").variables)})
    with contextlib.ExitStack() as others:
        for _ in range(3):
            login = others.enter_context(socket.create_connection((server.address, server.port)))
            assert login.recv(4) == b"SSH-"
        process = subprocess.Popen(checkout.argv("status"), cwd=ROOT, env=checkout.environment, stderr=subprocess.PIPE)
        until(lambda: "past MaxStartups" in server.log())
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


@pytest.mark.serial
@pytest.mark.fault("F78")
def test_fifty_hosts_with_three_dead_and_one_hanging_are_a_table_in_bounded_time(
    checkout: Checkout, sshd: Sshd, make_door: MakeDoor, mute: int
) -> None:
    doors = {f"bot{number:02}": make_door(f"bot{number:02}") for number in range(50)}
    hosts = {name: checkout.host(sshd, door.variables) for name, door in doors.items()}
    hosts["bot10"]["ansible_port"] = free_port()
    hosts["bot20"]["ansible_host"] = "no-such-host.invalid"
    hosts["bot30"]["ansible_port"] = mute
    doors["bot40"].hang("status")
    doors["bot45"].status(3, state="stopped")
    checkout.write_inventory(hosts)
    done = checkout.fab("-t", "4", "-T", "5", "status")
    states = {row[0]: row[1] for row in done.rows()}
    assert list(states) == list(hosts), done
    lost = {"bot10", "bot20", "bot30", "bot40"}
    assert {name for name, state in states.items() if state == "UNREACHABLE"} == lost
    assert states["bot45"] == "stopped"
    assert sum(state == "running" for state in states.values()) == 45
    assert done.code == 4
    assert done.seconds < BOUNDED


def test_many_bots_on_one_host_do_not_run_into_its_limit_of_unfinished_logins(
    checkout: Checkout, make_sshd: MakeSshd, make_door: MakeDoor
) -> None:
    server = make_sshd(max_startups="10:100:10")
    doors = {f"bot{number:02}": make_door(f"bot{number:02}") for number in range(30)}
    checkout.trust(server.known_hosts_line())
    checkout.write_inventory({name: checkout.host(server, door.variables) for name, door in doors.items()})
    done = checkout.fab("status")
    assert done.code == 0, done
    assert len(done.rows()) == 30


def test_ctrl_c_while_waiting_names_who_has_not_answered_and_exits_130(
    checkout: Checkout, sshd: Sshd, make_door: MakeDoor, bot: Door
) -> None:
    slow = make_door("slow")
    slow.hang("status")
    hosts = {"bot": checkout.host(sshd, bot.variables), "slow": checkout.host(sshd, slow.variables)}
    checkout.write_inventory(hosts)
    process = subprocess.Popen(
        checkout.argv("status"), cwd=ROOT, env=checkout.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: bool(bot.calls() and slow.calls()))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"interrupted; no answer yet from " in err
    assert b"slow: look with `fab status`" in err
    assert b"Traceback" not in err
    assert time.monotonic() - began < 5


@pytest.fixture
def jump(checkout: Checkout, sshd: Sshd, make_sshd: MakeSshd, bot: Door) -> Sshd:
    """A jump host to the bot's host, known to ssh as ``gate``."""
    server = make_sshd("gate")
    checkout.ssh_config.write_text(
        f"Host gate\n  HostName {server.address}\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {checkout.key}\n  UserKnownHostsFile {checkout.known_hosts}\n"
    )
    checkout.trust(sshd.known_hosts_line(), server.known_hosts_line())
    arguments = {"ansible_ssh_common_args": f"{checkout.common_args} -J gate"}
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, arguments)})
    return server


def test_a_bot_behind_a_jump_host_is_reached(checkout: Checkout, jump: Sshd, bot: Door) -> None:
    done = checkout.fab("status")
    assert done.code == 0, done
    assert "Accepted publickey" in jump.log()


def test_the_jump_hosts_key_is_verified_too(checkout: Checkout, jump: Sshd, sshd: Sshd, bot: Door) -> None:
    checkout.trust(sshd.known_hosts_line())
    done = checkout.fab("status")
    assert done.code == 4, done
    assert f"bot: jump host gate: No ED25519 host key is known for {jump.listed_name}" in done.err
    assert "Accepted publickey" not in jump.log()
    assert bot.calls() == []


def test_the_key_of_the_host_behind_the_jump_host_is_verified(checkout: Checkout, jump: Sshd, sshd: Sshd) -> None:
    checkout.trust(jump.known_hosts_line())
    done = checkout.fab("status")
    assert done.code == 4
    assert f"bot: host key of {sshd.listed_name} is not known" in done.err


def test_many_hosts_share_one_connection_to_the_jump_host_and_one_failure(
    checkout: Checkout, jump: Sshd, sshd: Sshd, make_door: MakeDoor
) -> None:
    arguments = {"ansible_ssh_common_args": f"{checkout.common_args} -o ProxyJump=gate"}
    doors = {f"bot{number}": make_door(f"bot{number}") for number in range(12)}
    checkout.write_inventory({name: checkout.host(sshd, door.variables, arguments) for name, door in doors.items()})
    done = checkout.fab("status")
    assert done.code == 0, done
    assert jump.log().count("Accepted publickey") == 1
    jump.freeze()
    done = checkout.fab("-t", "2", "status")
    assert done.code == 4
    assert done.err.count("jump host gate: ") == 12, done
    assert done.seconds < BOUNDED


def test_a_changed_key_of_the_jump_host_is_refused(
    checkout: Checkout, jump: Sshd, sshd: Sshd, bot: Door, tmp_path: Path
) -> None:
    kind, data = make_key(tmp_path / "somebody").with_suffix(".pub").read_text().split()[:2]
    checkout.trust(sshd.known_hosts_line(), f"{jump.listed_name} {kind} {data}\n")
    checkout.ssh_config.write_text(checkout.ssh_config.read_text() + "  StrictHostKeyChecking no\n")
    done = checkout.fab("status")
    assert done.code == 4, done
    assert f"jump host gate: Host key for {jump.listed_name} has changed" in done.err
    assert bot.calls() == []


def test_a_chain_of_jump_hosts_is_followed_and_each_is_verified(
    checkout: Checkout, jump: Sshd, make_sshd: MakeSshd, sshd: Sshd, bot: Door
) -> None:
    inner, innermost = make_sshd("inner"), make_sshd("innermost")
    known = [server.known_hosts_line() for server in (sshd, jump, inner, innermost)]
    checkout.trust(*known)
    hop = f"{inner.user}@{inner.address}:{inner.port}"
    keys = f"Host 127.0.0.1\n  IdentityFile {checkout.key}\n  UserKnownHostsFile {checkout.known_hosts}\n"
    checkout.ssh_config.write_text(checkout.ssh_config.read_text() + keys)
    chain = f"gate,{hop},ssh://{innermost.user}@{innermost.address}:{innermost.port}"
    arguments = {"ansible_ssh_common_args": f"{checkout.common_args} -J {chain}"}
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, arguments)})
    done = checkout.fab("status")
    assert done.code == 0, done
    for server in (jump, inner, innermost):
        assert "Accepted publickey" in server.log()
    for missing, server in ((known[1], jump), (known[2], inner), (known[3], innermost)):
        checkout.trust(*(line for line in known if line != missing))
        done = checkout.fab("status")
        assert done.code == 4, done
        assert f"host key is known for {server.listed_name} and you have requested strict checking" in done.err


def test_a_killed_fab_leaves_no_connection_to_the_jump_host(checkout: Checkout, jump: Sshd, bot: Door) -> None:
    bot.hang("status")
    temporary = Path(tempfile.mkdtemp(dir="/tmp"))  # short: a socket's path has 104 bytes at most
    environment = {**checkout.environment, "TMPDIR": str(temporary)}
    process = subprocess.Popen(checkout.argv("status"), cwd=ROOT, env=environment)
    until(lambda: bool(bot.calls()))
    assert jump.children()
    process.kill()
    process.wait()
    until(lambda: not jump.children())
    until(lambda: not list(temporary.iterdir()))
    temporary.rmdir()


def test_a_jump_host_that_cannot_reach_the_target_says_so(
    checkout: Checkout, jump: Sshd, sshd: Sshd, bot: Door
) -> None:
    arguments = {"ansible_ssh_common_args": f"{checkout.common_args} -J gate", "ansible_port": free_port()}
    checkout.write_inventory({"bot": checkout.host(sshd, bot.variables, arguments)})
    done = checkout.fab("status")
    assert done.code == 4
    assert "the jump host gate cannot reach 127.0.0.1" in done.err


def test_a_proxy_command_is_used_and_its_complaint_is_passed_on(checkout: Checkout, sshd: Sshd, bot: Door) -> None:
    code = (
        "import os,socket,sys,threading;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "threading.Thread(target=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,9999),b'')],daemon=True).start();"
        "[os.write(1,d) for d in iter(lambda:s.recv(9999),b'')]"
    )
    proxy = checkout.folder / "relay.py"
    proxy.write_text(code)
    for command, exit_code in ((f"python3 {proxy} %h %p", 0), ("echo the tunnel is down >&2; exit 1; :", 4)):
        checkout.ssh_config.write_text(f"Host 127.0.0.1\n  ProxyCommand {command}\n")
        done = checkout.fab("status")
        assert done.code == exit_code, done
    assert "the ProxyCommand for 127.0.0.1" in done.err
    assert "the tunnel is down" in done.err
    assert done.seconds < BOUNDED


@pytest.fixture
def local(checkout: Checkout, make_door: MakeDoor) -> Door:
    """A bot on this machine."""
    door = make_door("here")
    checkout.write_inventory({"here": {"ansible_connection": "local", "watchdog_user": "", **door.variables}})
    return door


def test_a_local_host_needs_no_ssh_at_all(checkout: Checkout, local: Door) -> None:
    tools = checkout.folder / "tools"
    tools.mkdir()
    (tools / "cat").symlink_to("/bin/cat")
    done = checkout.fab("status", PATH=str(tools))
    assert (done.code, done.rows()[0][:2]) == (0, ["here", "running"]), done
    assert local.calls() == ["status --json"]


def test_a_local_command_that_hangs_is_ended(checkout: Checkout, local: Door) -> None:
    local.script("status", "echo $$ > " + str(checkout.folder / "pid") + "\nexec sleep 60\n")
    done = checkout.fab("-T", "1", "status")
    assert done.code == 4, done
    assert "no answer within 1 s" in done.err
    pid = int((checkout.folder / "pid").read_text())
    until(lambda: not os.path.exists(f"/proc/{pid}/exe"))


def test_a_missing_local_door_is_a_row(checkout: Checkout, local: Door) -> None:
    local.path.unlink()
    done = checkout.fab("status")
    assert done.code == 1
    assert f"no watchdog at {local.path} on here" in done.err
