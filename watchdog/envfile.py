r"""Env files: ``KEY=VALUE`` a line, as systemd's EnvironmentFile and dotenv have them.

A value is taken raw up to the end of the line, or in double quotes with ``\"``, ``\\`` and ``\n`` escaped, or in single
quotes with nothing escaped. Blank lines and lines that start with ``#`` are passed over; ``export`` is tolerated.
Nothing is ever expanded: a password with ``$`` or ``{{`` in it stays as it is.
"""

from __future__ import annotations

from .errors import ConfigError

_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read(path: str) -> dict[str, str]:
    """The settings of one file. Raises ConfigError, naming file and line, never the value."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text: write it anew as KEY=VALUE lines") from None
    except OSError as error:
        hint = "run this as the bot's user" if isinstance(error, PermissionError) else "check the path"
        raise ConfigError(f"cannot read {path}: {error.strerror}; {hint}") from None
    return parse(text, path)


def parse(text: str, where: str) -> dict[str, str]:
    """Parse the text of an env file; ``where`` names it in errors. Raises ConfigError."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.startswith("export "):
            bare = bare[len("export ") :].lstrip()
        key, equals, value = bare.partition("=")
        key = key.rstrip()
        if not equals or not key.replace("_", "a").isalnum() or not key.isascii() or key[0].isdigit():
            raise ConfigError(f"{where} line {number}: not of the form KEY=VALUE")
        if key in found:
            raise ConfigError(f"{where} line {number}: {key} is set twice; keep one")
        if "\0" in value:
            raise ConfigError(f"{where} line {number}: {key} holds a NUL byte")
        found[key] = _value(value.strip(), f"{where} line {number}: {key}")
    return found


def _value(raw: str, where: str) -> str:
    if raw[:1] not in ('"', "'"):
        return raw
    quote, body = raw[0], raw[1:]
    if len(body) < 1 or not body.endswith(quote):
        raise ConfigError(f"{where}: the quote {quote} is not closed")
    body = body[:-1]
    if quote == "'":
        return body
    plain: list[str] = []
    pending = False
    for char in body:
        if pending:
            plain.append(_ESCAPES.get(char, "\\" + char))
            pending = False
        elif char == "\\":
            pending = True
        elif char == quote:
            raise ConfigError(f"{where}: a quote inside the value must be written \\{quote}")
        else:
            plain.append(char)
    if pending:
        raise ConfigError(f"{where}: the quote {quote} is not closed")
    return "".join(plain)
