"""What -H means."""

from __future__ import annotations

from typing import Any

import pytest

from remote.ansible_settings import AnsibleSettings
from remote.errors import UsageError
from remote.inventory import Inventory
from remote.selection import select


def inventory(hosts: dict[str, dict[str, Any]] | None = None, **groups: tuple[str, ...]) -> Inventory:
    hosts = hosts if hosts is not None else {"mail": {}, "bot": {}, "bot2": {}, "Tokyo": {}}
    return Inventory("inventory/hosts.yml", hosts, {"all": tuple(hosts), "ungrouped": (), **groups}, AnsibleSettings())


def test_without_h_the_group_bots_is_meant_else_every_host() -> None:
    assert select(inventory(bots=("bot2", "bot")), None) == ["bot", "bot2"]
    assert select(inventory(), None) == ["mail", "bot", "bot2", "Tokyo"]


def test_a_host_without_watchdog_is_left_out_unless_it_is_named() -> None:
    hosts: dict[str, dict[str, Any]] = {"bot": {}, "old": {"watchdog_state": "absent"}}
    assert select(inventory(hosts, bots=("bot", "old")), None) == ["bot"]
    assert select(inventory(hosts, bots=("bot", "old")), ["old"]) == ["old"]
    with pytest.raises(UsageError, match="every host"):
        select(inventory({"old": {"watchdog_state": "absent"}}), None)


def test_blanks_and_repetition_do_no_harm() -> None:
    assert select(inventory(), [" bot2 ", "", "bot", "bot2"]) == ["bot", "bot2"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("bto", "is called 'bto' in inventory/hosts.yml: did you mean 'bot'?"),
        ("tokyo", "did you mean 'Tokyo'?"),
        ("x*", "no host or group matches 'x*'"),
        ("zzz", "it has mail, bot, bot2, Tokyo"),
        ("ops@bot", "the login user comes from ansible_user"),
        ("!zzz", "is called 'zzz'"),
    ],
)
def test_an_unknown_pattern_is_a_usage_error_with_help(pattern: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(inventory(), [pattern])
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("patterns", [[""], ["", " "], ["bot", "!bot"], ["ungrouped"]])
def test_a_selection_without_hosts_is_a_usage_error_not_every_host(patterns: list[str]) -> None:
    with pytest.raises(UsageError, match="leaves no host"):
        select(inventory(), patterns)
