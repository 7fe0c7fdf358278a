"""What the documents say about the code is what the code says."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
from pathlib import Path

import pytest

from watchdog import cli, config, outcome, policy, replay, report, settings
from watchdog.errors import ConfigError
from watchdog.states import ExitCode, State, status_exit_code

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("roles/*/*.md"))
    if ".venv" not in path.parts
)
OURS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/benchmarks.md",
    "docs/bot.md",
    "docs/settings.md",
    "docs/verbs.md",
)
INTERNAL = {"send"}


def text(page: str) -> str:
    """A page of this checkout."""
    return (ROOT / page).read_text(encoding="utf-8")


def rows(page: str, start: str = "") -> list[list[str]]:
    """The cells of all table rows of a page, of one section where ``start`` is its heading."""
    whole = text(page)
    if start:
        _, found, whole = whole.partition(f"\n## {start}\n")
        assert found, f"{page} has no section {start}"
        whole = whole.partition("\n## ")[0]
    lines = [line.strip() for line in whole.splitlines() if line.startswith(("| ", "|-"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|-")]


def code(cell: str) -> list[str]:
    """The words of a cell that are set as code."""
    return re.findall(r"`([^`]+)`", cell)


def verbs() -> dict[str, argparse.ArgumentParser]:
    """The agent's verbs and their grammars, without the internal one."""
    found = next(one for one in cli.parser("watchdog")._actions if isinstance(one, argparse._SubParsersAction))
    return {name: one for name, one in found.choices.items() if name not in INTERNAL}


# Settings ------------------------------------------------------------------------------------------------------------


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    tables = [row for row in rows("docs/settings.md") if len(row) == 4 and code(row[0])]
    said = {code(row[0])[0]: "".join(code(row[1])) for row in tables}
    mail = {**dict.fromkeys(settings.SMTP, ""), "SMTP_PORT": "587", "SMTP_SECURITY": "auto"}
    assert said == {**settings.SETTINGS, **mail}


@pytest.mark.parametrize("name", ["WATCHDOG_START_GRACE", "WATCHDOG_STOP_GRACE"])
def test_the_documented_bounds_are_the_ones_that_hold(name: str, tmp_path: Path) -> None:
    bounds = next(row[3] for row in rows("docs/settings.md") if code(row[0]) == [name])
    least, most = (float(number) for number in bounds.split(" to "))
    base = {"WATCHDOG_APP_DIR": str(tmp_path), "WATCHDOG_ALLOW_ROOT": "1"}
    for value in (least, most):
        assert getattr(config.load({**base, name: str(value)}, []), name.removeprefix("WATCHDOG_").lower()) == value
    for value in (least - 0.01, most + 0.01):
        with pytest.raises(ConfigError, match=name):
            config.load({**base, name: str(value)}, [])


# Verbs ---------------------------------------------------------------------------------------------------------------


def test_every_verb_has_its_section_and_no_other_has_one() -> None:
    headings = re.findall(r"^## ([a-z-]+)$", text("docs/verbs.md"), re.MULTILINE)
    assert headings == list(verbs())


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_option_of_a_verb_is_documented_and_no_other(verb: str) -> None:
    first = [row[0] for row in rows("docs/verbs.md", verb)]
    said = {word for cell in first for option in code(cell) for word in option.split()[:1] if word.startswith("-")}
    known = {
        word for action in verbs()[verb]._actions if action.help != argparse.SUPPRESS for word in action.option_strings
    }
    assert said == known - {"-h", "--help"}


def test_the_exit_codes_are_the_agents() -> None:
    said = {row[1]: int(row[0]) for row in rows("docs/verbs.md", "Exit codes") if row[0].isdigit()}
    assert said == {one.name: int(one) for one in ExitCode}


def test_every_state_is_documented_with_its_exit_code() -> None:
    said = [word for row in rows("docs/verbs.md", "States") for word in code(row[0])]
    assert sorted(said) == sorted(state.value for state in State)
    sentence = re.sub(r"\s+", " ", text("docs/verbs.md")).partition("`status` exits 0 for ")[2].partition("), 4 for")[0]
    alive = {state.value for state in State if status_exit_code(state) is ExitCode.OK}
    assert set(code(sentence)) == alive


