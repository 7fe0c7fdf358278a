"""The outbox: an alert is a file first; bounded, in order, without secrets, and never a reason to wait."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.mail_sink import MailSink
from tests.unit.watchdog.parts import settings_for, until
from watchdog import launch, outbox, paths
from watchdog.config import Config
from watchdog.instance import Instance
from watchdog.journal import Journal
from watchdog.outbox import Outbox

SECRET = "correct-horse-battery"
SMTP = {
    "SMTP_SERVER": "127.0.0.1",
    "SMTP_PORT": "9",
    "ALERT_EMAIL_FROM": "bot@x.example",
    "ALERT_EMAIL_TO": "ops@x.example",
}


@pytest.fixture
def places(config: Config, instance: Instance) -> paths.Paths:
    return paths.of(config, instance)


@pytest.fixture
def sink() -> Iterator[MailSink]:
    with MailSink() as found:
        yield found


def entries(box: str) -> list[dict[str, Any]]:
    """What waits, oldest first."""
    return [json.loads(Path(path).read_text()) for path in outbox.pending(box)]


def entry(number: int) -> dict[str, Any]:
    """An alert that is easily told apart."""
    return {"id": f"{number:020d}-1-abc", "utc": time.time(), "subject": f"alert {number}", "body": "x"}


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


# Writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F61")
def test_alerts_wait_in_the_order_of_their_writing(config: Config, places: paths.Paths) -> None:
    for number in range(30):
        outbox.put(places.outbox, outbox.write_entry(config, "restarted", f"number {number}", {}))
    assert [found["body"].splitlines()[2] for found in entries(places.outbox)] == [f"number {n}" for n in range(30)]


@pytest.mark.fault("F61")
def test_two_alerts_in_the_same_instant_both_survive(
    config: Config, places: paths.Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.clock.utc", lambda: 1_795_500_000.0)
    for _ in range(20):
        outbox.put(places.outbox, outbox.write_entry(config, "restarted", "the same", {}))
    assert len(outbox.pending(places.outbox)) == 20


@pytest.mark.fault("F61")
def test_of_too_many_the_first_and_the_newest_stay(places: paths.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LIMIT", 10)
    for number in range(40):
        outbox.put(places.outbox, entry(number))
        assert len(outbox.pending(places.outbox)) <= 10
    found = [one["subject"] for one in entries(places.outbox)]
    assert found == ["alert 0", *(f"alert {n}" for n in range(31, 40))]


def test_alerts_are_for_their_owner_alone_and_whole(places: paths.Paths) -> None:
    outbox.put(places.outbox, entry(1))
    (path,) = outbox.pending(places.outbox)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    assert os.listdir(os.path.join(places.outbox, "tmp")) == []


@pytest.mark.fault("F70")
def test_a_write_that_fails_leaves_no_rubbish(places: paths.Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        outbox.put(places.outbox, entry(1))
    assert [os.listdir(os.path.join(places.outbox, name)) for name in ("tmp", "new")] == [[], []]


def test_an_empty_or_missing_box_holds_nothing(places: paths.Paths) -> None:
    assert outbox.pending(places.outbox) == []


# What an alert says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "mark"), [("restarted", "✅"), ("failed", "❌"), ("error", "⚠️"), ("test", "📧")])
def test_an_alert_names_bot_host_time_and_what_to_do(config: Config, kind: str, mark: str) -> None:
    end = {"time": "2026-11-24T06:00:00Z", "code": 1, "signal": None, "text": "ended with exit code 1"}
    found = outbox.write_entry(config, kind, "the sentence", {"last_exit": end})
    assert found["subject"].startswith(f"{mark} dcaTrader on ")
    assert "the sentence" in found["body"] and config.script in found["body"]
    assert ("ended with exit code 1" in found["body"]) is (kind != "test")
    assert ("What to do" in found["body"]) is (kind != "test")
    assert json.loads(json.dumps(found)) == found


@pytest.mark.fault("F40")
@pytest.mark.fault("F65")
def test_an_alert_quotes_the_last_lines_of_the_bot_and_no_more(config: Config, tmp_path: Path) -> None:
    out = tmp_path / "bot.out"
    out.write_bytes(b"old\n" * 1_000_000 + b"\x1b[31mTraceback\x07\xff\n" + b"y" * 5000 + b"\nValueError: no price\n")
    body = outbox.write_entry(config, "failed", "x", {"bot_out": str(out)})["body"]
    assert "ValueError: no price" in body and "[31mTraceback" in body
    assert len(body) < 20_000
    assert all(char.isprintable() or char == "\n" for char in body)


def test_output_that_is_missing_is_no_error(config: Config, tmp_path: Path) -> None:
    assert "x" in outbox.write_entry(config, "failed", "x", {"bot_out": str(tmp_path / "no")})["body"]


@pytest.mark.promise(7)
@pytest.mark.parametrize("padding", [0, 100, 270, 280, 290, 295, 299])
def test_no_secret_is_quoted_not_even_a_part_of_one(project: Path, tmp_path: Path, padding: int) -> None:
    out = tmp_path / "bot.out"
    filling = "word " * 60
    out.write_text(f"{filling[:padding]}{SECRET} and more\n{filling[:padding]}password={SECRET}\n")
    guarded = settings_for(project, smtp={**SMTP, "SMTP_PASSWORD": SECRET})
    found = outbox.write_entry(guarded, "failed", f"it said {SECRET}", {"bot_out": str(out)})
    text = found["body"] + found["subject"]
    assert not any(SECRET[:length] in text for length in range(4, len(SECRET) + 1))


@pytest.mark.promise(7)
def test_the_secrets_of_the_bots_own_env_file_are_not_quoted(project: Path, tmp_path: Path) -> None:
    (project / ".env").write_text("EXCHANGE_API_SECRET='kraken-pass-phrase'\nPAIR=BTCUSD\nDB_PASSWORD=swordfish1\n")
    out = tmp_path / "bot.out"
    out.write_text("login kraken-pass-phrase / swordfish1 for BTCUSD\n")
    guarded = settings_for(project, smtp=SMTP, app_env_file=str(project / ".env"))
    body = outbox.write_entry(guarded, "failed", "x", {"bot_out": str(out)})["body"]
    assert "kraken-pass" not in body and "swordfish" not in body
    assert "BTCUSD" in body


# Sending -------------------------------------------------------------------------------------------------------------


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
    until(lambda: idle(box))
    box.deliver()
    until(lambda: len((tmp_path / "senders").read_text().split()) == 2)
    until(lambda: idle(box))


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


# The sender ----------------------------------------------------------------------------------------------------------


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
    assert [one["subject"] for one in entries(places.outbox)] == ["alert 2"]
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
