"""How a task has ended, read from what the service leaves in the bucket."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shplan.providers.job_outcome import Features, read_features


def database(path: Path, *rows: tuple[str, str, str | None]) -> bytes:
    with sqlite3.connect(path) as file:
        file.execute("create table features (id integer, name text, status text, error text)")
        for number, row in enumerate(rows):
            file.execute("insert into features values (?, ?, ?, ?)", (number, *row))
    file.close()
    return path.read_bytes()


def test_failed_features_have_their_causes_and_empty_ones_are_done(tmp_path: Path) -> None:
    content = database(
        tmp_path / "a.sqlite",
        ("t1", "DONE", None),
        ("t2", "DONE", "No data"),
        ("t3", "FATAL", "no imagery"),
        ("t4", "PENDING", None),
    )
    assert read_features(content) == Features(4, 1, {"t3": "no imagery"})


@pytest.mark.parametrize("content", [b"", b"half written", b"SQLite format 3\x00" + b"\x00" * 500])
def test_what_is_no_database_tells_nothing(content: bytes) -> None:
    assert read_features(content) is None


def test_a_database_of_something_else_tells_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "b.sqlite") as file:
        file.execute("create table other (id integer)")
    assert read_features((tmp_path / "b.sqlite").read_bytes()) is None
