"""Rubbish on the socket, in the files and from the bot: it ends no guard, starts nothing twice, steers no terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World


@contextlib.contextmanager
def client(world: World) -> Iterator[socket.socket]:
    folder = os.open(world.instance, os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(f"/proc/self/fd/{folder}/control.sock")
        os.close(folder)
        yield connection


RUBBISH = {
    "words": b"hello\n",
    "binary": bytes(range(256)) + b"\n",
    "a list": b"[1, 2]\n",
    "a number": b"7\n",
    "null": b"null\n",
    "an empty line": b"\n",
    "an empty object": b"{}\n",
    "an unknown verb": b'{"verb": "explode"}\n',
    "a verb of the wrong type": b'{"verb": [1]}\n',
    "an object as verb": b'{"verb": {"a": 1}}\n',
    "deep nesting": b"[" * 60_000 + b"\n",
    "half a line": b'{"verb": "st',
    "a megabyte in one line": b"x" * 1_000_000,
    "NUL bytes": b"\0" * 5000 + b"\n",
    "two requests": b'{"verb":"ping"}\n{"verb":"ping"}\n',
    "odd types": b'{"verb": "ping", "by": {"x": 1}, "reason": null}\n',
    "NaN": b'{"verb": NaN}\n',
    "bad UTF-8": b'{"verb": "\xff\xfe"}\n',
    "a lone surrogate": b'{"verb": "start", "by": "\\ud800", "reason": "\\udfff"}\n',
}


def test_rubbish_on_the_control_socket_harms_nobody(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    for name, rubbish in RUBBISH.items():
        with client(world) as connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        assert oracle.alive(guard), name
    status = world.status()
    assert status["guard"]["answers"] is True and status["guard"]["pid"] == guard and status["pid"] == pid
    assert world.bots() == [pid] and len(world.births()) == 1


@pytest.mark.fault("F23")
def test_forty_silent_clients_neither_block_the_guard_nor_the_restart(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    with contextlib.ExitStack() as stack:
        for number in range(40):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(client(world))
                connection.sendall(b"" if number % 2 else b'{"verb": "pi')
        world.kill(pid)
        new = world.until_running(other_than=pid)
        assert world.verb("guard", timeout=20).code in (0, 75)
        assert world.guards == [guard]
    oracle.until(lambda: (world.status()["guard"] or {}).get("answers"), "it answers again", every=0.2)
    assert world.ok("stop", "--json").json["old_pid"] == new


def test_a_client_that_never_reads_its_answer_does_not_block_the_guard(world: World) -> None:
    world.guard()
    world.until_running()
    with client(world) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.sendall(b'{"verb": "ping"}\n')
        assert world.ok("check", "--json", timeout=10).code == 0


@pytest.mark.parametrize(
    ("content", "runs"),
    [(b"", True), (b"garbage", True), (b'{"desired": 7}', True), (b"\xff\xfe", True), (b"[]", True),
     (b'{"desired": "stopped", "by": "al', False), (b'{"desired": "stopped"}garbage', False)],
)  # fmt: skip
@pytest.mark.promise(5)
def test_a_damaged_wish_counts_as_the_word_that_is_left_of_it(world: World, content: bytes, runs: bool) -> None:
    world.ok("stop")
    (world.instance / "desired").write_bytes(content)
    world.ok("check")
    assert (len(world.bots()) == 1) is runs
    assert world.status()["desired"] == ("run" if runs else "stopped")


@pytest.mark.fault("F74")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"until_utc": "soon"}', bytes(range(256))])
def test_a_damaged_maintenance_record_hinders_no_verb(world: World, content: bytes) -> None:
    world.ok("maintenance", "on")
    (world.instance / "maintenance").write_bytes(content)
    assert world.verb("status", "--json").code in (0, 3)
    assert world.ok("maintenance", "on", "--for", "1h", "--json").json["maintenance"]["remaining_s"] > 3500
    assert world.ok("maintenance", "off", "--json").json["maintenance"] is None


@pytest.mark.fault("F72")
@pytest.mark.parametrize("what", ["a file in its place", "a link to nowhere", "not writable"])
def test_a_log_directory_that_cannot_be_used_hinders_no_restart(world: World, what: str) -> None:
    logs = world.project / "logs"
    if what == "a file in its place":
        logs.write_text("not a directory")
    elif what == "a link to nowhere":
        logs.symlink_to("/nowhere/logs")
    else:
        logs.mkdir()
        for name in ("watchdog.log", "bot.out"):
            (logs / name).mkdir()  # root may write anywhere, but not into a directory
    world.behave({"say": ["hello from the bot"]})
    world.guard()
    pid = world.until_running()
    world.kill(pid)
    new = world.until_running(other_than=pid)
    assert world.ok("check", "--json").json["pid"] == new
    assert (world.instance / "bot.out").read_text().count("hello from the bot") == 2


ALERTS = {
    "empty": b"",
    "half": b"{",
    "a list": b"[]",
    "bad UTF-8": b"\xff\xfe",
    "nothing in it": b"{}",
    "wrong types": b'{"subject": 7, "body": null, "utc": "x", "id": []}',
    "infinite time": b'{"subject": "s", "body": "b", "utc": 1e999}',
}


@pytest.mark.fault("F74")
@pytest.mark.parametrize("kind", [*ALERTS, "directory", "dangling link", "FIFO"])
def test_a_corrupted_alert_does_not_keep_the_others_from_being_sent(world: World, sink: MailSink, kind: str) -> None:
    new = world.instance / "outbox" / "new"
    new.mkdir(parents=True, mode=0o700)
    world.instance.chmod(0o700)
    bad = new / f"{1:020d}-1-abcdef.json"
    if kind == "directory":
        bad.mkdir()
    elif kind == "dangling link":
        bad.symlink_to("/nowhere/x")
    elif kind == "FIFO":
        os.mkfifo(bad)
    else:
        bad.write_bytes(ALERTS[kind])
    pid = world.ok("check", "--json").json["pid"]
    sink.wait_for(lambda mail: str(pid) in mail.text, timeout=20)
    oracle.until(lambda: len(world.outbox()) == (1 if kind == "dangling link" else 0), "nothing waits any more")


@pytest.mark.fault("F46")
@pytest.mark.fault("F65")
def test_a_bot_that_prints_megabytes_and_escape_sequences_lives_on_and_logs_show_it_safely(world: World) -> None:
    world.behave({"flood": 9_000_000})
    pid = world.ok("start", "--json").json["pid"]
    oracle.until(lambda: world.lines("flooded"), "it has printed it all, with nobody to read it")
    assert world.bots() == [pid]
    done = world.ok("logs", "--lines", "5")
    assert len(done.out.splitlines()) == 5
    assert "evil" in done.out and not set(done.out) & {chr(code) for code in range(32) if chr(code) not in "\n\t"}
    assert "\x1b" not in world.ok("logs", "--json", "-n", "1").out


@pytest.mark.fault("F28")
def test_without_a_lock_directory_nothing_is_started_and_exit_is_78(world: World) -> None:
    world.instance.parent.mkdir(parents=True, exist_ok=True)
    world.instance.write_text("a file where the locks should be")
    try:
        for verb in ("check", "guard", "start"):
            done = world.verb(verb)
            assert done.code == 78 and str(world.instance) in done.err
    finally:
        world.instance.unlink()
    assert world.births() == []


@pytest.mark.fault("F28")
def test_a_lock_directory_that_others_can_write_is_refused(world: World) -> None:
    world.ok("stop")
    world.instance.chmod(0o777)
    done = world.verb("start")
    assert done.code == 78 and "chmod 700" in done.err
    assert world.births() == []
    world.instance.chmod(0o700)
    assert world.ok("start").code == 0


@pytest.mark.fault("F76")
@pytest.mark.promise(6)
def test_a_deploy_that_swaps_the_projects_files_leaves_a_healthy_bot_alone(world: World) -> None:
    guard = world.guard()
    pid = world.until_running()
    source = world.script.parent
    shutil.copytree(source, world.folder / "new")
    source.rename(world.folder / "old")
    (world.folder / "new").rename(source)
    assert world.ok("check", "--json").json["pid"] == pid
    world.kill(guard)
    world.until_guarded(other_than=guard)
    assert world.ok("check", "--json").json["pid"] == pid
    assert len(world.births()) == 1


@pytest.mark.fault("F70")
@pytest.mark.fault("F77")
def test_logs_that_are_rotated_or_removed_under_the_bot_hinder_nobody(world: World) -> None:
    world.behave({"say": ["one line"]})
    world.guard()
    pid = world.until_running()
    shutil.rmtree(world.project / "logs")
    world.kill(pid)
    assert world.until_running(other_than=pid)
    assert "one line" in world.ok("logs").out
    assert "restarted" in {event["kind"] for event in world.events()}