@pytest.mark.parametrize("verb", ["status", "maintenance", "logs", "explain"])
def test_the_json_fields_of_a_reading_verb_are_documented(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "bot.out").write_text("up\n")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("WATCHDOG_", "SMTP_", "ALERT_EMAIL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATCHDOG_ALLOW_ROOT", "1")
    cli.main([verb, "--json"])
    assert documented(verb) == set(json.loads(capsys.readouterr().out))


def test_the_json_fields_of_start_are_documented() -> None:
    result = outcome.Result("start", ExitCode.OK, "", State.RUNNING, "none", None, 1, None)
    assert documented("start") == {"schema", "name", "host", *result.document()}


def documented(verb: str) -> set[str]:
    """The fields that a verb's section lists below `field`."""
    table = rows("docs/verbs.md", verb)
    begin = next(number for number, row in enumerate(table) if row[0] == "field")
    return {word for row in table[begin + 1 :] for word in code(row[0])}


def test_the_parts_of_status_are_documented() -> None:
    parts = {row[0]: code(row[1]) for row in rows("docs/verbs.md", "status")}
    assert parts["`last_exit`"] == ["time", "pid", "code", "signal", "oom", "text", "output", "last_lines"]
    assert parts["`guard`"] == list(report._guard_document({"pid": 1}, None) or {})


def test_the_parts_of_a_decision_are_documented() -> None:
    parts = {row[0]: code(row[1]) for row in rows("docs/verbs.md", "explain")}
    entry = replay._explained({"time": "", "message": "", "decision": None})
    assert parts["`decisions`"][: len(entry) + 1] == [*entry, "text"]


# The pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_this_checkout_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", OURS)
def test_prose_fits_a_terminal_of_80_columns(page: str) -> None:
    margin = 4  # of what is indented: output of an 80-column terminal
    lines = [line for line in text(page).splitlines() if not line.startswith(("|", "{", "   `test_"))]
    assert not [line for line in lines if len(line) > 80 + margin * line.startswith(" " * margin)]


def test_every_promise_names_a_test_that_bears_its_number() -> None:
    section = text("README.md").partition("\n## What it promises\n")[2].partition("\n## ")[0]
    said = re.findall(r"^(\d)\. .*?`([\w/]+\.py)`\s+`(test_\w+)`", section, re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _, _ in said] == list(range(1, 8))
    for number, path, name in said:
        head = re.search(rf"((?:^@.*\n)+)def {name}\(", text(f"tests/{path}"), re.MULTILINE)
        assert head, f"{path} has no decorated {name}"
        assert f"promise({number})" in head[1], f"{name} does not bear promise {number}"


def test_the_readme_shows_every_verb_of_fab() -> None:
    from invoke import Collection
    from invoke.loader import FilesystemLoader

    module, _ = FilesystemLoader(start=str(ROOT)).load("fabfile")
    names = set(Collection.from_module(module).task_names)
    shown = set(re.findall(r"^ +\$ fab (?:-H \S+ )?([a-z-]+)", text("README.md"), re.MULTILINE))
    assert names <= shown


def test_the_modules_of_the_agent_import_as_the_layers_say() -> None:
    table = text("docs/architecture.md").partition("Inside the agent")[2].partition("\n\n`engine`")[0]
    layers = [code(line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    level = {module: number for number, layer in enumerate(layers) for module in layer}
    files = {path.stem: path for path in (ROOT / "watchdog").glob("*.py") if path.stem != "__init__"}
    assert set(level) == set(files)
    upwards = [
        f"{module} imports {found}"
        for module, path in files.items()
        for found in imported(ast.parse(path.read_text(encoding="utf-8")))
        if level.get(found, 0) > level[module]
    ]
    assert not upwards


def imported(tree: ast.AST) -> set[str]:
    """The modules of the agent that one of them imports; what only the type checker sees does not count."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.dump(tree.test):
        return set()
    if isinstance(tree, ast.ImportFrom) and tree.level:
        return {tree.module} if tree.module else {name.name for name in tree.names}
    return {name for child in ast.iter_child_nodes(tree) for name in imported(child)}


def test_the_delays_are_the_policys() -> None:
    said = re.search(r"Delays: ([\d ]+) s", text("docs/architecture.md"))
    assert said
    assert tuple(int(word) for word in said[1].split()) == policy.LADDER
