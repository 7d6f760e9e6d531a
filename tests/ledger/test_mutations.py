"""
Every alteration of a small ledger, byte by byte and file by file: each is reported, or harms nothing.

Harmless is what leaves every entry readable as it was written: a torn tail, a head that is behind
or gone (both are said), and files that are no part of the record.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shplan.core.anchors import Anchor
from shplan.core.chain import DamageKind, Head
from shplan.core.errors import LedgerError
from shplan.ledger.journal import Journal
from shplan.ledger.port import Holder
from shplan.ledger.verification import Report
from tests.support.samples import some

from .support import adopt, backend, content, intent, journal, run, write

HEAD = "head.json"
PARTS = ("lock", "checkpoint.json", HEAD)


class Small:
    """A ledger of three segments, as it was after each of its leases."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history: list[dict[str, bytes]] = []
        self.heads: list[Head] = []
        for drafts in ([intent(), adopt(1)], [adopt(2)], [intent("delete"), adopt(3)]):
            run(write(journal(path, segment_bytes=1), *drafts))
            self.history.append(content(path))
            self.heads.append(run(journal(path).verify()).end)
        self.files = self.history[-1]
        self.segments = sorted(name for name in self.files if name.endswith(".jsonl"))
        self.lines = [
            (name, line)
            for name in self.segments
            for line in self.files[name].splitlines(keepends=True)
        ]
        assert len(self.segments) == 3
        assert len(self.lines) == 6

    def put(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.path)
        self.path.mkdir()
        for name, data in files.items():
            (self.path / name).write_bytes(data)

    def with_lines(self, lines: list[tuple[str, bytes]]) -> dict[str, bytes]:
        """These lines, each in the file that it is said to stand in."""
        files = {name: data for name, data in self.files.items() if name not in self.segments}
        for name in self.segments:
            files[name] = b"".join(line for where, line in lines if where == name)
        return files


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path / "ledger")


