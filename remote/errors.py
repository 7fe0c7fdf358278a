"""What can go wrong between the operator's terminal and a host. Each error is one line: what, where, what to do."""

from __future__ import annotations

from watchdog.states import ExitCode


class RemoteError(Exception):
    """Ends the whole command. Exit 1."""

    exit_code = int(ExitCode.FAILED)


class UsageError(RemoteError):
    """The command line asks for something that does not exist or is refused. Exit 2."""

    exit_code = int(ExitCode.USAGE)


class InventoryError(RemoteError):
    """The Ansible inventory cannot be read. Exit 1."""


class HostError(Exception):
    """One host could not do what was asked; the other hosts go on.

    ``short`` fits a table cell; the message itself is the whole line with the remedy.
    """

    reachable = True
    exit_code = int(ExitCode.FAILED)

    def __init__(self, message: str, *, short: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.short = short or message
        if exit_code is not None:
            self.exit_code = exit_code


class Unreachable(HostError):
    """No conversation with the host's agent took place: nothing is known about the bot. Exit 4."""

    reachable = False
    exit_code = int(ExitCode.UNKNOWN)
