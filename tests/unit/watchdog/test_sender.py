"""The sender: a process of its own that may hang; what the server took is gone, the rest waits."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.unit.watchdog.alerts import SECRET, SMTP, entry, queued
from tests.unit.watchdog.parts import until
from watchdog import launch, outbox, paths
from watchdog.config import Config
from watchdog.journal import Journal
from watchdog.outbox import Outbox


def idle(box: Outbox) -> bool:
    """True once all of its senders have ended and are buried."""
    box.reap()
    return box._sender is None and not box._messengers


def with_door(config: Config, tmp_path: Path, program: str) -> Config:
    """A configuration whose sender is this shell program."""
    door = tmp_path / "door"
    door.write_text(f"#!/bin/sh\n{program}\n")
    door.chmod(0o755)
    return config._replace(door=str(door), smtp=SMTP)


# Sending --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F64")
def test_without_mail_settings_nothing_is_queued_and_it_is_said_once(
    config: Config, places: paths.Paths, journal: Journal
) -> None:
    for smtp, level in (({}, "INFO"), ({"SMTP_SERVER": "x"}, "WARNING")):
        box = Outbox(config._replace(smtp=smtp), places, journal)
        for _ in range(3):
            box.alert("failed", "x", {})
        lines = Path(journal.log_file).read_text().splitlines()
        assert len(lines) == 1 and level in lines[0]
        os.unlink(journal.log_file)
    assert outbox.pending(places.outbox) == []


@pytest.mark.promise(4)
@pytest.mark.fault("F60")
def test_an_alert_waits_for_nobody(config: Config, places: paths.Paths, journal: Journal, tmp_path: Path) -> None:
    slow = f"echo $$ >> {tmp_path}/senders; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    box = Outbox(with_door(config, tmp_path, slow), places, journal)
    for number in range(20):
        box.alert("restarted", f"number {number}", {})
    until((tmp_path / "senders").exists)
    assert len(outbox.pending(places.outbox)) == 20, "all written, while the sender hangs"
    assert len((tmp_path / "senders").read_text().split()) == 1, "one sender at a time"
    (tmp_path / "go").touch()
    until(lambda: idle(box) and len((tmp_path / "senders").read_text().split()) == 2)  # the first may have missed some
    box.reap()
    assert idle(box), "no third one: what a dead server leaves waiting is no news"
    box.deliver()
    until(lambda: idle(box) and len((tmp_path / "senders").read_text().split()) == 3)


@pytest.mark.fault("F70")
@pytest.mark.parametrize("line", ["Traceback", "🚧" * 400, '"\\' * 200])
def test_an_alert_that_cannot_be_written_goes_to_the_sender_on_stdin(
    config: Config, places: paths.Paths, journal: Journal, tmp_path: Path, line: str
) -> None:
    box = Outbox(
        with_door(
            config, tmp_path, f'cat > {tmp_path}/part; echo "$@" > {tmp_path}/words; mv {tmp_path}/part {tmp_path}/mail'
        ),
        places,
        journal,
    )
    Path(places.outbox).parent.mkdir(parents=True, exist_ok=True)
    Path(places.outbox).write_text("a file where the folder should be")
    out = tmp_path / "bot.out"
    out.write_text((line + "\n") * 30)
    box.alert("failed", "the disk is full", {"bot_out": str(out)})
    text = until(lambda: (tmp_path / "mail").exists() and (tmp_path / "mail").read_text())
    assert "the disk is full" in json.loads(text)["body"]
    assert (tmp_path / "words").read_text() == "send --stdin\n"
    until(lambda: idle(box))


def test_a_sender_that_cannot_be_started_is_said_and_the_alert_waits(
    config: Config, places: paths.Paths, journal: Journal
) -> None:
    box = Outbox(config._replace(door="/no/such/door", smtp=SMTP), places, journal)
    box.alert("failed", "x", {})
    assert len(outbox.pending(places.outbox)) == 1
    assert "cannot start the sender" in Path(journal.log_file).read_text()


# The sender -----------------------------------------------------------------------------------------------------------


def send(config: Config, places: paths.Paths, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a sender to its end."""
    settled = config._replace(state_dir=places.state_dir)
    done = subprocess.run(
        launch.command(settled, "send", *words), env=launch.environment(settled), cwd="/", input=stdin,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def through(config: Config, sink: MailSink, **more: str) -> Config:
    """A configuration that sends to a sink."""
    return config._replace(smtp={**SMTP, "SMTP_SERVER": sink.host, "SMTP_PORT": str(sink.port), **more})


@pytest.mark.fault("F61")
def test_what_the_server_took_is_gone_and_came_in_order(config: Config, places: paths.Paths, sink: MailSink) -> None:
    for number in range(4):
        outbox.put(places.outbox, entry(number))
    send(through(config, sink), places)
    assert [found.subject for found in sink.mails] == [f"alert {n}" for n in range(4)]
    assert outbox.pending(places.outbox) == []
    send(through(config, sink), places)
    assert len(sink.mails) == 4, "nothing is sent twice"


@pytest.mark.fault("F60")
@pytest.mark.parametrize("behaviour", ["refuse", "4xx"])
def test_what_could_not_be_sent_now_waits(config: Config, places: paths.Paths, behaviour: str) -> None:
    outbox.put(places.outbox, entry(1))
    with MailSink(behaviour=behaviour) as sink:
        send(through(config, sink), places)
    assert len(outbox.pending(places.outbox)) == 1 and outbox.pending(places.outbox, "dead") == []


@pytest.mark.fault("F60")
def test_what_no_server_will_take_is_set_aside(config: Config, places: paths.Paths) -> None:
    outbox.put(places.outbox, entry(1))
    with MailSink(behaviour="5xx") as sink:
        send(through(config, sink), places)
    assert outbox.pending(places.outbox) == [] and len(outbox.pending(places.outbox, "dead")) == 1


@pytest.mark.fault("F74")
def test_damaged_files_are_set_aside_and_hold_up_nobody(config: Config, places: paths.Paths, sink: MailSink) -> None:
    outbox.put(places.outbox, entry(5))
    new = Path(places.outbox) / "new"
    for name, content in {"1": b"", "2": b"{", "3": b"[]", "4": b"\xff\xfe", "6": b'{"utc": null, "id": 5}'}.items():
        (new / f"{name}.json").write_bytes(content)
    (new / "note.txt").write_text("not ours")
    send(through(config, sink), places)
    assert "alert 5" in [found.subject for found in sink.mails]
    assert outbox.pending(places.outbox) == []
    assert {"1.json", "2.json", "3.json", "4.json"} <= set(os.listdir(Path(places.outbox) / "dead"))


@pytest.mark.fault("F61")
def test_an_alert_that_waited_too_long_is_set_aside_while_no_server_answers(
    config: Config, places: paths.Paths
) -> None:
    outbox.put(places.outbox, {**entry(1), "utc": time.time() - 30 * 86_400})
    outbox.put(places.outbox, entry(2))
    with MailSink(behaviour="refuse") as sink:
        send(through(config, sink), places)
    assert [one["subject"] for one in queued(places.outbox)] == ["alert 2"]
    assert len(outbox.pending(places.outbox, "dead")) == 1


@pytest.mark.fault("F70")
def test_an_alert_on_stdin_is_sent_without_a_file(config: Config, places: paths.Paths, sink: MailSink) -> None:
    send(through(config, sink), places, "--stdin", stdin=json.dumps(entry(7)))
    assert [found.subject for found in sink.mails] == ["alert 7"]
    assert outbox.pending(places.outbox) == []


@pytest.mark.promise(7)
@pytest.mark.fault("F60")
def test_no_failure_of_the_sender_shows_the_password(config: Config, places: paths.Paths) -> None:
    outbox.put(places.outbox, entry(1))
    with MailSink(auth=("bot", "another"), tls="starttls") as sink:
        guarded = through(config, sink, SMTP_USERNAME="bot", SMTP_PASSWORD=SECRET, SMTP_CA_FILE=str(sink.ca_file))
        done = send(guarded, places)
    logged = (Path(config.log_dir) / "watchdog.log").read_text()
    assert "535" in logged
    assert SECRET not in logged + done.stdout + done.stderr
