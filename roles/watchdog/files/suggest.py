"""Names the known variable that each unknown one is closest to; runs on the controller, for an error message."""

from __future__ import annotations

import argparse
import difflib


def suggest(unknown: str, known: list[str]) -> str:
    """A few words on one unknown variable."""
    close = difflib.get_close_matches(unknown, known, n=3)
    swapped = [name for name in close if sorted(name) == sorted(unknown)]
    return f"{unknown} (did you mean {[*swapped, *close][0]}?)" if close else unknown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", nargs="+", required=True)
    parser.add_argument("--unknown", nargs="+", required=True)
    given = parser.parse_args()
    print(", ".join(suggest(name, given.known) for name in sorted(given.unknown)))
