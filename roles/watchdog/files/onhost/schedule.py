"""Has our two lines in the user's own table, or takes them away."""

from __future__ import annotations

import os
from typing import Any

from .crontabs import read_user_table, with_ours, write_user_table
from .layout import Layout
from .system import account_of


def main(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write the table where it differs, or in check mode only tell. Two empty `lines` are none."""
    layout = Layout(arguments["name"], arguments["root"], arguments["system"])
    here = account_of(os.geteuid())
    if here is None:
        return {"problem": f"this host has no user with the number {os.geteuid()}"}
    before = read_user_table(here.name, here.name)
    after = with_ours(before, dict(zip(layout.cron_marks, arguments["lines"])))
    if after == before:
        return {"problem": "", "changed": False}
    if not arguments["check"]:
        problem = write_user_table(here.name, here.name, after)
        if problem:
            return {"problem": f"cannot write the crontab of {here.name}: {problem}"}
    headers = dict.fromkeys(("before_header", "after_header"), "crontab")
    return {"problem": "", "changed": True, "diff": [{**headers, "before": before, "after": after}] * arguments["diff"]}
