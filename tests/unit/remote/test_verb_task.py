"""A word that may be left out, which Invoke itself does not offer."""

from __future__ import annotations

import pytest

from remote.verb_task import has_word


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("fab maintenance", False),
        ("fab maintenance on", True),
        ("fab -H bot maintenance off --json", True),
        ("fab maintenance --for 2h on", True),
        ("fab maintenance --for=2h on", True),
        ("fab maintenance --yes on", True),
        ("fab maintenance --reason off", False),
        ("fab maintenance --reason on off", True),
        ("fab maintenance --json", False),
        ("fab maintenance onn", True),
        ("fab status", False),
        ("maintenance status", False),
    ],
)
def test_the_word_counts_exactly_when_it_is_there(line: str, found: bool) -> None:
    assert has_word(line.split(), "maintenance") is found
