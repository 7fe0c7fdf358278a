"""A deploy of the bot is noticed, and nothing else is taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.watchdog.parts import settings_for
from watchdog import sources
from watchdog.config import Config


@pytest.fixture(name="bot")
def a_bot(project: Path) -> Config:
    (project / "src" / "core").mkdir()
    (project / "src" / "core" / "orders.py").write_text("LIMIT = 1\n")
    return settings_for(project)


@pytest.mark.fault("F44")
def test_a_script_that_was_edited_replaced_or_is_missing_has_another_signature(bot: Config) -> None:
    path = Path(bot.script)
    first = sources.signature(bot)
    assert first == sources.signature(bot) != ""
    path.write_text(path.read_text() + "\n")
    second = sources.signature(bot)
    path.rename(path.with_suffix(".bak"))
    assert sources.signature(bot) == ""
    path.write_text(path.with_suffix(".bak").read_text())
    assert len({first, second, sources.signature(bot)}) == 3


@pytest.mark.parametrize("deployed", ["src/core/orders.py", "src/core/new.py", ".git/logs/HEAD"])
def test_a_changed_module_a_new_one_or_another_commit_is_a_deploy(bot: Config, deployed: str) -> None:
    before = sources.signature(bot)
    path = Path(bot.app_dir, deployed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed\n")
    assert sources.signature(bot) != before


def test_what_a_bot_writes_while_it_fails_is_no_deploy(bot: Config) -> None:
    before = sources.signature(bot)
    for written in ("src/__pycache__/x.py", "src/data/y.py", "src/state.json", "logs/bot.py", "src/.cache/z.py"):
        path = Path(bot.app_dir, written)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    os.utime(Path(bot.app_dir, "src"))
    assert sources.signature(bot) == before


def test_a_changed_env_file_is_a_deploy(project: Path) -> None:
    keys = project / "bot.env"
    keys.write_text("API_KEY=wrong\n")
    bot = settings_for(project, app_env_file=str(keys))
    before = sources.signature(bot)
    keys.write_text("API_KEY=right\n")
    assert sources.signature(bot) != before


def test_a_tree_without_end_costs_a_bounded_look(bot: Config) -> None:
    folder = Path(bot.app_dir, "src", "many")
    folder.mkdir()
    for number in range(sources.FILES + 50):
        (folder / f"m{number:04}.py").touch()
    before = sources.signature(bot)
    (folder / f"m{sources.FILES + 49:04}.py").write_text("beyond the bound")
    assert sources.signature(bot) == before
    (folder / "m0000.py").write_text("within it")
    assert sources.signature(bot) != before
