"""The numbers that scripts rely on."""

from __future__ import annotations

from watchdog.states import SCHEMA, ExitCode


def test_exit_codes_and_schema_are_those_that_are_documented() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "NOT_RUNNING": 3, "UNKNOWN": 4, "STUCK": 5, "BUSY": 75, "CONFIG": 78,
        "DUPLICATE": 79,
    }  # fmt: skip
    assert SCHEMA == 1
