"""Taking secrets out of text that leaves the host. What looks like one goes, even where it is none."""

from __future__ import annotations

import re

_NAMED = re.compile(
    r"""(?ix) ( [\w.-]*? (?: password | passwd | passphrase | secret | token | api[_-]?key | apikey | private[_-]?key
        | access[_-]?key | authorization | auth | signature | credential s? | cookie | session[_-]?id | bearer ) [\w.-]*
        ["']? \s* [:=] \s* (?: (?: bearer | basic ) \s+ )? ) ( "[^"]*" | '[^']*' | [^\s,;&"'}\]]+ )"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@")
_KNOWN = re.compile(
    r"\b(?:[ps]k_\w{8,}|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{12,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
)
_LONG = re.compile(
    r"(?<![\w/.-])(?=[A-Za-z0-9+/_=-]*[0-9])(?=[A-Za-z0-9+/_=-]*[A-Za-z])[A-Za-z0-9+_=-]{24,}(?![\w/.-])"
)

GONE = "[redacted]"


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text without the given secrets, named credentials, log-ins in URLs and long random-looking words."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, GONE)
    text = _URL.sub(rf"\1:{GONE}@", text)
    text = _NAMED.sub(rf"\1{GONE}", text)
    text = _BEARER.sub(rf"\1 {GONE}", text)
    text = _KNOWN.sub(GONE, text)
    return _LONG.sub(GONE, text)
