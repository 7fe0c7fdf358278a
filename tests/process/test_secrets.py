"""No secret in a log, an alert, an event, a process list; and the bot never gets the mail account."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.world import World

PASSWORD = "correct-horse-battery-42"


def files_with(secret: str, *folders: Path) -> list[Path]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if os.fsencode(secret) in path.read_bytes()]


@pytest.mark.promise(7)
def test_the_smtp_password_is_nowhere_but_where_it_was_put(world: World) -> None:
    with MailSink(auth=("bot", PASSWORD), tls="starttls") as server:
        secrets = world.folder / "secret" / "smtp.env"
        secrets.parent.mkdir(mode=0o700)
        secrets.write_text(
            f"SMTP_SERVER=127.0.0.1\nSMTP_PORT={server.port}\nSMTP_USERNAME=bot\nSMTP_PASSWORD={PASSWORD}\n"
            f"SMTP_CA_FILE={server.ca_file}\nALERT_EMAIL_FROM=a@b.example\nALERT_EMAIL_TO=c@d.example\n"
        )
        secrets.chmod(0o600)
        door = world.folder / "door"
        settings = " ".join(f"{key}={value}" for key, value in world.env.items())
        door.write_text(
            f"#!/bin/sh\n{settings} PYTHONPATH={world.agent} exec {world.python} -m watchdog"
            f' --config {secrets} --door {door} "$@"\n'
        )
        door.chmod(0o755)
        world.behave({"inspect": True, "say": [f"logging in with {PASSWORD}"]})
        run = world.spawn([str(door), "guard"], Path("/"), {"PATH": "/usr/bin:/bin"})
        assert run.wait(20) == 0
        first = world.until_bot()
        server.wait_for(lambda mail: str(first) in mail.text)
        world.kill(first)
        second = world.until_bot(other_than=first)
        world.behave({"say": [f"password: {PASSWORD}"]})
        server.wait_for(lambda mail: str(second) in mail.text)
        world.kill(world.guards[0])
        world.until_guarded()
        for words in (["alert-test"], ["status", "--json"], ["--debug", "check"], ["--debug", "guard"]):
            done = world.spawn([str(door), *words], Path("/"), {"PATH": "/usr/bin:/bin"})
            out, err = done.communicate(timeout=30)
            assert done.returncode == 0 and PASSWORD not in out + err
        ours = oracle.related(f"{world.folder}/", world.instance.name)
        assert second in ours and len(ours) >= 3
        for pid in ours:
            for name in ("cmdline", "environ"):
                assert os.fsencode(PASSWORD) not in oracle.read(pid, name), (pid, oracle.read(pid, "cmdline"))
        assert all(PASSWORD not in mail.raw.decode("utf-8", "replace") for mail in server.mails)
        assert all(mail.encrypted for mail in server.mails)
    bots_words = world.project / "logs" / "bot.out"
    found = set(files_with(PASSWORD, world.project, world.instance))
    assert found == {bots_words, world.project / "behaviour.json"}, "the bot's own words stay as they are"
    given = (world.project / "given.json").read_text()
    assert "SMTP_" not in given and "ALERT_" not in given


@pytest.mark.promise(7)
def test_the_bot_does_not_inherit_the_mail_account_from_the_environment(world: World, sink: MailSink) -> None:
    world.env.update(SMTP_USERNAME="bot", SMTP_PASSWORD=PASSWORD)
    world.behave({"inspect": True})
    for verb in ("check", "restart"):
        world.verb(verb)
        assert not [key for key in oracle.environment(world.bot) if key.startswith(("SMTP_", "ALERT_"))]
        assert os.fsencode(PASSWORD) not in oracle.read(world.bot, "environ")


@pytest.mark.promise(7)
def test_state_and_logs_are_for_their_owner_alone(world: World, sink: MailSink) -> None:
    world.guard()
    world.until_running()
    sink.wait_for()
    assert world.instance.stat().st_mode & 0o777 == 0o700
    for path in [*world.instance.rglob("*"), *(world.project / "logs").rglob("*")]:
        if not path.is_dir():
            assert path.lstat().st_mode & 0o077 == 0, path
