"""The verbs behind `invoke lab.*`: they print for people and leave the work to `lab.api`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lab import api, image, registry
from lab.commands import why_not
from lab.errors import MissingPrerequisite


def up(hosts: int, suite: str, name: str) -> None:
    """Start a lab that stays until `down`, and say how to use it."""
    lab = api.up(hosts, suite, name=name, say=_say)
    _table([lab])
    print(f"\nexport ANSIBLE_INVENTORY={lab.inventory_path}   # ansible and fab use these hosts now")


def down(name: str, everything: bool) -> None:
    """End the lab of that name (with `everything`, all that `up` started) and what killed runs left behind.

    Labs of test runs that are still going on are theirs to end.
    """
    _require()
    removed = api.remove_abandoned()
    for record in registry.all_labs():
        if record.name == name or (everything and record.owner is None):
            api.Lab(record).down()
            removed.append(record.name)
    print(f"removed: {', '.join(removed) or 'nothing was up'}")


def status() -> None:
    """Show every lab and host."""
    _require()
    labs = [api.Lab(record) for record in registry.all_labs()]
    if not labs:
        print("no lab is up; start one: invoke lab.up")
    _table(labs)


def ssh(host: str, command: Sequence[str], name: str, user: str) -> None:
    """Become an ssh to that host; without a command, a shell. Does not return."""
    argv = api.find(name).ssh_argv(host, user=user)
    os.execvp(argv[0], [*argv, *(["-t"] if sys.stdin.isatty() else []), "--", *command])


def make_images(suites: Sequence[str]) -> None:
    """Make the base images now, so that no test waits for them."""
    _require()
    for suite in suites:
        print(image.ensure(suite, _say))


def _table(labs: Sequence[api.Lab]) -> None:
    """One line per host."""
    if labs:
        print(f"{'LAB':<24} {'HOST':<8} {'ADDRESS':<15} {'SUITE':<9} STATE")
    for lab in labs:
        for name, host in lab.hosts.items():
            state = "up" if host.is_up() else "off"
            print(f"{lab.record.name:<24} {name:<8} {host.record.address:<15} {lab.record.suite:<9} {state}")


def _require() -> None:
    if reason := why_not():
        raise MissingPrerequisite(reason)


def _say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)
