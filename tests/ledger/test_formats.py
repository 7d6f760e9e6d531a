"""
Ledgers of every version are read, come to what they came to, and can be gone on with.

What they hold is never changed: it is what people have on their disks. `make_fixture.py` writes
those of the present version.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shplan import __version__
from shplan.core import line
from shplan.core.entry import Event
from shplan.core.errors import LedgerError
from shplan.core.line import FORMAT, decode

from .make_fixture import DEPLOYMENTS, FIXTURES, make, story, told
from .support import adopt, content, journal, read, run, write

LEDGERS = sorted(path for path in FIXTURES.glob("*/*") if path.is_dir())


def shown(path: Path) -> str:
    return path.relative_to(FIXTURES).as_posix()


@pytest.fixture(params=LEDGERS, ids=shown)
def fixture(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def copied(fixture: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fixture, tmp_path / "ledger"))


def test_every_version_has_its_ledgers() -> None:
    versions = {path.parent.name for path in LEDGERS}
    assert __version__ in versions
    released = {
        heading.split(" ")[0]
        for heading in (Path(__file__).parents[2] / "CHANGELOG.md").read_text().split("\n## ")[1:]
    }
    assert {one for one in released if one[0].isdigit()} <= versions
    for version in versions:
        names = {path.name for path in LEDGERS if path.parent.name == version}
        assert {"whole", "torn", "recovered", "checkpoint"} <= names


def test_it_comes_to_what_it_came_to(fixture: Path) -> None:
    expected = json.loads(fixture.with_name(f"{fixture.name}.json").read_text(encoding="utf-8"))
    before = content(fixture)
    assert run(told(fixture)) == expected
    assert expected["intact"] is True
    assert content(fixture) == before


def test_it_can_be_gone_on_with(copied: Path) -> None:
    before = run(read(journal(copied)))
    recorded = dict(run(journal(copied).recorded(DEPLOYMENTS[0])))
    run(write(journal(copied), adopt(9)))
    after = run(read(journal(copied)))
    assert after[: len(before)] == before
    assert dict(run(journal(copied).recorded(DEPLOYMENTS[0]))) == recorded
    report = run(journal(copied).verify())
    assert (report.damage, report.torn_bytes, report.entries) == (None, 0, len(before) + 1)


def test_it_is_recovered_when_it_breaks(copied: Path) -> None:
    segment = max(copied.glob("*.jsonl"), key=lambda path: path.stat().st_size)
    lines = segment.read_bytes().splitlines(keepends=True)
    before = run(read(journal(copied)))
    segment.write_bytes(b"".join(lines[:2] + lines[3:]))
    done = run(journal(copied).recover(timeout_s=0))
    assert done.findings.kept == len(before) - 1
    assert run(journal(copied).verify()).damage is None


def test_this_version_writes_what_its_ledgers_hold(tmp_path: Path) -> None:
    """The form of an entry does not change by itself: it is another version's, or another format."""
    make(tmp_path)
    assert content(tmp_path) == content(FIXTURES / __version__)


def lines_of(version: str) -> Iterator[bytes]:
    for path in sorted((FIXTURES / version).rglob("*.jsonl")):
        for text in path.read_bytes().splitlines(keepends=True):
            if text.endswith(b"\n"):
                yield text


def test_they_hold_every_event_and_every_field() -> None:
    events, names = set(), set()
    for text in lines_of(__version__):
        record = json.loads(text)
        events.add(record["event"])
        names |= set(_names(record, "_Line"))
    assert events == {event.value for event in Event}
    wanted = {
        (one.__name__, _camel(name))
        for one in (line._Line, line._SettlementLine, line._ReceiptLine, line._MemberLine)
        for name in one.__struct_fields__
    }
    assert wanted <= names


_NESTED = {"settlement": "_SettlementLine", "receipt": "_ReceiptLine", "members": "_MemberLine"}


def _names(record: dict[str, object], of: str) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        yield of, name
        if name == "members" and isinstance(value, dict):
            for member in value.values():
                yield from _names(member, _NESTED[name])
        elif name in _NESTED and isinstance(value, dict):
            yield from _names(value, _NESTED[name])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def test_every_draft_of_the_story_is_read_back() -> None:
    found = [entry.draft for entry in map(decode, lines_of(__version__))]
    for lease in story(DEPLOYMENTS[1]):
        for draft in lease:
            wanted = dataclasses.replace(draft, intent=None)
            assert any(dataclasses.replace(one, intent=None) == wanted for one in found), draft


@pytest.mark.parametrize("file", ["00000000.jsonl", "head.json"])
def test_a_newer_format_is_refused_by_name(tmp_path: Path, file: str) -> None:
    copy = Path(shutil.copytree(FIXTURES / __version__ / "torn", tmp_path / "ledger"))
    newer = f'"v":{FORMAT + 1}'.encode()
    whole = (copy / file).read_bytes()
    (copy / file).write_bytes(whole.replace(f'"v":{FORMAT}'.encode(), newer))
    before = content(copy)
    for attempt in (
        journal(copy).head(),
        journal(copy).recorded(DEPLOYMENTS[0]),
        read(journal(copy)),
        write(journal(copy), adopt(1)),
        journal(copy).recover(timeout_s=0),
    ):
        with pytest.raises(LedgerError, match=rf"format {FORMAT + 1}.*newer shplan"):
            run(attempt)
    after = content(copy)
    assert {name: after[name] for name in before} == before
