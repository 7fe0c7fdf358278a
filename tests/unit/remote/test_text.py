"""Remote text cannot steer a terminal; durations and sizes are short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.text import clean, duration, fit, pad, size, width


@given(st.text())
def test_cleaned_text_is_printable_whatever_came(text: str) -> None:
    assert all(char.isprintable() for char in clean(text))


@given(st.text(st.sampled_from("\x1b\x9b[]()0;19mAPX_\\\x07\x9c\x18a\n\r\t")))
def test_cleaned_text_holds_no_escape_however_it_is_cut(text: str) -> None:
    assert not set(clean(text)) & set("\x1b\x9b\x07\x9c\n\r\t")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;aGk=\x1b\\text", "text"),
        ("a\u202eb\u200bc\ufeff", "abc"),
        ("two\nlines", "two lines"),
        ("tab\there", "tab here"),
        ("Grüße 日本 ✓", "Grüße 日本 ✓"),
        (None, "None"),
    ],
)
def test_what_is_left_of_it(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text(), st.integers(1, 40))
def test_fitted_and_padded_text_takes_just_the_columns(text: str, columns: int) -> None:
    text = clean(text)
    assert width(fit(text, columns)) <= columns
    assert width(pad(fit(text, columns), columns)) == columns


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (723, "12m 3s"),
        (3600, "1h"),
        (15127, "4h 12m"),
        (273600, "3d 4h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0K"),
        (44354560, "42.3M"),
        (524288000, "500M"),
        (1 << 30, "1.0G"),
        (1 << 60, "1048576T"),
    ],
)
def test_a_size_has_one_unit(count: float, shown: str) -> None:
    assert size(count) == shown
