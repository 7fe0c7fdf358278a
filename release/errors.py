"""What can go wrong while a release is built, in one line for people."""

from __future__ import annotations


class ReleaseError(Exception):
    """The release could not be built. The text says what, where, and what to do next."""
