"""Defaults, argument specs, README and the agent's own settings say the same about every variable."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from roles.watchdog.action_plugins import watchdog_onhost
from roles.watchdog.files import suggest
from roles.watchdog.files.onhost import envsettings, layout
from watchdog import envfile, limits, quiet, settings
from watchdog.errors import ConfigError

ROLE = Path(__file__).resolve().parents[3] / "roles" / "watchdog"
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
SPECS: dict[str, dict[str, Any]] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"][
    "main"
]["options"]
VARS: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())


def test_every_default_has_its_spec_with_the_same_value_and_nothing_else_has() -> None:
    assert {name: spec["default"] for name, spec in SPECS.items()} == DEFAULTS
    assert list(SPECS) != []


def test_every_variable_is_prefixed_typed_and_described() -> None:
    for name, spec in SPECS.items():
        assert name.startswith("watchdog_")
        assert spec["type"] in {"str", "int", "float", "bool"}
        assert spec["description"]


def test_the_defaults_are_plain_yaml_that_the_control_side_can_read() -> None:
    assert "{{" not in (ROLE / "defaults" / "main.yml").read_text()


@pytest.mark.parametrize("setting", sorted(settings.SETTINGS))
def test_a_default_of_the_role_is_the_agents_own_default(setting: str) -> None:
    variable = setting.lower()
    if setting in {"WATCHDOG_NAME", "WATCHDOG_APP_DIR", "WATCHDOG_ALLOW_ROOT"}:
        assert variable in DEFAULTS  # the role always says these
    else:
        assert str(DEFAULTS[variable]) == settings.SETTINGS[setting]


def test_the_role_writes_every_setting_that_the_agent_knows_and_no_other() -> None:
    assert set(VARS["__watchdog_settings"]) == set(settings.SETTINGS)
    assert {*VARS["__watchdog_mail_open"], "SMTP_PASSWORD"} == set(settings.SMTP)


def test_the_scripts_on_the_host_know_the_same_default_script_and_root() -> None:
    assert DEFAULTS["watchdog_app_script"] == envsettings.DEFAULT_SCRIPT
    assert DEFAULTS["watchdog_root"] == layout.DEFAULT_ROOT


def plain(text: str) -> str:
    return re.sub(r"[A-Z]\((.*?)\)", r"`\1`", text)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else ""


def table() -> str:
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, spec in SPECS.items():
        text = spec["description"] if isinstance(spec["description"], str) else " ".join(spec["description"])
        choices = f" One of {', '.join(f'`{choice}`' for choice in spec['choices'])}." if "choices" in spec else ""
        rows.append(f"| `{name}` | {shown(spec['default'])} | {plain(text)}{choices} |")
    return "\n".join(rows)


def test_the_readmes_table_of_variables_is_the_argument_specs() -> None:
    assert table() in (ROLE / "README.md").read_text()


def test_no_variable_that_the_role_uses_is_missing_in_the_specs() -> None:
    text = "\n".join(path.read_text() for path in ROLE.glob("*/*") if path.suffix in {".yml", ".j2"})
    used = set(re.findall(r"(?<![\w/-])watchdog_[a-z_]*[a-z]\b", text))
    assert used - {watchdog_onhost.__name__.rpartition(".")[2]} <= set(SPECS)


def test_modules_sent_to_a_host_come_with_all_that_they_import_and_in_the_order_of_their_imports() -> None:
    for entry, modules in watchdog_onhost.MODULES.items():
        assert modules[-1] == entry
        for index, module in enumerate(modules):
            tree = ast.parse((ROLE / "files" / "onhost" / f"{module}.py").read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.level == 1:
                    needed = [node.module] if node.module else [name.name for name in node.names]
                    assert set(needed) <= set(modules[:index]), f"{module} needs {needed}"


def test_modules_sent_to_a_host_import_nothing_but_the_standard_library() -> None:
    for path in (ROLE / "files" / "onhost").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 9))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names, path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert str(node.module).split(".")[0] in sys.stdlib_module_names, path


def render(values: dict[str, str]) -> str:
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string((ROLE / "templates" / "env.j2").read_text()).render(__watchdog_env=values)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "two words",
        '"quoted"',
        "'single'",
        '"',
        "\\",
        "\\n",
        'ends with \\"',
        "#hash # hash",
        "$HOME ${HOME} `id`",
        "{{ 7 * 7 }} {% raw %} {# c #}",
        "a=b",
        "pässwörd ☃ 𝄞",
        " leading and trailing ",
        "%s %%",
    ],
)
def test_a_value_survives_the_way_into_the_env_file_and_out_again(value: str) -> None:
    text = render({"SMTP_PASSWORD": value, "SMTP_SERVER": "mail.example.org", "SMTP_PORT": ""})
    assert envfile.parse(text, "smtp.env") == {"SMTP_PASSWORD": value, "SMTP_SERVER": "mail.example.org"}


def test_what_the_role_reads_back_is_what_it_wrote(tmp_path: Path) -> None:
    values = {"WATCHDOG_APP_DIR": '/srv/my "bots"/\\x', "WATCHDOG_APP_SCRIPT": "src/main_app.py"}
    (tmp_path / "watchdog.env").write_text(render(values))
    assert envsettings.read_settings(str(tmp_path / "watchdog.env")) == values


@pytest.mark.parametrize(
    ("unknown", "answer"),
    [
        ("watchdog_strat", "watchdog_strat (did you mean watchdog_start?)"),
        ("watchdog_usr", "watchdog_usr (did you mean watchdog_user?)"),
        ("watchdog_smtp_pasword", "watchdog_smtp_pasword (did you mean watchdog_smtp_password?)"),
        ("zzz", "zzz"),
    ],
)
def test_a_misspelt_variable_gets_the_right_suggestion(unknown: str, answer: str) -> None:
    assert suggest.suggest(unknown, list(SPECS)) == answer


def settings_of(inventory: str) -> dict[str, str]:
    """What the agent reads from watchdog.env where an inventory says this."""
    variables = {**DEFAULTS, **yaml.safe_load(inventory)}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["bool"] = lambda value: str(value).lower() in {"1", "true", "yes", "on"}
    values = {key: environment.from_string(text).render(variables) for key, text in VARS["__watchdog_settings"].items()}
    return envfile.parse(render(values), "watchdog.env")


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("watchdog_hang_after: 60", {"hang_after": 60.0}),
        ("watchdog_hang_after: 0", {"hang_after": 0.0}),
        ("watchdog_hang_after: 90.5", {"hang_after": 90.5}),
        ("watchdog_heartbeat: 30", {"heartbeat": 30.0}),
        ('watchdog_heartbeat: ""', {"heartbeat": None}),
        ("watchdog_restart_on: none", {"restart_on": ()}),
        ("watchdog_restart_on: stopped, deaf", {"restart_on": ("stopped", "deaf")}),
        ('watchdog_quiet_hours: "Sat-Sun"', {"quiet": quiet.parse("Sat-Sun")}),
        ("watchdog_quiet_hours: Mon-Fri 20:00-13:30, Sat-Sun", {"quiet": quiet.parse("Mon-Fri 20:00-13:30, Sat-Sun")}),
        ("watchdog_quiet_hours: 2026-12-25", {"quiet": quiet.parse("2026-12-25")}),
        ("watchdog_max_memory: 500M", {"memory": 500_000_000}),
        ("watchdog_max_memory: 500000000", {"memory": 500_000_000}),
        ("watchdog_max_cpu: 150", {"cpu": 150.0}),
        ("watchdog_max_descriptors: 80", {"descriptors": 0.8}),
        ('watchdog_max_descriptors: "80%"', {"descriptors": 0.8}),
        ("watchdog_max_descriptors: 0", {"descriptors": 0.0}),
        ("watchdog_limit_samples: 3/5", {"of": (3, 5)}),
        ("watchdog_sample_every: 30", {"sample_every": 30.0}),
        ("watchdog_deaf_after: 600", {"deaf_after": 600.0}),
        ("watchdog_deaf_bytes: 1000", {"deaf_bytes": 1000}),
        ("{watchdog_fresh_file: logs/bot.log, watchdog_fresh_after: 900}", {"fresh_after": 900.0}),
        ("{}", {}),
    ],
)
def test_a_limit_of_the_inventory_is_the_limit_that_the_agent_judges_by(line: str, limit: dict[str, Any]) -> None:
    values, _ = settings.gather(settings_of(line), [])
    assert limits.parse(values, lambda key, what: ConfigError(f"{key} {what}")) == limits.Limits()._replace(**limit)


@pytest.mark.parametrize(
    "line",
    [
        "watchdog_hang_after: 60",
        "watchdog_heartbeat: 30",
        "watchdog_restart_on: none",
        "watchdog_quiet_hours: 2026-12-25",
        "watchdog_max_memory: 500000000",
        "watchdog_max_cpu: 150",
        "watchdog_max_descriptors: 80",
        "watchdog_limit_samples: 3/5",
        "watchdog_fresh_after: 0.5",
        "watchdog_deaf_bytes: 1000",
    ],
)
def test_ansible_takes_what_an_inventory_says_of_a_limit(line: str) -> None:
    validator = ArgumentSpecValidator(SPECS)
    assert validator.validate({**DEFAULTS, **yaml.safe_load(line)}).error_messages == []


def test_ansible_refuses_a_limit_that_is_no_number() -> None:
    found = ArgumentSpecValidator(SPECS).validate({**DEFAULTS, "watchdog_hang_after": "two minutes"})
    assert "watchdog_hang_after" in " ".join(found.error_messages)
