"""Small files that outlive the process: whole or not there, readable after anything."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY
from watchdog import store

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=400))
DOCUMENTS = st.dictionaries(st.text(max_size=10), VALUES, max_size=6)


@PROPERTY
@given(DOCUMENTS)
def test_what_was_replaced_is_read_back(tmp_path: Path, document: dict[str, Any]) -> None:
    path = str(tmp_path / "x.json")
    store.replace(path, document)
    assert store.load(path) == json.loads(json.dumps(document))


def test_a_failed_replacement_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "x.json")
    store.replace(path, {"old": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.replace(path, {"new": 2})
    assert store.load(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.fault("F70")
def test_a_reader_sees_the_old_file_or_the_new_one_never_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "x.json")
    store.replace(path, {"old": "x" * 5000})
    seen: list[Any] = []
    sync, rename = os.fsync, os.rename

    def look_then_sync(descriptor: int) -> None:
        seen.append(store.load(path))
        sync(descriptor)

    def look_then_rename(source: str, target: str) -> None:
        seen.append(store.load(path))
        rename(source, target)
        seen.append(store.load(path))

    monkeypatch.setattr(os, "fsync", look_then_sync)
    monkeypatch.setattr(os, "rename", look_then_rename)
    store.replace(path, {"new": 1})
    assert seen == [{"old": "x" * 5000}, {"old": "x" * 5000}, {"new": 1}], "synced before it was renamed"


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    store.replace(str(tmp_path / "a"), {})
    store.record(str(tmp_path / "b"), {})
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o600, 0o600]


def test_a_missing_file_is_nothing_and_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert store.load(str(tmp_path / "no")) is None
    with pytest.raises(OSError, match="No such file"):
        store.replace(str(tmp_path / "no" / "x"), {})


@pytest.mark.fault("F74")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\0" * 512,
        b"[]",
        b"null",
        b"42",
        b'"x"',
        b"{}{}",
        b"\xff\xfe",
        b'{"a":',
        b"[" * 100_000,
        b"nonsense",
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json"):
        store.load(str(path))


def test_a_directory_or_a_forbidden_place_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        store.load(str(tmp_path))


def test_a_symlink_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        store.record(str(tmp_path / "link"), {"x": 1})
    assert target.read_text() == "precious"


@settings(PROPERTY, max_examples=30)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=300), max_size=4), min_size=1, max_size=4))
def test_a_record_has_one_size_and_is_always_readable(tmp_path: Path, documents: list[dict[str, str]]) -> None:
    path = tmp_path / "record"
    for document in documents:
        store.record(str(path), document)
        assert path.stat().st_size in (512, 1024, 2048, 4096), "within a page, so that it is written at once"
        found = store.load(str(path))
        assert found is not None and found.keys() == document.keys()
        assert all(document[key].startswith(found[key]) for key in document), "cut, never changed"


@PROPERTY
@given(st.text(max_size=100))
def test_a_short_record_is_not_cut(tmp_path: Path, text: str) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()
    store.record(str(tmp_path / "record"), {"by": ascii_text[:60], "reason": ascii_text[60:]})
    assert store.load(str(tmp_path / "record")) == {"by": ascii_text[:60], "reason": ascii_text[60:]}


def test_a_record_is_written_in_place_so_that_a_full_disk_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "record"
    store.record(str(path), {"desired": "run"})
    before = path.stat().st_ino, path.stat().st_size
    store.record(str(path), {"desired": "stopped"})
    assert (path.stat().st_ino, path.stat().st_size) == before
    assert store.load(str(path)) == {"desired": "stopped"}


def test_lines_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert store.append(str(path), b"first\n") == 6
    with pytest.raises(OSError, match="No space left") as caught, files_no_larger_than(10):
        store.append(str(path), b"second\n")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"first\n"
    assert store.append(str(path), b"third\nfourth\n") == 19
    assert path.read_bytes() == b"first\nthird\nfourth\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_are_added_to_plain_files_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "fifo")
    for name, why in (
        ("folder", "Is a directory"),
        ("link", "symbolic links"),
        ("fifo", "No such device"),
        ("missing/file", "No such file"),
    ):
        with pytest.raises(OSError, match=why):
            store.append(str(tmp_path / name), b"x\n")
    assert not (tmp_path / "target").exists() and not (tmp_path / "missing").exists()


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel writes no more than that to any file: half a line, as on a disk that is full (setrlimit(2))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