def mutations(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Every byte with each bit flipped, deleted, repeated, and with something else before it."""
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytes([whole[at] ^ 1 << bit])
            yield f"bit {bit} of byte {at}", whole[:at] + flipped + whole[at + 1 :]
        yield f"without byte {at}", whole[:at] + whole[at + 1 :]
        yield f"byte {at} twice", whole[:at] + whole[at : at + 1] + whole[at:]
        for inserted in (b"\n", b" ", b"0", b"\x00"):
            yield f"{inserted!r} before byte {at}", whole[:at] + inserted + whole[at:]


async def verify(path: Path, *anchors: Anchor) -> Report:
    return await journal(path).verify(anchors)


async def reported(path: Path) -> str:
    try:
        return "none" if (await verify(path)).damage is None else "damage"
    except LedgerError as error:
        return "newer" if "newer shplan" in str(error) else str(error)


@pytest.mark.sampled
@pytest.mark.parametrize("which", [0, 1, 2, HEAD])
def test_every_changed_byte_of_every_file_is_reported(small: Small, which: int | str) -> None:
    """Each byte in some ways, and the next one in others; in `make slow` each in all of them."""
    name = small.segments[which] if isinstance(which, int) else which
    whole = small.files[name]
    step = some(3, thorough=1)

    async def story() -> int:
        count = 0
        for what, changed in itertools.islice(mutations(whole), 0, None, step):
            (small.path / name).write_bytes(changed)
            if changed == whole:
                # A repeated or inserted byte beside its like.
                continue
            count += 1
            said = await reported(small.path)
            # A head of a later format is not called damage, and nothing is read.
            assert said == "damage" or (said == "newer" and name == HEAD), what
        return count

    assert asyncio.run(story()) > 12 * len(whole) // step


def test_every_changed_byte_of_what_lies_beside_is_reported(small: Small) -> None:
    """A checkpoint, and the signature of somebody who died: nobody believes either."""

    async def story() -> int:
        await write(journal(small.path, checkpoint_bytes=1), adopt(4))
        dead = backend(small.path)
        assert await dead.acquire(Holder(7, "bob", "old", "2025-05-31T10:00:00.000Z")) is None
        dead._lock.release()
        assert (await verify(small.path)).proven
        count = 0
        for name in ("checkpoint.json", "holder.json"):
            whole = (small.path / name).read_bytes()
            for what, changed in itertools.islice(mutations(whole), 0, None, 5):
                if changed == whole:
                    continue
                count += 1
                (small.path / name).write_bytes(changed)
                report = await verify(small.path)
                assert report.damage is None
                assert not report.proven, (name, what)
            (small.path / name).write_bytes(whole)
        return count

    assert asyncio.run(story()) > 1200


def test_whatever_stands_behind_the_last_line_is_a_torn_tail_or_damage(small: Small) -> None:
    """The one place where bytes may be added without damage: what a power cut leaves there."""
    name = small.segments[-1]
    for added in range(256):
        (small.path / name).write_bytes(small.files[name] + bytes([added]))
        report = run(verify(small.path))
        if added == ord("\n"):
            assert report.damage is not None
        else:
            assert (report.damage, report.torn_bytes, report.entries) == (None, 1, 6)


def test_every_cut_anywhere_is_reported(small: Small) -> None:
    for name in (*small.segments, HEAD):
        for length in range(len(small.files[name])):
            (small.path / name).write_bytes(small.files[name][:length])
            assert run(verify(small.path)).damage is not None, (name, length)
        (small.path / name).write_bytes(small.files[name])


def test_every_dropped_swapped_or_repeated_line_is_reported(small: Small) -> None:
    lines = small.lines
    changed = [lines[:at] + lines[at + 1 :] for at in range(len(lines))]
    for one, other in itertools.combinations(range(len(lines)), 2):
        swapped = list(lines)
        swapped[one] = (lines[one][0], lines[other][1])
        swapped[other] = (lines[other][0], lines[one][1])
        changed.append(swapped)
    for copied, place in itertools.product(range(len(lines)), range(len(lines))):
        where = lines[place][0]
        changed.append([*lines[: place + 1], (where, lines[copied][1]), *lines[place + 1 :]])
    assert len(changed) == 6 + 15 + 36
    for rearranged in changed:
        small.put(small.with_lines(rearranged))
        assert run(verify(small.path)).damage is not None, rearranged


def test_a_line_that_moved_to_the_next_file_is_reported(small: Small) -> None:
    """The chain is whole: the names are what says that somebody was here."""
    files = dict(small.files)
    first, second = small.segments[:2]
    *kept, last = files[first].splitlines(keepends=True)
    files |= {first: b"".join(kept), second: last + files[second]}
    small.put(files)
    report = run(verify(small.path))
    assert report.damage.kind is DamageKind.RENAMED


def test_every_removed_emptied_or_renamed_segment_is_reported(small: Small) -> None:
    for name in small.segments:
        for content_ in (None, b""):
            files = {key: data for key, data in small.files.items() if key != name}
            if content_ is not None:
                files[name] = content_
            small.put(files)
            assert run(verify(small.path)).damage is not None, (name, content_)
        for other in ("00000001.jsonl", "00000099.jsonl", "000000000.jsonl", "x.jsonl", "0.json"):
            files = {key: data for key, data in small.files.items() if key != name}
            small.put({**files, other: small.files[name]})
            assert run(verify(small.path)).damage is not None, (name, other)
    for one, other in itertools.combinations(small.segments, 2):
        swapped = {**small.files, one: small.files[other], other: small.files[one]}
        small.put(swapped)
        assert run(verify(small.path)).damage is not None, (one, other)
    for name in small.segments:
        small.put({**small.files, "00000099.jsonl": small.files[name]})
        assert run(verify(small.path)).damage is not None, name


def entries_of(ledger: Journal) -> list[object]:
    async def gathered() -> list[object]:
        return [entry async for entry in ledger.entries()]

    return run(gathered())


def test_what_is_harmless_leaves_every_entry_as_it_was(small: Small) -> None:
    """All that verify calls intact; what the next writer would mend, it says."""
    written = entries_of(journal(small.path))
    last = small.segments[-1]
    harmless = {
        "a torn tail": ({last: small.files[last] + b'{"actor":'}, "torn_bytes"),
        "a segment that was begun": ({"00000006.jsonl": b""}, None),
        "a head that is gone": ({HEAD: None}, "no head"),
        "a head from before": ({HEAD: small.history[0][HEAD]}, "head_behind"),
        "who holds it": ({"holder.json": b"", "lock": b"anything"}, None),
        "a file of nobody": ({"notes.txt": b"hello"}, None),
        "a checkpoint of nobody": ({"checkpoint.json": b"{}"}, "checkpoint"),
        "a signature of nobody": ({"holder.json": b"anything"}, "flaws"),
    }
    for what, (changes, said) in harmless.items():
        files: dict[str, bytes | None] = {**small.files, **changes}
        small.put({name: data for name, data in files.items() if data is not None})
        report = run(verify(small.path))
        assert report.damage is None, what
        assert entries_of(journal(small.path)) == written, what
        notes = {
            "torn_bytes": report.torn_bytes > 0,
            "no head": not report.head_kept,
            "head_behind": report.head_behind == 3,
            "checkpoint": report.checkpoint.value == "altered",
            "flaws": bool(report.flaws),
        }
        assert [name for name, true in notes.items() if true] == ([said] if said else []), what
        run(write(journal(small.path), adopt(9)))
        assert entries_of(journal(small.path))[: len(written)] == written, what


# What no chain can find: a ledger that was rolled back with its head.


def anchor(head: Head) -> Anchor:
    return Anchor.parse(f"{head.sequence}:{head.hash}", source="CI")


def test_a_ledger_rolled_back_with_its_head_is_found_by_every_later_anchor(small: Small) -> None:
    for rolled, files in enumerate(small.history):
        small.put(files)
        for number, head in enumerate(small.heads):
            report = run(verify(small.path, anchor(head)))
            assert report.damage is None
            (found,) = report.anchors
            assert found.met is report.proven is (number <= rolled)
            if not found.met:
                assert found.what == (
                    f"the ledger does not reach entry {head.sequence}: "
                    f"it ends with entry {small.heads[rolled].sequence}"
                )
            by_hash = run(verify(small.path, Anchor(head.hash)))
            assert by_hash.proven is (number <= rolled)


def test_a_ledger_written_anew_after_a_roll_back_is_found(small: Small) -> None:
    small.put(small.history[0])
    run(write(journal(small.path), *map(adopt, range(10, 20))))
    report = run(verify(small.path, *map(anchor, small.heads)))
    assert report.damage is None
    assert [one.met for one in report.anchors] == [True, False, False]
    assert report.anchors[2].what == "entry 5 is another one now"


def test_a_ledger_that_is_gone_is_found(small: Small) -> None:
    shutil.rmtree(small.path)
    report = run(verify(small.path, anchor(small.heads[0])))
    assert report.anchors[0].what == "the ledger does not reach entry 2: it is empty"
    assert not report.proven


def test_an_anchor_from_before_a_recovery_says_so(small: Small) -> None:
    file = small.path / small.segments[0]
    file.write_bytes(file.read_bytes().replace(b"id-1", b"id-7"))
    run(journal(small.path).recover(timeout_s=0))
    report = run(verify(small.path, anchor(small.heads[-1])))
    assert report.damage is None
    assert "the head of a damaged ledger, from whose intact entries" in report.anchors[0].what
    assert not report.proven


def test_a_broken_ledger_meets_no_anchor_behind_the_damage(small: Small) -> None:
    file = small.path / small.segments[1]
    file.write_bytes(file.read_bytes().replace(b"id-2", b"id-7"))
    report = run(verify(small.path, *map(anchor, small.heads)))
    assert report.damage is not None
    assert [one.met for one in report.anchors] == [True, False, False]
