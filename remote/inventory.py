"""Names, groups and variables from the Ansible inventory: one `ansible-inventory --list`, then a cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cache
from .ansible_settings import AnsibleSettings, read_settings
from .errors import InventoryError
from .hosts import PROBLEM_KEY, USED_VARIABLES
from .templates import evaluate, is_template
from .text import clean

ROLE_DEFAULTS = Path("roles/watchdog/defaults/main.yml")
PLAYBOOKS = Path("playbooks")

_TIMEOUT = 60.0  # seconds; a dynamic inventory may ask a slow service


@dataclass(frozen=True)
class Inventory:
    """Hosts in inventory order with the variables that fab uses, and the groups they are in."""

    source: str
    hosts: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, tuple[str, ...]]
    settings: AnsibleSettings


def load(root: Path, environ: Mapping[str, str] = os.environ) -> Inventory:
    """The inventory of the checkout at ``root``; a few milliseconds when nothing has changed since the last call.

    :raises InventoryError: there is none, Ansible cannot read it, or it holds no host.
    """
    settings = read_settings(root, environ)
    source = ", ".join(_shown(path, root) for path in settings.inventory)
    if missing := [path for path in settings.inventory if not path.exists()]:
        raise InventoryError(
            f"no inventory at {_shown(missing[0], root)}: make one (roles/watchdog/README.md) or set ANSIBLE_INVENTORY"
        )
    fingerprint = cache.fingerprint(_feeding_files(root, settings), _relevant_environment(environ))
    place = cache.place(root, settings.inventory, environ)
    document = cache.read(place, fingerprint)
    if document is None:
        listing, complete = _ask_ansible(root, settings, environ)
        document = _reduce(listing, _role_defaults(root), settings)
        if complete and not any(_is_dynamic(file) for file in _inventory_files(settings)):
            cache.write(place, fingerprint, document)
    if not document["hosts"]:
        raise InventoryError(f"the inventory {source} holds no host: add one (see roles/watchdog/README.md)")
    groups = {name: tuple(members) for name, members in document["groups"].items()}
    return Inventory(source=source, hosts=document["hosts"], groups=groups, settings=settings)


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _relevant_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("ANSIBLE_") and "VAULT" not in name}


def _feeding_files(root: Path, settings: AnsibleSettings) -> Iterator[Path]:
    """Every file and folder whose change can change the answer."""
    if settings.file:
        yield settings.file
    yield root / ROLE_DEFAULTS
    yield from _inventory_files(settings)
    for folder in (root, root / PLAYBOOKS, *(path.parent for path in settings.inventory if path.is_file())):
        for variables in ("group_vars", "host_vars"):
            yield from cache.walk(folder / variables)


def _inventory_files(settings: AnsibleSettings) -> Iterator[Path]:
    for source in settings.inventory:
        yield from cache.walk(source)


def _is_dynamic(path: Path) -> bool:
    """Scripts and inventory plugins ask the world outside, which no file's date tells about."""
    if not path.is_file():
        return False
    if os.access(path, os.X_OK):
        return True
    if path.suffix not in (".yml", ".yaml"):
        return False
    with path.open("rb") as file:
        return any(line.startswith(b"plugin:") for line in file.read(16384).splitlines())


