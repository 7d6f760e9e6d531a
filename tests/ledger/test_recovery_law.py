"""Whatever became of a ledger's lines, recovery keeps what it would if it had all in memory."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event
from shplan.ledger import recovery
from shplan.ledger.recovery import LOST_SHOWN, Findings, Place, Rescue, find

from . import plain_recovery
from .support import FIELDS, HERE, adopt

ACTOR = {"user": "ada"}
TIME = "2025-06-01T10:00:00.000Z"


def chained(head: Head, drafts: Sequence[EntryDraft], *, fence: int = 1) -> list[bytes]:
    _, lines, _ = chain.append(head, drafts, fence=fence, time=TIME, actor=ACTOR)
    return list(lines)


def head_of(line: bytes) -> Head:
    verdict = chain.decode(line)
    return Head(verdict.sequence, verdict.fence, chain.line_hash(line))


def drafts(first: int, count: int) -> list[EntryDraft]:
    """Adoptions, and now and then an outcome of an earlier entry."""
    return [
        adopt(number)
        if number % 3
        else EntryDraft(Event.OUTCOME, FIELDS, deployment=HERE, intent=max(number - 4, 0))
        for number in range(first, first + count)
    ]


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[list[tuple[Place, bytes]], Head | None]:
    """Lines of a ledger and of others that fork from it, in any disorder, and any head."""
    trunk = chained(EMPTY, drafts(0, draw(st.integers(1, 12))))
    lines = list(trunk)
    everything = list(trunk)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(trunk) - 1))
        branch = chained(head_of(trunk[at]), drafts(50, draw(st.integers(1, 4))), fence=2)
        everything += branch
        where = draw(st.integers(0, len(lines)))
        lines[where:where] = branch
    for _ in range(draw(st.integers(0, 4))):
        if not lines:
            break
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from(["drop", "repeat", "swap", "garble", "move", "turn"])):
            case "drop":
                del lines[at]
            case "repeat":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "garble":
                lines[at] = draw(st.sampled_from([b"\n", b"?\n", lines[at].replace(b"-", b"_")]))
            case "move":
                part = lines[at:]
                lines = [*part, *lines[:at]]
            case "turn":
                lines[at : at + 3] = reversed(lines[at : at + 3])
    if lines and draw(st.booleans()):
        lines[-1] = lines[-1][:-1]
    heads = [None, Head(99, 9, "sha256:0"), Head(2, 1, "sha256:0"), *map(head_of, everything)]
    return placed(lines, draw(st.integers(1, 9))), draw(st.sampled_from(heads))


def placed(lines: Sequence[bytes], of_segment: int) -> list[tuple[Place, bytes]]:
    return [
        (Place(f"{number // of_segment}.jsonl", number % of_segment + 1), line)
        for number, line in enumerate(lines)
    ]


async def recovered(
    lines: Sequence[tuple[Place, bytes]], acknowledged: Head | None
) -> tuple[Findings, list[bytes], Head]:
    async def read() -> AsyncIterator[tuple[Place, bytes]]:
        for one in lines:
            yield one

    findings = await find(read, acknowledged)
    rescue = Rescue(findings, read, time=TIME, actor=ACTOR)
    return findings, [line async for line in rescue.lines()], rescue.head()


@given(ledgers())
def test_it_keeps_what_it_would_with_everything_in_memory(
    made: tuple[list[tuple[Place, bytes]], Head | None],
) -> None:
    lines, acknowledged = made
    plain = plain_recovery.salvage(
        [(str(place), line) for place, line in lines],
        acknowledged=acknowledged,
        time=TIME,
        actor=ACTOR,
    )
    findings, written, head = asyncio.run(recovered(lines, acknowledged))
    assert (findings.kept, findings.lost_count) == (plain.kept, len(plain.lost))
    assert sorted(map(str, findings.lost)) == sorted(
        str(plain_recovery.Lost(one.place, one.why)) for one in plain.lost
    )
    assert written == list(plain.lines)
    assert head == plain.head
    assert chain.verify(written, acknowledged=head).damage is None


def test_what_was_lost_is_named_up_to_a_number_and_counted_whole() -> None:
    lines = placed([b"?\n"] * 70 + chained(Head(4, 1, "sha256:0"), drafts(5, 80))[1:], 10)
    lines = [one for at, one in enumerate(lines) if at % 2 == 0 or at < 70]
    findings, written, _ = asyncio.run(recovered(lines, Head(10**6, 1, "sha256:0")))
    assert len(findings.lost) == min(LOST_SHOWN, findings.lost_count)
    assert findings.kept + findings.lost_count == len(lines)
    assert len(written) == findings.kept + 1


@pytest.mark.parametrize("disorder", ["none", "halves swapped"])
def test_memory_does_not_grow_with_the_entries(
    disorder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies too early waits on the disk; only where a chain breaks is remembered."""
    monkeypatch.setattr(recovery, "_SPOOL_BYTES", 2**16)
    peaks = []
    for count in (300, 3000):
        lines = chained(EMPTY, drafts(0, count))
        lines[count // 3] = b"?\n"
        if disorder != "none":
            lines = lines[count // 2 :] + lines[: count // 2]
        some = placed(lines, count)

        async def consumed(some: list[tuple[Place, bytes]] = some) -> int:
            async def read() -> AsyncIterator[tuple[Place, bytes]]:
                for one in some:
                    yield one

            findings = await find(read, None)
            rescue = Rescue(findings, read, time=TIME, actor=ACTOR)
            return sum([1 async for _ in rescue.lines()])

        tracemalloc.start()
        assert asyncio.run(consumed()) >= count - 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # The lines of the larger one are 900 kB long.
    assert peaks[1] < peaks[0] + 2**18


def test_disorder_is_put_in_order() -> None:
    """Every line alone, in any order: nothing is lost, and the chain is the same."""
    lines = chained(EMPTY, drafts(0, 60))
    shuffled = list(lines)
    random.Random(7).shuffle(shuffled)
    _, straight, _ = asyncio.run(recovered(placed(lines, 7), None))
    findings, written, _ = asyncio.run(recovered(placed(shuffled, 7), None))
    assert (findings.kept, findings.lost_count) == (60, 0)
    assert written == straight
