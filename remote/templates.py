"""The small part of Ansible's templating that connection variables use: names of other variables and plain filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ROUNDS = 8  # a value may name a variable that names a variable …


def is_template(value: object) -> bool:
    """Whether Ansible would evaluate the value before using it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def evaluate(value: str, variables: Mapping[str, Any]) -> str:
    """``value`` with its templates filled in from ``variables``.

    :raises ValueError: something in it is known only to Ansible itself (facts, lookups, vaulted values).
    """
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    text = value
    try:
        for _ in range(_ROUNDS):
            if not is_template(text):
                return text
            text = environment.from_string(text).render(variables)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as problem:
        raise ValueError(str(problem).splitlines()[0] if str(problem) else "it cannot be evaluated") from None
    raise ValueError("it refers to itself")
