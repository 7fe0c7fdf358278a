"""Every error that ends a verb: one line for people, one documented exit code.

The codes are those of `states.ExitCode`, as plain numbers: the tick of cron does without its enum.
"""

from __future__ import annotations


class WatchdogError(Exception):
    """Something went wrong that the operator should read about in one line: what, where, what to do."""

    exit_code = 1


class ConfigError(WatchdogError):
    """A setting is missing or wrong, or the ground (lock directory, psutil, uid) cannot carry us. Exit 78."""

    exit_code = 78


class UsageError(WatchdogError):
    """The command line cannot be understood. Exit 2."""

    exit_code = 2


class BusyError(WatchdogError):
    """Somebody else is acting on this bot right now; nothing was done. Exit 75."""

    exit_code = 75


class NotRunningError(WatchdogError):
    """The verb needs a running bot, or a bot that may run, and there is none. Exit 3."""

    exit_code = 3