def _ask_ansible(root: Path, settings: AnsibleSettings, environ: Mapping[str, str]) -> tuple[dict[str, Any], bool]:
    """Run ``ansible-inventory``; also tells whether it read everything without a warning."""
    beside = Path(sys.executable).with_name("ansible-inventory")
    program = str(beside) if beside.exists() else shutil.which("ansible-inventory", path=environ.get("PATH"))
    if not program:
        raise InventoryError("ansible-inventory is not installed here: run ./dev, then `. .venv/bin/activate`")
    argv = [program, "--list"]
    for source in settings.inventory:
        argv += ["-i", str(source)]
    if (root / PLAYBOOKS).is_dir():
        argv += ["--playbook-dir", str(root / PLAYBOOKS)]
    quiet = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_DEPRECATION_WARNINGS": "0"}
    if settings.file:
        quiet["ANSIBLE_CONFIG"] = str(settings.file)
    try:
        done = subprocess.run(
            argv,
            cwd=root,
            env={**environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InventoryError(
            f"ansible-inventory gave no answer in {_TIMEOUT:.0f} s: try `ansible-inventory --list`"
        ) from None
    complaint = done.stderr.decode(errors="replace").strip()
    if done.returncode != 0:
        raise InventoryError(_explain(complaint))
    try:
        listing = json.loads(done.stdout)
    except ValueError:
        raise InventoryError("ansible-inventory printed no JSON: try `ansible-inventory --list`") from None
    if complaint and not listing.get("_meta", {}).get("hostvars"):
        raise InventoryError(f"Ansible finds no host: {_first_line(complaint)}")
    return listing, not complaint


def _explain(complaint: str) -> str:
    if "no vault secrets" in complaint or "Decryption failed" in complaint:
        return (
            "the inventory has a wholly encrypted file: encrypt single values instead (ansible-vault encrypt_string, "
            "fab never needs them), or set ANSIBLE_VAULT_PASSWORD_FILE"
        )
    return f"Ansible cannot read the inventory: {_first_line(complaint)} (try `ansible-inventory --list`)"


def _first_line(complaint: str) -> str:
    lines = [clean(line) for line in complaint.splitlines() if line.strip()]
    return lines[0].removeprefix("[ERROR]: ").removeprefix("[WARNING]: ") if lines else "no reason given"


def _role_defaults(root: Path) -> dict[str, Any]:
    import yaml

    path = root / ROLE_DEFAULTS
    try:
        defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as problem:
        raise InventoryError(f"{ROLE_DEFAULTS} cannot be read: {str(problem).splitlines()[0]}") from None
    return defaults if isinstance(defaults, dict) else {}


def _reduce(listing: dict[str, Any], defaults: Mapping[str, Any], settings: AnsibleSettings) -> dict[str, Any]:
    """The listing without anything fab does not use: no secret can reach the cache."""
    members = _group_members(listing)
    variables_of = listing.get("_meta", {}).get("hostvars", {})
    hosts = {}
    for name in members["all"]:
        groups = sorted(group for group, names in members.items() if name in names and group != "all")
        everything = {
            **defaults,
            **variables_of.get(name, {}),
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
            "group_names": groups,
        }
        if len(settings.inventory) == 1:
            source = settings.inventory[0]
            everything["inventory_dir"] = str(source if source.is_dir() else source.parent)
        hosts[name] = _used_variables(everything)
    return {"hosts": hosts, "groups": {name: list(names) for name, names in members.items()}}


def _used_variables(everything: Mapping[str, Any]) -> dict[str, Any]:
    used = {name: value for name, value in everything.items() if name in USED_VARIABLES}
    for name, value in used.items():
        if isinstance(value, dict):
            return {PROBLEM_KEY: f"{name} is vaulted or not a plain value, and fab needs it in plain text"}
        if is_template(value):
            try:
                used[name] = evaluate(value, everything)
            except ValueError as problem:
                return {PROBLEM_KEY: f"{name}: only Ansible can evaluate {value!r} ({problem}): write the value itself"}
    return used


def _group_members(listing: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Hosts of every group, children included, in inventory order."""
    members: dict[str, tuple[str, ...]] = {}

    def collect(group: str, above: frozenset[str]) -> tuple[str, ...]:
        if group in above:
            return ()
        if group not in members:
            entry = listing.get(group, {})
            names = dict.fromkeys(entry.get("hosts", ()))
            for child in entry.get("children", ()):
                names.update(dict.fromkeys(collect(child, above | {group})))
            members[group] = tuple(names)
        return members[group]

    collect("all", frozenset())
    for group in listing:
        if group != "_meta":
            collect(group, frozenset())
    return members
