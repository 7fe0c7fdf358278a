"""known_hosts means here what it means to ssh."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from remote.known_hosts import Verdict, find, judge, key_types, lookup_names
from tests.ssh.sshd import make_key

NAMES = ("bot", "bot.example.net", "10.0.0.7", "[bot]:2222", "[10.0.0.7]:2222", "other")
PATTERNS = (
    "bot",
    "bot,10.0.0.7",
    "*.example.net",
    "*,!bot.example.net",
    "!bot,*",
    "[bot]:2222",
    "[10.0.0.*]:2222",
    "b?t",
    "BOT",
    "[bot]:*",
)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> str:
    """``type base64`` of some key."""
    key = make_key(tmp_path_factory.mktemp("keys") / "host")
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_same_lines_apply_as_for_ssh_keygen(tmp_path: Path, public: str, pattern: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# comment\n\n{pattern} {public}\n")
    for name in NAMES:
        theirs = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True).returncode == 0
        assert bool(find([file], name)) == theirs, (pattern, name)


def test_names_hashed_by_ssh_keygen_are_found(tmp_path: Path, public: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{name} {public}\n" for name in NAMES))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "bot" not in file.read_text().replace("|", " ").split()
    assert [len(find([file], name)) for name in NAMES] == [1] * len(NAMES)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "#",
        "bot",
        "bot ssh-ed25519",
        "bot ssh-ed25519 ***",
        "|1|x|y ssh-ed25519 AAAA",
        "|2|AA==|AA== ssh-rsa AAAA",
        "@revoked",
        "||| a b",
    ],
)
def test_a_broken_line_is_skipped(tmp_path: Path, public: str, line: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\nbot {public}\n")
    assert [entry.line for entry in find([file], "bot")] == [2]


def test_files_that_do_not_exist_or_are_no_text_are_skipped(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)))
    assert find([tmp_path / "none", tmp_path, binary], "bot") == []


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ("", Verdict.UNKNOWN),
        ("other t a2V5", Verdict.UNKNOWN),
        ("[bot]:22 t a2V5", Verdict.UNKNOWN),
        ("[bot]:2222 t a2V5", Verdict.KNOWN),
        ("bot t a2V5", Verdict.KNOWN),
        ("[bot]:2222 t b3RoZXI=", Verdict.CHANGED),
        ("[bot]:2222 u b3RoZXI=", Verdict.CHANGED),
        ("bot t b3RoZXI=", Verdict.UNKNOWN),
        ("[bot]:2222 t b3RoZXI=\n[bot]:2222 t a2V5", Verdict.KNOWN),
        ("[bot]:2222 t b3RoZXI=\nbot t a2V5", Verdict.KNOWN),
        ("[bot]:2222 t a2V5\n@revoked * t a2V5", Verdict.REVOKED),
        ("@cert-authority [bot]:2222 t a2V5", Verdict.UNKNOWN),
    ],
)
def test_the_verdict_on_a_shown_key(tmp_path: Path, lines: str, verdict: Verdict) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(lines)
    assert judge([file], lookup_names("Bot", 2222), "t", b"key")[0] is verdict


def test_the_order_of_lines_does_not_save_a_revoked_key(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    for lines in itertools.permutations(["bot t a2V5", "@revoked bot t a2V5", "bot t b3RoZXI="]):
        file.write_text("\n".join(lines))
        assert judge([file], ("bot",), "t", b"key")[0] is Verdict.REVOKED


def test_known_key_types_are_listed_once_in_file_order(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("bot rsa YQ==\nbot ed YQ==\n@revoked bot ec YQ==\nbot rsa Yg==\n")
    assert key_types([file], ("bot",)) == ("rsa", "ed")
