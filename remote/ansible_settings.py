"""The settings of ansible.cfg and ANSIBLE_* that decide how a host is reached, so that fab goes where Ansible goes."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import InventoryError

# field: (section and key in ansible.cfg, environment variable that wins over it)
_SETTINGS = {
    "inventory": ("defaults", "inventory", "ANSIBLE_INVENTORY"),
    "remote_user": ("defaults", "remote_user", "ANSIBLE_REMOTE_USER"),
    "remote_port": ("defaults", "remote_port", "ANSIBLE_REMOTE_PORT"),
    "private_key_file": ("defaults", "private_key_file", "ANSIBLE_PRIVATE_KEY_FILE"),
    "ssh_args": ("ssh_connection", "ssh_args", "ANSIBLE_SSH_ARGS"),
    "ssh_common_args": ("ssh_connection", "ssh_common_args", "ANSIBLE_SSH_COMMON_ARGS"),
    "ssh_extra_args": ("ssh_connection", "ssh_extra_args", "ANSIBLE_SSH_EXTRA_ARGS"),
}


@dataclass(frozen=True)
class AnsibleSettings:
    """What applies to every host unless its own variables say otherwise. Empty means not set."""

    file: Path | None = None
    inventory: tuple[Path, ...] = ()
    remote_user: str = ""
    remote_port: str = ""
    private_key_file: str = ""
    ssh_args: str = ""
    ssh_common_args: str = ""
    ssh_extra_args: str = ""


def find_config(root: Path, environ: Mapping[str, str]) -> Path | None:
    """The ansible.cfg that Ansible would use when started in ``root``."""
    candidates = [root / "ansible.cfg", Path("~/.ansible.cfg").expanduser(), Path("/etc/ansible/ansible.cfg")]
    if named := environ.get("ANSIBLE_CONFIG"):
        path = Path(named).expanduser()
        candidates.insert(0, path / "ansible.cfg" if path.is_dir() else path)
    return next((path.absolute() for path in candidates if path.is_file()), None)


def read_settings(root: Path, environ: Mapping[str, str]) -> AnsibleSettings:
    """Settings as Ansible would see them; relative paths count from the file (or, in the environment, from here).

    :raises InventoryError: ansible.cfg is not readable as an INI file.
    """
    file = find_config(root, environ)
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None, strict=False)
    if file:
        try:
            parser.read_string(file.read_text(encoding="utf-8"), str(file))
        except (configparser.Error, OSError, UnicodeDecodeError) as problem:
            raise InventoryError(f"{file} cannot be read: {str(problem).splitlines()[0]}") from None
    values: dict[str, str] = {}
    origin: dict[str, Path] = {}
    for field, (section, key, variable) in _SETTINGS.items():
        if environ.get(variable):
            values[field], origin[field] = environ[variable], Path.cwd()
        elif file and (value := parser.get(section, key, fallback="")):
            values[field], origin[field] = value, file.parent
    if key_file := values.get("private_key_file"):
        values["private_key_file"] = str(_resolve(key_file, origin["private_key_file"]))
    sources = [source.strip() for source in values.pop("inventory", "").split(",") if source.strip()]
    return AnsibleSettings(
        file=file,
        inventory=tuple(_resolve(source, origin["inventory"]) for source in sources) or (root / "inventory",),
        **values,
    )


def _resolve(value: str, base: Path) -> Path:
    return base / Path(os.path.expandvars(value.replace("{{CWD}}", str(Path.cwd())))).expanduser()
