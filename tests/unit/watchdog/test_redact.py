"""Secrets go, what people need stays."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, settings_for
from watchdog.redact import GONE, redact, secrets

SECRET = "Zq7-hunter2"
LONG = "kV9bX2mQ8rT4wY6zA1cD3eF5gH7jK0lM"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

pytestmark = [pytest.mark.fault("F65"), pytest.mark.promise(7)]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"password={SECRET}", SECRET),
        (f"PASSWORD = {SECRET}", SECRET),
        (f"smtp_password: {SECRET}, next", SECRET),
        ('passwd="two words, one secret"', "two words"),
        ("passphrase='two words'", "two words"),
        (f'{{"secret": "{SECRET}", "x": 1}}', SECRET),
        (f"{{'api_key': '{SECRET}'}}", SECRET),
        (f"apikey={SECRET}&symbol=BTC", SECRET),
        (f"api-key: {SECRET}", SECRET),
        (f"APCA-API-KEY-ID: {SECRET}", SECRET),
        (f"APCA-API-SECRET-KEY={SECRET}", SECRET),
        (f"ALPACA_SECRET_KEY={SECRET}", SECRET),
        (f"aws_access_key_id = {SECRET}", SECRET),
        (f"private_key={SECRET}", SECRET),
        (f"token={SECRET}", SECRET),
        (f"access_token: {SECRET}", SECRET),
        (f"refreshToken={SECRET}", SECRET),
        (f"Authorization: Bearer {SECRET}", SECRET),
        (f"Authorization: Basic {SECRET}", SECRET),
        (f"authorization={SECRET}", SECRET),
        (f"sent Bearer {SECRET}", SECRET),
        (f"Cookie: sid={SECRET}", SECRET),
        (f"session_id={SECRET}", SECRET),
        (f"&signature={SECRET}&timestamp=1", SECRET),
        (f"https://user:{SECRET}@api.example/v2", SECRET),
        (f"postgresql://bot:{SECRET}@db:5432/x", SECRET),
        (f"redis://:{SECRET}@cache", SECRET),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("with sk_live_4eC39HqLyjWDarjt", "sk_live_4eC39HqLyjWDarjt"),
        ("with ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_16C7e42F"),
        ("with xoxb-17653672481-19874698323", "xoxb-17653672481"),
        (f"got {JWT}", JWT),
        (f"key {LONG} refused", LONG),
        (f"({LONG})", LONG),
        ("hex 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "9f86d081884c7d65"),
        (f"--password {SECRET} --live", SECRET),
        (f"['main_app.py', '--api-key', '{SECRET}']", SECRET),
        ("POST https://api.telegram.org/bot123456789:AAF0kQ9xY2z_AbCdEfGhIjKlMnOpQrStUvW/getMe", "AAF0kQ9xY2z"),
        ("POST https://discord.com/api/webhooks/1122334455/kV9bX2mQ8rT4wY6zA1cD3eF5gH7jK0lM", "kV9bX2mQ8rT4"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, secret: str) -> None:
    found = redact(text)
    assert secret not in found
    assert GONE in found


@pytest.mark.parametrize(
    "text",
    [
        "bought 0.015 BTC at 67,123.45 USD (fee 0.1 %)",
        "price=67123.45 qty=0.00150000 notional=100.00",
        "bot (PID 123456) ended with exit code 1 after 3 h 5 min",
        "PID 4711 -> PID 4712",
        "2026-11-24T05:40:01.250Z INFO started",
        "2026-11-24 05:40:01,250 - dcaTrader - ERROR - timeout",
        "until 2026-11-24T07:40:01Z (2 h left)",
        '  File "/opt/bots/dcaTrader/src/exchange/alpaca_client_v2.py", line 123, in place_market_order_v2',
        "/opt/dca-watchdog/dcaTrader/releases/0.1.0-ab12cd34ef56/lib/watchdog/engine.py",
        "~/.local/state/dca-watchdog/main_app-0123456789abcdef/bot.lock",
        "it was stuck at src/auth.py:42 in login (innermost: src/api_token.py:7 in read); other threads: cookie.py:1",
        "order 8f3a2b1c filled",
        "order id=A1B2C3D4E5F6 status=new",
        "client_order_id: dca-20261124-0042",
        "order 7c9e6679a1b2c3d4 cancelled",
        "asset BTC/USD, ETHUSDT, BRK.B",
        "KeyError: 'close'",
        "requests.exceptions.ConnectTimeout: HTTPSConnectionPool(host='api.alpaca.markets', port=443)",
        "ModuleNotFoundError: No module named 'websocket'",
        "https://api.exchange.example/v2/orders?symbol=BTCUSD&limit=100",
        "wss://stream.example:8443/v1beta3/crypto",
        "host bot1.example, kernel 6.1.0-28-amd64, python 3.11.2",
        "memory 123456789 bytes, 1234567890123456789012345 ticks",
        "was killed by SIGKILL",
        "==================================================",
        "--------------------------------------------------",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
        "a_rather_long_function_name_without_any_digit_in_it()",
        "✅ dcaTrader on bot1: restarted",
        "Zeit 05:40 Größe 3 µm",
        "",
    ],
)
def test_what_people_need_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("secret", ["p.w+d*[1]", "with space", "{{ x }}", "ünïcode", "$&|;", "\\1\\g<0>"])
def test_a_known_secret_goes_wherever_it_stands(secret: str) -> None:
    found = redact(f"a{secret}b {secret} ({secret})", (secret,))
    assert secret not in found
    assert found == f"a{GONE}b {GONE} ({GONE})"


def test_of_two_known_secrets_the_longer_goes_first() -> None:
    assert redact("xx hunter2-long xx", ("hunter2", "hunter2-long")) == f"xx {GONE} xx"


def test_a_secret_too_short_to_be_told_apart_does_not_eat_the_text() -> None:
    assert redact("1 of 10 orders", ("1",)) == "1 of 10 orders"


@PROPERTY
@given(
    before=st.text(max_size=50),
    secret=st.from_regex(r"[A-Za-z0-9!@%*_.-]{4,20}", fullmatch=True),
    after=st.text(max_size=50),
)
def test_a_known_secret_never_survives(before: str, secret: str, after: str) -> None:
    text = redact(f"{before}{secret}{after}", (secret,))
    assert secret not in text.replace(GONE, "\0")


def test_a_secret_that_is_both_known_and_named_leaves_one_mark() -> None:
    assert redact("SMTP_PASSWORD=hunter2, next", ("hunter2",)) == f"SMTP_PASSWORD={GONE}, next"


@pytest.mark.parametrize("text", [f"token={SECRET}", f"token={SECRET}]", f"API_KEY='{SECRET}', next", f"pwd: {SECRET}"])
def test_what_was_redacted_already_stays_as_it_is(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", [f"auth.py:1{SECRET}", f"token:4711{SECRET}", "auth:4711"])
def test_nothing_hides_behind_what_looks_harmless(text: str) -> None:
    assert SECRET not in redact(text) and "4711" not in redact(text)


@pytest.mark.promise(4)
@pytest.mark.parametrize("word", ["password", "auth", "token.", "a", "x_", "eyJ", "token: ", "-", "a://", "Bearer "])
def test_a_hostile_line_does_not_keep_the_guard_busy(word: str) -> None:
    before = time.process_time()
    redact((word * 1500)[:1500])
    assert time.process_time() - before < 0.3


@pytest.mark.promise(7)
def test_what_counts_as_a_secret_of_the_bot(project: Path) -> None:
    (project / ".env").write_text("API_KEY=abc\nPAIR=BTCUSD\nSeed=words of mine\nEMPTY_TOKEN=\n")
    base = settings_for(project, smtp={"SMTP_PASSWORD": "hunter2", "SMTP_USERNAME": "me"})
    assert secrets(base) == ("hunter2",)
    assert set(secrets(base._replace(app_env_file=str(project / ".env")))) == {"hunter2", "abc", "words of mine"}
    assert secrets(base._replace(app_env_file=str(project / "none"), smtp={})) == ()
