"""Writes one file where its content, mode or owner is not as it should be."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from .files import Rights, fingerprint, hash_of, rights
from .system import read_text, replace_text, run


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write it, or in check mode only tell. `validate` is a command that a new content has to pass, its path last."""
    path, text = arguments["path"], arguments["text"]
    wanted = Rights(arguments["mode"], arguments["owner"], arguments["group"])
    if fingerprint(path) == " ".join([hash_of(text), *wanted]):
        return {"problem": "", "changed": False}
    diff = _diff(path, text, wanted) if arguments["diff"] else []
    try:
        if not arguments["check"]:
            _write(path, text, wanted, arguments.get("validate") or [])
    except (OSError, KeyError, ValueError) as error:
        return {"problem": f"cannot write {path}: {error}"}
    return {"problem": "", "changed": True, "diff": diff}


def _write(path: str, text: str, wanted: Rights, validate: list[str]) -> None:
    if validate:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as trial:
            trial.write(text)
            trial.flush()
            answer = run([*validate, trial.name])
        if answer.code != 0:
            raise ValueError(f"{validate[0]} refuses it: {answer.line}")
    replace_text(path, text, int(wanted.mode, 8), wanted.ids)


def _diff(path: str, text: str, wanted: Rights) -> list[dict[str, str]]:
    """As Ansible shows it with --diff."""
    found = rights(path)
    headers = {"before_header": path, "after_header": path}
    before = (read_text(path) or "") if not os.path.islink(path) else f"a link to {os.readlink(path)}\n"
    said = {"before": f"{' '.join(found or ())}\n", "after": f"{' '.join(wanted)}\n"}
    return [
        {**headers, "before": before, "after": text},
        *([{**headers, **said}] if found not in (None, wanted) else []),
    ]
