"""The outbox: an alert is a file first; bounded, in order, without secrets, and never a reason to wait."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.unit.watchdog.alerts import SECRET, SMTP, entry, queued
from tests.unit.watchdog.parts import settings_for
from watchdog import outbox, paths
from watchdog.config import Config

# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F61")
def test_alerts_wait_in_the_order_of_their_writing(config: Config, places: paths.Paths) -> None:
    for number in range(30):
        outbox.put(places.outbox, outbox.write_entry(config, "restarted", f"number {number}", {}))
    assert [found["body"].splitlines()[2] for found in queued(places.outbox)] == [f"number {n}" for n in range(30)]


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
    found = [one["subject"] for one in queued(places.outbox)]
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


# What an alert says ---------------------------------------------------------------------------------------------------


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
