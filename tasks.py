"""The local verbs: `invoke test`, `lint`. Remote verbs live behind `fab` only."""

from __future__ import annotations

from invoke import Context, task


@task
def lint(c: Context) -> None:
    """Check style, types and the Ansible content."""
    c.run("ruff check && ruff format --check", echo=True)
