"""What can go wrong in the lab, in one line that says what to do next."""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what was asked; `exit_code` is the process's (1, or 78 for a missing prerequisite)."""

    exit_code = 1


class MissingPrerequisite(LabError):
    """Root, a package or a kernel feature is missing; the message names the line that helps."""

    exit_code = 78
