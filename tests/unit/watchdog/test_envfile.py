"""Env files: what the role writes is what the agent reads, and errors name the line but never the value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment

from tests.unit.watchdog.parts import PROPERTY, REPOSITORY, attempt, one_line
from watchdog import envfile
from watchdog.errors import ConfigError

KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,15}", fullmatch=True)
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)
ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=40)

TEMPLATE = Environment(trim_blocks=True, keep_trailing_newline=True).from_string(  # as Ansible sets it up
    (REPOSITORY / "roles" / "watchdog" / "templates" / "env.j2").read_text()
)


def as_deployed(settings: dict[str, str]) -> str:
    """The file that the role writes for these settings."""
    return TEMPLATE.render({"__watchdog_env": settings})


@PROPERTY
@given(st.dictionaries(KEYS, PRINTABLE, max_size=5))
@example({"P": "{{ lookup('x') }} ${HOME} $HOME `id` %s"})
@example({"P": "'"})
@example({"P": '"'})
@example({"P": "\\"})
@example({"P": 'a\\"b\\\\n'})
@example({"P": "# no comment"})
@example({"P": " padded "})
@example({"P": "a=b=c"})
def test_what_the_role_writes_is_what_the_agent_reads(settings: dict[str, str]) -> None:
    assert envfile.parse(as_deployed(settings), "x") == {key: value for key, value in settings.items() if value}


@PROPERTY
@given(ONE_LINE)
@example("a\x0bb")
@example("a\x1cb")
@example("a\u2028b")
@example("a\x85b")
def test_only_a_newline_ends_a_line(value: str) -> None:
    found = envfile.parse(as_deployed({"P": value}), "x")
    assert found == ({"P": value} if value else {})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=plain", "plain"),
        ("K = spaced ", "spaced"),
        ("export K=exported", "exported"),
        ("K=", ""),
        ('K=""', ""),
        ("K=''", ""),
        ("K=a b  c", "a b  c"),
        ("K=a # b", "a # b"),
        ("K=$HOME/${X}", "$HOME/${X}"),
        ('K="$HOME"', "$HOME"),
        (r'K="a\"b"', 'a"b'),
        (r'K="a\\b"', "a\\b"),
        (r'K="a\nb"', "a\nb"),
        (r'K="a\qb"', r"a\qb"),
        (r"K='a\nb'", r"a\nb"),
        ("K='it''s'", "it''s"),
        ("K=it's", "it's"),
        ("K=a\\b", "a\\b"),
        ("K=ünï", "ünï"),
        ("K==", "="),
        ('K=" # "', " # "),
        ("K=a\r", "a"),
    ],
)
def test_the_grammar_of_a_line(line: str, value: str) -> None:
    assert envfile.parse(f"# head\n\n{line}\nOTHER=1\n", "x") == {"K": value, "OTHER": "1"}


@pytest.mark.parametrize(
    "line",
    ["KEY", "KEY VALUE", "=v", "1K=v", "K-L=v", "K L=v", "ÜK=v", "[section]", 'K="open', "K='open", 'K="a"b"',
     'K="a\\"', 'K="', "K='", "K=a\0b", "export", "K.x=v"],
)  # fmt: skip
def test_an_error_names_file_and_line_and_not_the_value(line: str) -> None:
    secret = "hunter2-secret"
    text = f"A=1\n{line.replace('v', secret) if '=' in line else line}\n"
    with pytest.raises(ConfigError) as caught:
        envfile.parse(text, "/etc/bot.env")
    said = one_line(caught.value)
    assert "/etc/bot.env" in said and "line 2" in said
    assert secret not in said


def test_a_key_set_twice_is_an_error_without_its_value() -> None:
    with pytest.raises(ConfigError, match=r"f line 3: PASSWORD is set twice") as caught:
        envfile.parse("PASSWORD=first-secret\n\nPASSWORD=second-secret\n", "f")
    assert "secret" not in str(caught.value)


@PROPERTY
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    found, refused = attempt(lambda: envfile.parse(text, "file"), ConfigError)
    if refused is None:
        assert all(key.isidentifier() and "\0" not in value for key, value in found.items())
    else:
        assert "file line " in refused


def test_a_file_that_is_missing_or_no_text_is_refused_by_name(tmp_path: Path) -> None:
    binary = tmp_path / "binary.env"
    binary.write_bytes(b"K=\xff\xfe\n")
    for path in (tmp_path / "missing.env", tmp_path, binary):
        with pytest.raises(ConfigError) as caught:
            envfile.read(str(path))
        assert str(path) in one_line(caught.value)


def test_a_byte_order_mark_does_not_pass_as_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "windows.env"
    path.write_bytes(b"\xef\xbb\xbfK=v\r\nL=w\r\n")
    with pytest.raises(ConfigError, match="line 1"):
        envfile.read(str(path))


@pytest.mark.parametrize(
    ("error", "hint"), [(PermissionError(13, "no"), "run this as"), (OSError(2, "no"), "check the path")]
)
def test_a_file_that_cannot_be_read_comes_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, error: OSError, hint: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError, match=hint):
        envfile.read("/opt/dcaTrader/bot.env")
