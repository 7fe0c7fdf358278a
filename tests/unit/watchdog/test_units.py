"""Amounts of data in words."""

from __future__ import annotations

import pytest

from watchdog import units


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (18_240, "18.2 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (132_000_000, "132.0 MB"),
        (2_040_000_000, "2040.0 MB"),
    ],
)
def test_an_amount_is_told_in_the_largest_unit_that_it_fills(count: int, text: str) -> None:
    assert units.size(count) == text
