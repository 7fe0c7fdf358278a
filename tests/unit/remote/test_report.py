"""Exit codes over many hosts, and the JSON form."""

from __future__ import annotations

import itertools

import pytest

from remote.answers import Answer
from remote.commands import Verb
from remote.errors import HostError, Unreachable
from remote.report import Report, action_exit_code, as_json, status_exit_code


@pytest.mark.parametrize(
    ("codes", "code"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([3, 4, 1], 4), ([78, 3], 1), ([75], 1), ([-9], 1), ([2, 0], 1)],
)
def test_status_codes_are_lsb_and_unknown_wins(codes: list[int], code: int) -> None:
    assert {status_exit_code(order) for order in itertools.permutations(codes)} == {code}


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0], 0), ([1, 5, 75, 4], 4), ([1, 5, 75], 5), ([1, 75], 75), ([3, 1], 1), ([3, 0], 3), ([78], 1)],
)
def test_action_codes_take_the_worst(codes: list[int], code: int) -> None:
    assert {action_exit_code(order) for order in itertools.permutations(codes)} == {code}


def test_a_host_has_an_answer_or_an_error_in_json() -> None:
    reports = [
        Report("a", answer=Answer(3, {"state": "stopped"})),
        Report("b", error=Unreachable("gone", short="g")),
        Report("c", error=HostError("no door", exit_code=1)),
    ]
    assert as_json(Verb.STATUS, reports) == {
        "schema": 1,
        "verb": "status",
        "hosts": [
            {"host": "a", "reachable": True, "exit_code": 3, "status": {"state": "stopped"}},
            {"host": "b", "reachable": False, "exit_code": 4, "error": "gone"},
            {"host": "c", "reachable": True, "exit_code": 1, "error": "no door"},
        ],
    }
