"""What every place for a ledger promises, whichever it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shplan.core import chain
from shplan.core.chain import EMPTY, Head
from shplan.core.entry import EntryDraft, Event
from shplan.core.errors import LedgerError, LockedError
from shplan.ledger.journal import Journal
from shplan.ledger.port import Backend, HeadMovedError, Holder, LeaseLostError, Mark, MarkLostError
from tests.ledger.backends.places import Place, Schemas, journal, kept, lines
from tests.ledger.backends.turns import Turns, TurnTaking
from tests.ledger.support import FIELDS, HERE, HandClock, adopt, drafts_of, read, run, write

ADA = Holder(11, "ada", "lab", "2025-06-01T10:00:00.000Z")
BOB = Holder(12, "bob", "ci", "2025-06-01T10:00:01.000Z")
EVE = Holder(13, "eve", "home", "2025-06-01T10:00:02.000Z")
Appended = tuple[tuple[bytes, ...], Head]


def chained(head: Head, *numbers: int, fence: int = 1) -> Appended:
    _, written, after = chain.append(
        head,
        [adopt(number) for number in numbers],
        fence=fence,
        time="2025-06-01T10:00:00.000Z",
        actor={},
    )
    return written, after


async def held(place: Place, holder: Holder = ADA) -> Backend:
    """A backend that has the lease, and has read how far the ledger goes."""
    backend = place.backend()
    assert await backend.acquire(holder) is None
    await backend.head()
    return backend


async def append(backend: Backend, head: Head, *numbers: int) -> tuple[Head, Mark]:
    written, after = chained(head, *numbers)
    return after, await backend.append(written, expected=head, head=after)


def test_a_reader_of_nothing_finds_nothing(place: Place) -> None:
    assert run(kept(place)) is None
    assert run(lines(place)) == []
    assert run(journal(place).head()) == EMPTY.hash
    assert run(journal(place).verify()).entries == 0


def test_only_a_directory_is_private(place: Place) -> None:
    assert place.backend().private == (type(place).__name__ == "DirectoryPlace")


def test_what_is_appended_is_read_byte_by_byte(place: Place) -> None:
    async def story() -> None:
        backend = await held(place)
        first, after = chained(EMPTY, 1, 2)
        second, end = chained(after, 3)
        await backend.append(first, expected=EMPTY, head=after)
        await backend.append(second, expected=after, head=end)
        assert await lines(place) == [*first, *second]
        assert await kept(place) == end
        await backend.release()
        assert await lines(place) == [*first, *second]

    run(story())


def test_reading_goes_on_behind_every_mark(place: Place) -> None:
    async def story() -> None:
        backend = await held(place)
        head, marks, everything = EMPTY, [], []
        for number in range(12):
            written, after = chained(head, *range(number % 3 + 1))
            marks.append(await backend.append(written, expected=head, head=after))
            head, everything = after, [*everything, written]
        for count, mark in enumerate(marks, start=1):
            assert await lines(place, mark) == [line for one in everything[count:] for line in one]
        await backend.release()

    run(story())


@pytest.mark.parametrize("name", ["nothing of this kind", "99999999.jsonl", f"{99:020}.jsonl"])
def test_a_mark_that_is_not_there_is_said_to_be_lost(place: Place, name: str) -> None:
    run(write(journal(place), adopt(1)))
    with pytest.raises(MarkLostError):
        run(lines(place, Mark(name, 5)))


def test_an_append_behind_another_head_changes_nothing(place: Place) -> None:
    async def story() -> None:
        backend = await held(place)
        head, _ = await append(backend, EMPTY, 1)
        before = await lines(place)
        for expected in (EMPTY, Head(head.sequence, head.fence, "sha256:0")):
            written, after = chained(expected, 2)
            with pytest.raises(HeadMovedError, match="somebody else wrote"):
                await backend.append(written, expected=expected, head=after)
        assert (await lines(place), await kept(place)) == (before, head)
        await backend.release()

    run(story())


def test_nobody_writes_without_the_lease(place: Place) -> None:
    async def story() -> None:
        backend = await held(place)
        head, _ = await append(backend, EMPTY, 1)
        await backend.release()
        if place.backend().private:
            return  # the lock of a directory is asked for by the journal alone
        written, after = chained(head, 2)
        with pytest.raises(LeaseLostError):
            await backend.append(written, expected=head, head=after)
        with pytest.raises(LeaseLostError):
            await backend.beat()
        assert len(await lines(place)) == 1

    run(story())


# The lease.


def test_the_others_are_told_who_holds_it(place: Place) -> None:
    async def story() -> None:
        ada, bob = await held(place), place.backend()
        assert await bob.acquire(BOB) == ADA
        assert await place.backend().acquire(EVE) == ADA
        await ada.beat()
        await ada.release()
        assert await bob.acquire(BOB) is None
        assert bob.dead == ()
        assert await ada.acquire(ADA) == BOB
        await bob.release()

    run(story())


def test_who_holds_it_is_seen_without_touching_anything(place: Place) -> None:
    async def story() -> None:
        assert await place.backend().holder() is None
        ada = await held(place)
        for _ in range(2):
            assert await place.backend().holder() == ADA
        await ada.beat()
        await ada.release()
        assert await place.backend().holder() is None
        # Looking took nothing from anybody.
        await (await held(place, BOB)).release()

    run(story())


def test_who_takes_it_again_reads_what_others_have_appended(place: Place) -> None:
    async def story() -> None:
        mine = journal(place)
        for number in range(3):
            async with mine.lease(timeout_s=0) as lease:
                told = await mine.others() if number else ()
                assert [entry.actor["user"] for entry in told] == ["bob"] * number
                await lease.append([adopt(number)])
            for _ in range(number + 1):
                await write(journal(place, "bob"), adopt(9))

    run(story())


def test_who_is_kept_out_leaves_naming_the_other(place: Place) -> None:
    async def story() -> None:
        async with journal(place).lease(timeout_s=0):
            with pytest.raises(LockedError, match=r"held by process \d+ of ada on .+ since 2025-"):
                await write(journal(place, "bob"), adopt(1))

    run(story())


def test_every_lease_has_a_larger_number(place: Place) -> None:
    async def story() -> list[int]:
        for number in range(3):
            await write(journal(place), adopt(number))
            async with journal(place).lease(timeout_s=0):
                pass
        return [entry.fence for entry in await read(journal(place)) if entry.draft.address]

    fences = run(story())
    assert fences == sorted(set(fences))


def test_the_lease_of_a_dead_holder_is_taken_over_and_the_ledger_says_so(place: Place) -> None:
    async def story() -> None:
        await place.die(await held(place))
        await write(journal(place, "bob"), adopt(1))
        _, told, entry = await read(journal(place))
        assert told.draft.event is Event.TAKEOVER
        assert told.draft.data == {
            "holder": {"pid": 11, "user": "ada", "host": "lab", "since": ADA.since}
        }
        assert (told.actor, told.fence) == ({"user": "bob"}, entry.fence)
        await write(journal(place), adopt(2))
        assert [one.draft.event for one in await read(journal(place))].count(Event.TAKEOVER) == 1

    run(story())


def test_the_dead_are_told_of_by_the_first_who_lives_long_enough(place: Place) -> None:
    async def story() -> None:
        await place.die(await held(place, ADA))
        second = await held(place, BOB)
        assert second.dead == (ADA,)
        await place.die(second)
        third = await held(place, EVE)
        assert third.dead == (ADA, BOB)
        # It lets go, without having written anything.
        await third.release()
        await write(journal(place), adopt(1))
        told = [e for e in await read(journal(place)) if e.draft.event is Event.TAKEOVER]
        assert [entry.draft.data["holder"]["user"] for entry in told] == ["ada", "bob"]

    run(story())


def test_a_holder_that_lost_the_lease_cannot_write(place: Place) -> None:
    """It was paused, somebody else took over and wrote; then it goes on, as if nothing had been."""

    async def story() -> None:
        slow = place.backend()
        ledger = Journal(slow, clock=HandClock(), actor={"user": "ada"})
        async with ledger.lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            await place.lose(slow)
            await write(journal(place, "bob"), adopt(2))
            before = await lines(place)
            # Not that somebody wrote, but that they have taken over: it leaves with 6.
            with pytest.raises(HeadMovedError if slow.private else LeaseLostError):
                await lease.append([adopt(3)])
            with pytest.raises(LedgerError):
                await lease.append([adopt(4)])
            assert await lines(place) == before
        assert drafts_of(await read(journal(place))) == [adopt(1), adopt(2)]
        report = await journal(place).verify()
        assert report.damage is None
        await write(journal(place), adopt(5))

    run(story())


def test_a_holder_that_lost_the_lease_cannot_write_before_the_next_one_does(place: Place) -> None:
    async def story() -> None:
        if place.backend().private:
            return  # there the operating system keeps it, whoever removes the file
        slow = place.backend()
        ledger = Journal(slow, clock=HandClock(), actor={"user": "ada"})
        async with ledger.lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            await place.lose(slow)
            async with journal(place, "bob").lease(timeout_s=0) as other:
                with pytest.raises(LedgerError):
                    await lease.append([adopt(2)])
                await other.append([adopt(3)])
        assert drafts_of(await read(journal(place))) == [adopt(1), adopt(3)]

    run(story())


def test_what_a_holder_that_lost_the_lease_releases_is_not_the_others(place: Place) -> None:
    async def story() -> None:
        if place.backend().private:
            return
        slow = await held(place, ADA)
        await place.lose(slow)
        other = await held(place, BOB)
        await slow.release()
        assert await place.backend().acquire(EVE) == BOB
        await other.beat()
        await other.release()

    run(story())


def test_a_heart_that_beats_for_somebody_else_stops(place: Place) -> None:
    async def story() -> None:
        if place.backend().private:
            return
        slow = await held(place, ADA)
        await place.lose(slow)
        other = await held(place, BOB)
        with pytest.raises(LeaseLostError):
            await slow.beat()
        await other.release()

    run(story())


# Recovery.


async def one_by_one(lines: Sequence[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def test_recovery_sets_everything_aside_and_the_lease_goes_on(place: Place) -> None:
    async def story() -> None:
        backend = await held(place)
        written, after = chained(EMPTY, 1, 2, 3)
        await backend.append(written, expected=EMPTY, head=after)
        fresh, end = chained(EMPTY, 7, 8, fence=9)
        aside = await backend.replace(one_by_one(fresh), lambda: end)
        assert await lines(place) == list(fresh)
        assert await kept(place) == end
        more, last = chained(end, 9, fence=9)
        await backend.append(more, expected=end, head=last)
        await backend.release()
        assert await lines(place) == [*fresh, *more]
        assert aside
        async with journal(place).lease(timeout_s=0) as lease:
            (entry,) = await lease.append([adopt(10)])
        assert entry.fence == 10
        assert (await journal(place).verify()).damage is None

    run(story())


def test_a_ledger_is_recovered_more_than_once(place: Place) -> None:
    async def story() -> None:
        asides = set()
        for number in range(3):
            backend = await held(place)
            fresh, end = chained(EMPTY, number)
            asides.add(await backend.replace(one_by_one(fresh), lambda end=end: end))
            await backend.release()
            assert await lines(place) == list(fresh)
        assert len(asides) == 3

    run(story())


def test_what_follows_a_mark_is_cut_off_by_a_repair(place: Place) -> None:
    """A head that is behind is brought up; what nobody acknowledged and is torn goes."""

    async def story() -> None:
        backend = await held(place)
        head, mark = await append(backend, EMPTY, 1, 2)
        await backend.repair(mark, head)
        assert len(await lines(place)) == 2
        short, one = chained(EMPTY, 1)
        first = Mark(_beginning(place), len(short[0]))
        await backend.repair(first, one)
        assert await lines(place) == list(short)
        assert await kept(place) == one
        await backend.release()

    run(story())


def _beginning(place: Place) -> str:
    names = {"BucketPlace": f"{0:020}.jsonl", "PostgresPlace": "entries-0"}
    return names.get(type(place).__name__, "00000000.jsonl")


# Checkpoints.


def test_a_checkpoint_is_kept_in_the_place_of_the_last_until_a_recovery(place: Place) -> None:
    async def story() -> None:
        assert await place.backend().checkpoint() is None
        backend = await held(place)
        await append(backend, EMPTY, 1)
        for content in (b"one", b"two", b"two", b"", b"x" * 10**6):
            await backend.keep_checkpoint(content)
            assert await place.backend().checkpoint() == content
        fresh, end = chained(EMPTY, 7)
        await backend.replace(one_by_one(fresh), lambda: end)
        await backend.release()
        assert not await place.backend().checkpoint()

    run(story())


def test_a_ledger_is_read_on_from_a_checkpoint(place: Place) -> None:
    """Also where the lines it names were put together meanwhile."""

    async def story() -> None:
        ledger = Journal(
            place.backend(), clock=HandClock(), actor={"user": "ada"}, checkpoint_bytes=1
        )
        for number in range(12):
            await write(ledger, adopt(number))
        events = [entry.draft.event for entry in await read(journal(place))]
        assert Event.CHECKPOINT in events
        await write(journal(place), adopt(99))
        other = Journal(place.backend(), clock=HandClock(), actor={}, checkpoint_bytes=1)
        assert (await other.recorded(HERE))[FIELDS].id == "id-99"
        assert await other.head() == await journal(place).head()
        assert (await other.verify()).damage is None

    run(story())


# Laws.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(1, 4), min_size=1, max_size=4)),
        st.tuples(st.just("die"), st.integers(0, 2)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("recover"), st.just(0)),
    ),
    max_size=8,
)


FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(suppress_health_check=FIXTURES)
@given(steps=STEPS)
def test_whatever_happens_the_ledger_is_what_was_acknowledged(
    fresh: Callable[[], Place], steps: list[tuple[str, object]]
) -> None:
    whatever_happens(fresh(), steps)


@settings(suppress_health_check=FIXTURES, max_examples=6)
@given(steps=STEPS)
def test_whatever_happens_the_tables_hold_what_was_acknowledged(
    schemas: Schemas, steps: list[tuple[str, object]]
) -> None:
    whatever_happens(schemas.place(), steps)


def whatever_happens(place: Place, steps: list[tuple[str, object]]) -> None:
    """Leases, deaths, and a reader that reads on: one chain, every entry once and in order."""
    numbers = itertools.count()

    async def story() -> None:
        expected: list[EntryDraft] = []
        reader = journal(place)
        for step, argument in steps:
            if step == "append":
                async with journal(place).lease(timeout_s=0) as lease:
                    for count in argument:
                        drafts = [adopt(next(numbers)) for _ in range(count)]
                        await lease.append(drafts)
                        expected += drafts
            elif step == "die":
                holder = place.backend()
                ledger = Journal(holder, clock=HandClock(), actor={})
                lease = await ledger.lease(timeout_s=0).__aenter__()
                for _ in range(argument):
                    draft = adopt(next(numbers))
                    await lease.append([draft])
                    expected.append(draft)
                await place.die(holder)
            elif step == "look":
                assert drafts_of(await read(reader)) == expected
                assert await reader.head() == await journal(place).head()
            else:
                assert await journal(place).recover(timeout_s=0) is None
        assert drafts_of(await read(reader)) == expected
        entries = await read(journal(place))
        deaths = sum(step == "die" for step, _ in steps)
        told = sum(entry.draft.event is Event.TAKEOVER for entry in entries)
        assert deaths - 1 <= told <= deaths
        report = await journal(place).verify()
        assert (report.damage, report.torn_bytes) == (None, 0)

    run(story())


CHOICES = st.lists(st.integers(0, 1), max_size=40)


@settings(suppress_health_check=FIXTURES)
@given(choices=CHOICES)
def test_two_writers_at_the_same_time_take_turns(
    fresh: Callable[[], Place], choices: list[int]
) -> None:
    two_writers(fresh(), choices)


@settings(suppress_health_check=FIXTURES, max_examples=6)
@given(choices=CHOICES)
def test_two_writers_of_tables_at_the_same_time_take_turns(
    schemas: Schemas, choices: list[int]
) -> None:
    two_writers(schemas.place(), choices)


def two_writers(place: Place, choices: list[int]) -> None:
    """However their steps mix: one chain, and what was acknowledged is in it once."""
    turns = Turns()

    async def writer(who: str, number: int) -> list[EntryDraft]:
        acknowledged: list[EntryDraft] = []
        backend = TurnTaking(place.backend(), turns, who)
        ledger = Journal(backend, clock=HandClock(), actor={"user": who})  # type: ignore[arg-type]
        for _ in range(2):
            try:
                async with ledger.lease(timeout_s=1) as lease:
                    for _ in range(2):
                        draft = adopt(number)
                        number += 1
                        await lease.append([draft])
                        acknowledged.append(draft)
            except LockedError:
                pass
        return acknowledged

    async def story() -> None:
        stories = {"ada": writer("ada", 0), "bob": writer("bob", 100)}
        ended = await turns.play(iter(choices), stories)
        found = drafts_of(await read(journal(place)))
        for who, number in (("ada", 0), ("bob", 100)):
            mine = [draft for draft in found if number <= _number(draft) < number + 100]
            assert mine == ended[who]
        assert (await journal(place).verify()).damage is None

    asyncio.run(story())


def _number(draft: EntryDraft) -> int:
    assert draft.settlement is not None
    return int(draft.settlement.id.removeprefix("id-"))
