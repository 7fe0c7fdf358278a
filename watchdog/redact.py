"""Taking secrets out of text that leaves the host. What looks like one goes, even where it is none.

Every pattern is bounded, so that a hostile line costs no more than its length.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from . import envfile
from .errors import WatchdogError

if TYPE_CHECKING:
    from .config import Config

GONE = "[redacted]"

_WORD = (
    r"(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|authorization|auth|signature"
    r"|credentials?|cookie|session[_-]?id|bearer|pwd)"
)
_VALUE = r"""(?:"[^"]{0,400}"|'[^']{0,400}'|[^\s,;&"'}\])]{1,400})"""
_HARMLESS = r"""(?:\[redacted\]|(?<=\.py:)\d{1,7})(?![^\s,;&"'}\])])"""
"""What was taken out already, and the line of a file such as ``auth.py:42``."""

_NAMED = re.compile(
    rf"""(?i)({_WORD}[\w.-]{{0,40}}["']?\s{{0,3}}[:=]\s{{0,3}}(?:(?:bearer|basic)\s{{1,3}})?)(?!{_HARMLESS}){_VALUE}"""
)
_OPTION = re.compile(rf"""(?i)(--?[\w-]{{0,30}}{_WORD}[\w-]{{0,30}}["']?(?:\s*,)?\s{{1,3}}){_VALUE}""")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s{1,3}[A-Za-z0-9._~+/=-]{8,400}")
_LOGIN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,100}):[^\s/@]{1,200}@")
_KNOWN = re.compile(
    r"\b(?:[ps]k_\w{8,200}|gh[pousr]_\w{20,200}|xox[abprs]-[\w-]{10,200}|AKIA[0-9A-Z]{12,40}"
    r"|eyJ[\w-]{8,2000}\.[\w-]{1,2000}\.[\w-]{0,2000}|(?:bot)?\d{6,12}:[\w-]{30,60})"
)
_URL = re.compile(r"(?i)\bhttps?://[^\s\"'<>]{1,1000}")
_SEGMENT = re.compile(r"(?<=/)(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,200}(?=[/?#]|$)|(?<=/)\d{16,30}(?=[/?#]|$)")
_LONG = re.compile(
    r"(?<![\w/.+=-])(?=[A-Za-z+_=-]{0,200}\d)(?=[\d+_=-]{0,200}[A-Za-z])[A-Za-z0-9+_=-]{24,400}(?![\w/.+=-])"
)


_SECRET = re.compile(r"(?i)key|secret|token|pass|pwd|auth|credential|private|seed|mnemonic")


def secrets(config: Config) -> tuple[str, ...]:
    """What must not leave the host: the SMTP password and what the bot's env file names like a secret."""
    found = [config.smtp.get("SMTP_PASSWORD", "")]
    if config.app_env_file:
        with contextlib.suppress(WatchdogError):
            settings = envfile.read(config.app_env_file)
            found += [value for key, value in settings.items() if _SECRET.search(key)]
    return tuple(value for value in found if value)


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text without the given secrets, named credentials, log-ins in URLs and long random-looking words."""
    text = _LOGIN.sub(rf"\1:{GONE}@", text)
    text = _NAMED.sub(rf"\1{GONE}", text)
    text = _OPTION.sub(rf"\1{GONE}", text)
    text = _BEARER.sub(rf"\1 {GONE}", text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, GONE)
    text = _KNOWN.sub(GONE, text)
    text = _URL.sub(lambda found: _SEGMENT.sub(GONE, found[0]), text)
    return _LONG.sub(GONE, text)
