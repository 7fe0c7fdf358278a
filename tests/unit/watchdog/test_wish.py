"""The operator's word: it lasts over damage, clock jumps and reboots, and maintenance has an end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, VirtualClock
from watchdog import instance as instances
from watchdog import wish
from watchdog.instance import Instance

HOUR = 3600.0


def put(path: str, content: Any) -> None:
    """Write a record as it would lie there after damage."""
    Path(path).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


# stop ----------------------------------------------------------------------------------------------------------------


def test_where_nothing_was_said_the_bot_should_run(instance: Instance) -> None:
    assert wish.read_desired(instance) == wish.Desired("run", None, None, None)
    assert wish.read_desired(instance).wanted


@pytest.mark.promise(5)
def test_the_word_is_kept_with_who_when_and_why(instance: Instance, virtual_clock: VirtualClock) -> None:
    wish.write_desired(instance, wish.STOPPED, "alice@laptop", "exchange is down")
    found = wish.read_desired(instance)
    assert not found.wanted
    assert found[:4] == ("stopped", "alice@laptop", "2026-11-24T06:00:00.000Z", "exchange is down")
    virtual_clock.reboot(took=30 * 86_400)
    assert wish.read_desired(instance) == found
    wish.write_desired(instance, wish.RUN, "bob", "")
    assert wish.read_desired(instance)[:2] == ("run", "bob")
    assert wish.read_desired(instance).wanted


@PROPERTY
@given(by=st.text(max_size=300), reason=st.text(max_size=300))
def test_no_name_and_no_reason_can_break_the_word(instance: Instance, by: str, reason: str) -> None:
    wish.write_desired(instance, wish.STOPPED, by, reason)
    found = wish.read_desired(instance)
    assert not found.wanted
    assert by.startswith(found.by or "") and reason.startswith(found.reason or "")


@pytest.mark.fault("F74")
@pytest.mark.promise(5)
@pytest.mark.parametrize("cut", [22, 30, 60, 511])
def test_a_torn_stop_is_still_a_stop(instance: Instance, cut: int) -> None:
    wish.write_desired(instance, wish.STOPPED, "alice", "a longer reason")
    whole = Path(instance.desired).read_bytes()
    put(instance.desired, whole[:cut] + b"\0" * 8)
    assert not wish.read_desired(instance).wanted


@pytest.mark.parametrize("content", [b"", b"\0" * 512, b"{", b'{"desired": "ru', b"[]", b"null", b"\xff" * 512])
def test_a_record_without_a_word_in_it_does_not_keep_the_bot_down(instance: Instance, content: bytes) -> None:
    put(instance.desired, content)
    found = wish.read_desired(instance)
    assert found.wanted and found.reason == "the record is damaged"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({}, True),
        ({"desired": "stopped"}, False),
        ({"desired": "stopped", "by": 5, "since": None, "reason": ["x"]}, False),
        ({"desired": "run", "reason": "was stopped before"}, True),
        ({"desired": 7}, True),
        ({"desired": None, "extra": {"stopped": 1}}, True),
    ],
)
def test_wrong_types_are_passed_over(instance: Instance, content: dict[str, Any], wanted: bool) -> None:
    put(instance.desired, content)
    found = wish.read_desired(instance)
    assert found.wanted is wanted
    assert all(value is None or isinstance(value, str) for value in found)


def test_a_stop_that_cannot_be_recorded_is_an_error(instance: Instance) -> None:
    os.mkdir(instance.desired)
    with pytest.raises(OSError, match="directory"):
        wish.write_desired(instance, wish.STOPPED, "alice", "")


# a script that moved -------------------------------------------------------------------------------------------------


@pytest.mark.fault("F76")
@pytest.mark.promise(5)
@PROPERTY
@given(by=st.text(max_size=100), reason=st.text(max_size=200))
@example(by="ö" * 80, reason="🚧" * 120)
def test_the_word_follows_a_script_whose_real_path_was_moved_by_a_deploy(
    tmp_path_factory: pytest.TempPathFactory, by: str, reason: str
) -> None:
    folder = tmp_path_factory.mktemp("deploys")
    old, new = two_places(folder, folder / "current" / "a-folder-with-a-rather-long-name" / "src" / "main_app.py")
    wish.write_desired(old, wish.STOPPED, by, reason)
    wish.write_maintenance(old, by, reason, HOUR)
    before = wish.read_desired(old)
    wish.inherit(new)
    assert wish.read_desired(new) == before
    assert not before.wanted
    assert wish.read_maintenance(new) is not None


def test_the_word_about_another_bot_is_not_inherited(tmp_path: Path) -> None:
    other, _ = two_places(tmp_path, tmp_path / "other" / "main_app.py")
    _, mine = two_places(tmp_path, tmp_path / "mine" / "main_app.py")
    wish.write_desired(other, wish.STOPPED, "alice", "")
    wish.inherit(mine)
    assert wish.read_desired(mine).wanted


def test_the_newest_of_several_earlier_words_counts_and_an_own_word_is_never_replaced(
    tmp_path: Path, virtual_clock: VirtualClock
) -> None:
    script = tmp_path / "current" / "main_app.py"
    first, second = two_places(tmp_path, script)
    _, third = two_places(tmp_path, script)
    wish.write_desired(second, wish.STOPPED, "alice", "")
    virtual_clock.pass_by(60)
    wish.write_desired(first, wish.RUN, "bob", "")
    os.utime(second.desired, (1_000, 1_000))
    wish.inherit(third)
    assert wish.read_desired(third)[:2] == ("run", "bob")
    virtual_clock.pass_by(60)
    wish.write_desired(first, wish.STOPPED, "carol", "")
    wish.inherit(third)
    assert wish.read_desired(third)[:2] == ("run", "bob")


@pytest.mark.fault("F74")
def test_damaged_records_of_others_do_not_disturb(tmp_path: Path) -> None:
    damaged, mine = two_places(tmp_path, tmp_path / "current" / "main_app.py")
    put(damaged.desired, b"{\0")
    (Path(mine.directory).parent / "a file").write_text("x")
    wish.inherit(mine)
    assert wish.read_desired(mine).wanted


def two_places(folder: Path, script: Path) -> tuple[Instance, Instance]:
    """Two lock directories of one configured script, as after a deploy that moved the link ``current``."""
    places = []
    for _ in range(2):
        place = folder / "locks" / f"main_app-{len(list(folder.glob('locks/*'))):016x}"
        place.mkdir(parents=True, mode=0o700)
        real = instances.locate(str(script))
        places.append(Instance(*(value.replace(real.directory, str(place)) for value in real)))
        instances.prepare(places[-1])
    return places[0], places[1]


# maintenance ---------------------------------------------------------------------------------------------------------


def remaining(instance: Instance) -> float | None:
    """Seconds that are left of the maintenance in force."""
    found = wish.read_maintenance(instance)
    return None if found is None else found.remaining


def test_there_is_no_maintenance_until_somebody_says_so(instance: Instance) -> None:
    assert wish.read_maintenance(instance) is None
    wish.end_maintenance(instance)
    assert wish.read_maintenance(instance) is None


@pytest.mark.fault("F75")
def test_maintenance_has_owner_reason_beginning_and_end(instance: Instance, virtual_clock: VirtualClock) -> None:
    wish.write_maintenance(instance, "alice", "moving the database", 2 * HOUR)
    virtual_clock.pass_by(600)
    assert wish.read_maintenance(instance) == (
        "alice", "moving the database", "2026-11-24T06:00:00.000Z", "2026-11-24T08:00:00.000Z", 2 * HOUR - 600,
    )  # fmt: skip
    virtual_clock.pass_by(2 * HOUR - 601)
    assert remaining(instance) == pytest.approx(1)
    virtual_clock.pass_by(1.5)
    assert wish.read_maintenance(instance) is None


def test_maintenance_can_be_ended_and_replaced(instance: Instance, virtual_clock: VirtualClock) -> None:
    wish.write_maintenance(instance, "alice", "", HOUR)
    wish.write_maintenance(instance, "bob", "longer", 3 * HOUR)
    found = wish.read_maintenance(instance)
    assert found is not None and (found.owner, found.remaining) == ("bob", 3 * HOUR)
    wish.end_maintenance(instance)
    assert wish.read_maintenance(instance) is None


@pytest.mark.fault("F80")
@pytest.mark.parametrize("jump", [-86_400.0, -HOUR, HOUR, 86_400.0])
def test_a_clock_that_jumps_neither_ends_nor_prolongs_maintenance(
    instance: Instance, virtual_clock: VirtualClock, jump: float
) -> None:
    wish.write_maintenance(instance, "alice", "", 2 * HOUR)
    virtual_clock.pass_by(600)
    virtual_clock.wall_seconds += jump
    assert remaining(instance) == pytest.approx(2 * HOUR - 600)


@pytest.mark.fault("F75")
@pytest.mark.promise(5)
def test_maintenance_survives_a_reboot_and_still_ends(instance: Instance, virtual_clock: VirtualClock) -> None:
    wish.write_maintenance(instance, "alice", "", 2 * HOUR)
    virtual_clock.reboot(took=HOUR)
    assert remaining(instance) == pytest.approx(HOUR)
    virtual_clock.pass_by(HOUR + 1)
    assert remaining(instance) is None


@pytest.mark.fault("F80")
def test_a_wall_clock_that_fell_back_over_a_reboot_does_not_stretch_maintenance_by_years(
    instance: Instance, virtual_clock: VirtualClock
) -> None:
    wish.write_maintenance(instance, "alice", "", 2 * HOUR)
    virtual_clock.reboot(took=-10 * 365 * 86_400.0)
    left = remaining(instance)
    assert left is None or left <= 2 * HOUR


def test_maintenance_without_owner_or_reason_is_still_maintenance(
    instance: Instance, virtual_clock: VirtualClock
) -> None:
    put(instance.maintenance, {"until_utc": virtual_clock.wall_seconds + 60, "span": 3600})
    found = wish.read_maintenance(instance)
    assert found is not None
    assert (found.owner, found.reason, found.since) == ("unknown", "", "")


@pytest.mark.fault("F74")
@PROPERTY
@given(
    content=st.one_of(
        st.binary(max_size=40),
        st.fixed_dictionaries(
            {},
            optional={
                key: st.one_of(st.none(), st.text(max_size=5), st.floats(), st.integers(), st.booleans(), st.just([]))
                for key in ("until_utc", "until_boot", "owner", "reason", "since")
            }
            | {"boot": st.sampled_from(["boot-1", "other", None])},
        ),
    )
)
@example({"until_utc": float("nan")})
@example({"until_utc": float("inf")})
@example({"until_utc": 1e300})
@example({"until_utc": 10**400})
@example({"until_utc": 1e15, "until_boot": float("nan"), "boot": "boot-1"})
def test_a_damaged_record_is_read_as_something_that_people_can_be_told(
    instance: Instance, virtual_clock: VirtualClock, content: Any
) -> None:
    put(instance.maintenance, content)
    found = wish.read_maintenance(instance)
    if found is not None:
        assert found.remaining > 0 and isinstance(found.owner, str)
        assert found.until.endswith("Z")
