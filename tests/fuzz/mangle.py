"""What a crash, a full disk, another program or an enemy makes of a file or a message."""

from __future__ import annotations

import json
import sys
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ = settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
"""The same inputs on every run, so that a red build is red for everybody."""

NUMBERS = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 1 << 22, 1 << 31, 1 << 63, 10**400, -(10**400), float("nan"), float("inf"), -0.0]),
    st.integers(),
    st.floats(),
)
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "\ud800", "a\nb\r\x1b[2J", "x" * 3000, "stopped", "running"])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"0", b"-1", b"1", b" ", b"\n", b"\r\n", b"\0", b"9" * 40, b"\xff\xfe", b"[" * 9999]),
)


@st.composite
def mangled(draw: st.DrawFn, sound: bytes) -> bytes:
    """A sound content, cut, doubled, overwritten, or something else altogether."""
    found = sound
    for _ in range(draw(st.integers(1, 3))):
        at, end = sorted((draw(st.integers(0, len(found))), draw(st.integers(0, len(found)))))
        piece = draw(PIECES)
        found = draw(
            st.sampled_from([found[:at], found[at:], found[:at] + piece + found[at:], found[:at] + piece + found[end:]])
        )
    return draw(st.sampled_from([found, found, found, found + found, b""]))


@st.composite
def altered(draw: st.DrawFn, sound: dict[str, Any]) -> dict[str, Any]:
    """A sound JSON object with some fields replaced, left out or added, also inside."""
    found = dict(sound)
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from([*sound, "more"]))
        inner = found.get(key)
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            found[key] = draw(altered(inner))
        elif isinstance(inner, list) and inner and draw(st.booleans()):
            place = draw(st.integers(0, len(inner) - 1))
            found[key] = [*inner[:place], draw(JSON), *inner[place + 1 :]]
        elif draw(st.integers(0, 3)):
            found[key] = draw(JSON)
        else:
            found.pop(key, None)
    return found


def documents(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Bytes of a JSON document that is nearly, or not at all, as it should be."""
    sys.set_int_max_str_digits(0)
    text = json.dumps(sound).encode()
    return st.one_of(altered(sound).map(lambda found: json.dumps(found).encode()), mangled(text))
