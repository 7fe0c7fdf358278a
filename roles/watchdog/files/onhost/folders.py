"""Makes the folders that `preflight` found missing, or not as they should be."""

from __future__ import annotations

import os
from typing import Any

from .files import Rights, is_folder, rights


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make them, or in check mode only tell."""
    diffs = []
    for folder in arguments["folders"]:
        path, wanted = folder["path"], Rights(folder["mode"], folder["owner"], folder["group"])
        if is_folder(path, wanted):
            continue
        said = f"{path} {' '.join(rights(path) or ('missing',))}\n", f"{path} {' '.join(wanted)}\n"
        diffs.append({"before_header": path, "after_header": path, "before": said[0], "after": said[1]})
        try:
            if not arguments["check"]:
                _make(path, wanted)
        except (OSError, KeyError, ValueError) as error:
            return {"problem": f"cannot make {path}: {error}"}
    return {"problem": "", "changed": bool(diffs), "diff": diffs if arguments["diff"] else []}


def _make(path: str, wanted: Rights) -> None:
    os.makedirs(path, exist_ok=True)
    os.chmod(path, int(wanted.mode, 8))
    if os.geteuid() == 0:
        os.chown(path, *wanted.ids)
