"""Fabric's executor, taught that hosts come from the Ansible inventory and that one call reaches all of them.

Stock Fabric runs a task once per host, one after the other, and ends with a traceback at the first host that fails
(fabric#2156). Here a task runs once and its context carries the whole selection. fabric.yaml names this class.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fabric import Executor
from invoke import Call, Context, Exit, Task

from .errors import RemoteError, UsageError
from .verbs import Selection


class FleetContext(Context):
    """What a remote verb receives in place of a connection: the hosts that the command line means."""

    def __init__(self, config: Any, selection: Selection) -> None:
        super().__init__(config=config)
        self._set(selection=selection)


class FleetCall(Call):
    """A call that is made once, for all hosts of its selection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.selection: Selection = kwargs.pop("selection")
        super().__init__(*args, **kwargs)

    def clone_kwargs(self) -> dict[str, Any]:
        """Fabric and Invoke clone calls; the selection goes along."""
        return {**super().clone_kwargs(), "selection": self.selection}

    def make_context(self, config: Any) -> FleetContext:
        """The context for the task."""
        return FleetContext(config, self.selection)


class FleetExecutor(Executor):
    """Resolves -H once and gives every task of the command line the same selection."""

    def expand_calls(self, calls: Sequence[Any], apply_hosts: bool = True) -> list[Call]:
        """One FleetCall per task.

        :raises Exit: an unknown host, an unreadable inventory, or a bare command after ``--``.
        """
        try:
            if self.core.remainder:
                raise UsageError("`fab … -- COMMAND` is not offered: `ansible HOST -m command -a COMMAND` does that")
            selection = self._selection()
        except RemoteError as problem:
            raise Exit(f"fab: {problem}", code=problem.exit_code) from None
        return [
            (Call(task=call) if isinstance(call, Task) else call).clone(into=FleetCall, with_={"selection": selection})
            for call in calls
        ]

    def _selection(self) -> Selection:
        from .inventory import load
        from .selection import select

        root = Path(self.collection.loaded_from or Path.cwd()).resolve()
        hosts = self.core[0].args.hosts.value
        inventory = load(root, os.environ)
        names = select(inventory, hosts.split(",") if hosts is not None else None)
        return Selection(
            inventory=inventory,
            names=tuple(names),
            explicit=hosts is not None,
            settings=self._call_settings(root),
            threads=_number(self.config, "threads", 20),
            dry=bool(self.config.run.dry),
        )

    def _call_settings(self, root: Path) -> Any:
        """What Fabric's own flags -i -S -t -T and its prompts say, and fabric.yaml below them."""
        from .calls import CallSettings
        from .ssh_auth import Secrets

        given = self.config.connect_kwargs
        identities = given.get("key_filename") or []
        ssh_config = self.core[0].args["ssh-config"].value or ""
        return CallSettings(
            base=root,
            connect_timeout=float(given.get("timeout") or _number(self.config, "connect_timeout", 10)),
            explicit_connect_timeout="timeout" in given,
            command_timeout=self.config.timeouts.get("command"),
            identities=tuple(str(Path(path).expanduser().absolute()) for path in identities),
            ssh_config=str(Path(ssh_config).expanduser().absolute()) if ssh_config else "",
            secrets=Secrets(given.get("password"), given.get("passphrase")),
        )


def _number(config: Any, key: str, default: int) -> int:
    """A positive number from the ``fleet`` section of fabric.yaml (or FABRIC_FLEET_… in the environment)."""
    try:
        value = int(config.get("fleet", {}).get(key, default))
    except (TypeError, ValueError):
        value = 0
    if value < 1:
        raise UsageError(f"fabric.yaml: fleet.{key} must be a number above 0")
    return value
