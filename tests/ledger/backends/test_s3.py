"""A ledger in a bucket: stopped at any request, raced at any request, put together meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.chain import DamageKind
from shplan.core.entry import EntryDraft, Event
from shplan.core.errors import LedgerError, LockedError, StorageError
from shplan.ledger.backends.seals import seal
from shplan.ledger.backends.settling import Patience
from shplan.ledger.journal import Journal
from shplan.ledger.port import LeaseLostError
from shplan.ledger.reading import read as read_from
from tests.ledger.backends.memory import Bucket, KilledError, MemoryObjects, Trouble
from tests.ledger.backends.places import TTL_S, BucketPlace, journal, lines
from tests.ledger.backends.turns import Turns
from tests.ledger.support import HandClock, adopt, drafts_of, read, run, write

BATCHES = [[adopt(1)], [adopt(2), adopt(3)], [adopt(4)], [adopt(5)]]
EVERYTHING = [draft for batch in BATCHES for draft in batch]


def over(place: BucketPlace, objects: MemoryObjects, user: str = "ada") -> Journal:
    return Journal(place.backend(objects), clock=HandClock(), actor={"user": user})


async def append_all(ledger: Journal, batches: Iterable[list[EntryDraft]]) -> list[EntryDraft]:
    """Return what was acknowledged before something went wrong."""
    acknowledged: list[EntryDraft] = []
    try:
        for batch in batches:
            async with ledger.lease(timeout_s=0) as lease:
                await lease.append(batch)
                acknowledged += batch
    except (KilledError, LedgerError):
        pass
    return acknowledged


def writes_of(fan: int) -> int:
    place = BucketPlace(fan=fan)
    objects = MemoryObjects(place.bucket)
    assert run(append_all(over(place, objects), BATCHES)) == EVERYTHING
    return len(objects.wrote)


@pytest.mark.parametrize("fan", [2, 100])
@pytest.mark.parametrize("trouble", [one for one in Trouble if one is not Trouble.LATE])
def test_trouble_with_any_request_loses_nothing_acknowledged(fan: int, trouble: Trouble) -> None:
    """Whoever comes next goes on, also where the process ended and its lease has to age."""
    total = writes_of(fan)
    assert total > 15
    for number in range(total):
        place = BucketPlace(fan=fan)
        objects = MemoryObjects(place.bucket, trouble={number: trouble})
        acknowledged = run(append_all(over(place, objects), BATCHES))
        found = drafts_of(run(read(journal(place))))
        assert found[: len(acknowledged)] == acknowledged, number
        assert found == EVERYTHING[: len(found)], number
        if trouble is Trouble.SENT_AGAIN:
            assert acknowledged == EVERYTHING, number
        place.bucket.now_s += TTL_S + 3
        run(write(journal(place), adopt(9)))
        assert drafts_of(run(read(journal(place)))) == [*found, adopt(9)], number
        report = run(journal(place).verify())
        assert (report.damage, report.torn_bytes) == (None, 0), number


@pytest.mark.parametrize("delay", [0, 1, 2, 4, 7, 12, 20])
def test_a_write_that_arrives_late_is_one_of_the_chain_or_nothing(delay: int) -> None:
    """Its writer was told that nobody knows; others go on, and it arrives in their midst."""
    for number in range(3, writes_of(100)):
        place = BucketPlace(fan=100)
        objects = MemoryObjects(place.bucket, trouble={number: Trouble.LATE}, delay=delay)
        acknowledged = run(append_all(over(place, objects), BATCHES))
        written: list[EntryDraft] = []
        for turn in range(4):
            # Also a lease can arrive late, and has to age then.
            place.bucket.now_s += TTL_S + 3
            written += run(append_all(journal(place), [[adopt(90 + turn)]]))
        # One writer may meet what has just arrived, and is told so; the next one goes on from there.
        assert len(written) >= 3, number
        found = drafts_of(run(read(journal(place))))
        assert [draft for draft in found if draft in acknowledged] == acknowledged, number
        assert [draft for draft in found if draft in written] == written, number
        assert len(set(map(str, found))) == len(found), number
        assert run(journal(place).verify()).damage is None, number


@dataclass
class Outage:
    """Nobody answers from the n-th write on, for so many seconds of the one who waits."""

    objects: MemoryObjects
    first: int
    lasts_s: float
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.objects.is_down = lambda: (
            len(self.objects.wrote) >= self.first and self.now_s < self.lasts_s
        )

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def journal(self, place: BucketPlace, *, most_s: float) -> Journal:
        patience = Patience(most_s=most_s, monotonic=lambda: self.now_s, sleep=self.sleep)
        backend = place.backend(self.objects, patience=patience)
        return Journal(backend, clock=HandClock(), actor={"user": "ada"})


@pytest.mark.parametrize("lasts_s", [1.0, 9.0])
@pytest.mark.parametrize("acts", [False, True])
def test_a_store_that_answers_again_in_time_ends_nothing(acts: bool, lasts_s: float) -> None:
    """From whichever write of a lease that is held, and whether or not they are carried out."""
    for first in range(20):
        place = BucketPlace(fan=100)
        objects = MemoryObjects(place.bucket)
        objects.acts_while_down = acts

        async def story(
            place: BucketPlace = place, objects: MemoryObjects = objects, first: int = first
        ) -> int:
            outage = Outage(objects, 10**6, lasts_s)
            async with outage.journal(place, most_s=10.0).lease(timeout_s=0) as lease:
                outage.first = len(objects.wrote) + first
                for batch in BATCHES:
                    await lease.append(batch)
            return len(objects.wrote) - outage.first

        after = run(story())
        assert drafts_of(run(read(journal(place)))) == EVERYTHING, first
        assert run(journal(place).verify()).damage is None, first
        if after <= 0:
            return
    raise AssertionError("the outage was never behind the last write")


def test_a_store_that_stays_away_is_given_up() -> None:
    place = BucketPlace(fan=100)
    objects = MemoryObjects(place.bucket)
    outage = Outage(objects, 10**6, 1000.0)

    async def story() -> None:
        async with outage.journal(place, most_s=10.0).lease(timeout_s=0) as lease:
            await lease.append(BATCHES[0])
            outage.first = len(objects.wrote)
            with pytest.raises(LedgerError):
                await lease.append(BATCHES[1])
            assert outage.now_s == pytest.approx(10.0)
            with pytest.raises(LedgerError):
                await lease.append(BATCHES[2])

    run(story())
    assert drafts_of(run(read(journal(place)))) == BATCHES[0]


@pytest.mark.parametrize("trouble", [Trouble.ANSWER_LOST, Trouble.SENT_AGAIN])
def test_a_write_whose_answer_was_lost_is_found_by_reading(trouble: Trouble) -> None:
    """Neither the entries nor the head nor the lease are given up for a lost answer."""
    for number in range(3, writes_of(100)):
        place = BucketPlace(fan=100)
        objects = MemoryObjects(place.bucket, trouble={number: trouble})
        assert run(append_all(over(place, objects), BATCHES)) == EVERYTHING, number
        assert drafts_of(run(read(journal(place)))) == EVERYTHING, number


@given(st.lists(st.integers(0, 2), max_size=120))
def test_two_writers_and_a_clock_at_every_request(choices: list[int]) -> None:
    """
    However requests mix, and whenever a lease ages away under its holder: one chain.

    What was acknowledged is in it, in order; what was refused is not, unless it was said that
    nobody knows.
    """
    place, turns = BucketPlace(fan=2), Turns()

    def objects(who: str) -> MemoryObjects:
        return MemoryObjects(place.bucket, turn=lambda: turns.take(who))

    async def writer(who: str, first: int) -> list[EntryDraft]:
        acknowledged: list[EntryDraft] = []
        ledger = over(place, objects(who), who)
        for number in range(first, first + 4, 2):
            try:
                async with ledger.lease(timeout_s=10) as lease:
                    for draft in (adopt(number), adopt(number + 1)):
                        await lease.append([draft])
                        acknowledged.append(draft)
            except LedgerError:
                pass
        return acknowledged

    async def time() -> None:
        for _ in range(3):
            await turns.take("time")
            place.bucket.now_s += TTL_S + 3

    async def story() -> None:
        stories = {"ada": writer("ada", 0), "bob": writer("bob", 100), "time": time()}
        ended = await turns.play(iter(choices), stories)
        assert not [one for one in ended.values() if isinstance(one, BaseException)]
        found = drafts_of(await read(journal(place)))
        assert len(set(map(str, found))) == len(found)
        for who in ("ada", "bob"):
            assert [draft for draft in found if draft in ended[who]] == ended[who]
        assert (await journal(place).verify()).damage is None

    asyncio.run(story())


@given(st.lists(st.integers(0, 1), max_size=80), st.integers(1, 4))
def test_a_reader_sees_a_whole_ledger_while_it_is_put_together(
    choices: list[int], page: int
) -> None:
    """A listing of many pages is no instant: what moved meanwhile is neither missed nor doubled."""
    place, turns = BucketPlace(fan=2, page=page), Turns()
    run(append_all(journal(place), [[adopt(number)] for number in range(3)]))

    async def writer() -> None:
        ledger = over(place, MemoryObjects(place.bucket, turn=lambda: turns.take("writer")))
        await append_all(ledger, [[adopt(3)], [adopt(4)]])

    async def reader() -> list[EntryDraft]:
        ledger = over(place, MemoryObjects(place.bucket, turn=lambda: turns.take("reader")))
        before = await ledger.head()
        found = drafts_of(await read(ledger))
        assert await ledger.head() != ""
        assert before
        return found

    async def story() -> None:
        ended = await turns.play(iter(choices), {"writer": writer(), "reader": reader()})
        found = ended["reader"]
        assert found == [adopt(number) for number in range(len(found))], ended
        assert len(found) >= 3

    asyncio.run(story())


def test_objects_stay_few_and_lines_stay_as_they_are() -> None:
    place = BucketPlace(fan=4)

    async def story() -> None:
        async with journal(place).lease(timeout_s=0) as lease:
            for number in range(300):
                await lease.append([adopt(number)])

    run(story())
    assert drafts_of(run(read(journal(place)))) == [adopt(number) for number in range(300)]
    # At most three of each tier, and 4 ** 5 > 300.
    assert len(place.bucket.objects) <= 5 * 3 + len(["lease", "probe", "head"])


class Keeping(MemoryObjects):
    """A bucket of which nobody may remove anything."""

    async def delete(self, keys) -> None:
        raise StorageError("no permission")


def test_who_may_not_remove_writes_and_reads_all_the_same() -> None:
    place = BucketPlace(fan=4)
    for first in range(0, 60, 20):
        batches = [[adopt(number)] for number in range(first, first + 20)]
        acknowledged = run(append_all(over(place, Keeping(place.bucket)), batches))
        assert len(acknowledged) == 20
    assert drafts_of(run(read(journal(place)))) == [adopt(number) for number in range(60)]
    report = run(journal(place).verify())
    assert report.damage is None
    # It is put together nevertheless.
    assert report.segments <= 4 * 3


def test_more_objects_than_a_page_lists_are_read() -> None:
    place = BucketPlace(fan=10**6, page=1000)

    async def story() -> None:
        async with journal(place).lease(timeout_s=0) as lease:
            for number in range(2100):
                await lease.append([adopt(number)])

    run(story())
    assert len(place.bucket.objects) > 2100
    assert run(journal(place).verify()).entries == 2101


def test_what_was_put_together_and_not_removed_is_removed_later() -> None:
    place = BucketPlace(fan=4)
    run(append_all(journal(place), [[adopt(number)] for number in range(3)]))
    before = dict(place.bucket.objects)
    run(append_all(journal(place), [[adopt(3)]]))
    (pack,) = [key for key in place.bucket.objects if "-" in key.rpartition("/")[2]]
    place.bucket.objects |= {key: there for key, there in before.items() if "entries" in key}
    assert drafts_of(run(read(journal(place)))) == [adopt(number) for number in range(4)]
    run(append_all(journal(place), [[adopt(number)] for number in range(4, 8)]))
    assert not set(before) & {key for key in place.bucket.objects if "entries" in key}
    assert pack in place.bucket.objects
    assert drafts_of(run(read(journal(place)))) == [adopt(number) for number in range(8)]


def test_an_object_that_comes_late_into_what_was_put_together_is_not_believed() -> None:
    """A writer that lost the lease long ago finds the name of its object free again."""
    place = BucketPlace(fan=2)
    slow = place.backend()
    ledger = Journal(slow, clock=HandClock(), actor={"user": "ada"})

    async def story() -> None:
        async with ledger.lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            await place.lose(slow)
            await append_all(journal(place, "bob"), [[adopt(2)], [adopt(3)], [adopt(4)]])
            before = await lines(place)
            with pytest.raises(LeaseLostError):
                await lease.append([adopt(9)])
            assert await lines(place) == before
        await append_all(journal(place), [[adopt(5)], [adopt(6)]])

    run(story())
    assert drafts_of(run(read(journal(place)))) == [adopt(number) for number in range(1, 7)]
    assert run(journal(place).verify()).damage is None


def test_a_lease_is_believed_by_the_clock_of_the_store_alone() -> None:
    place = BucketPlace()

    async def story() -> None:
        async with journal(place).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            place.bucket.now_s += TTL_S
            with pytest.raises(LockedError):
                await write(journal(place, "bob"), adopt(2))
            place.bucket.now_s += 3
            await write(journal(place, "bob"), adopt(2))

    run(story())
    told = [entry for entry in run(read(journal(place))) if entry.draft.event is Event.TAKEOVER]
    assert len(told) == 1


def test_a_holder_that_is_heard_of_keeps_the_lease() -> None:
    place = BucketPlace()

    async def story() -> None:
        backend = place.backend()
        async with Journal(backend, clock=HandClock(), actor={}).lease(timeout_s=0) as lease:
            for _ in range(5):
                place.bucket.now_s += TTL_S / 2
                await backend.beat()
                with pytest.raises(LockedError):
                    await write(journal(place, "bob"), adopt(2))
            await lease.append([adopt(1)])

    run(story())


def test_an_append_beats_where_a_beat_is_due() -> None:
    seconds = itertools.count(0, 10)
    place = BucketPlace(fan=100)
    backend = place.backend()
    backend._lease._monotonic = lambda: float(next(seconds))

    async def story() -> None:
        async with Journal(backend, clock=HandClock(), actor={}).lease(timeout_s=0) as lease:
            for number in range(20):
                place.bucket.now_s += TTL_S / 3
                await lease.append([adopt(number)])

    run(story())
    assert len(drafts_of(run(read(journal(place))))) == 20


class Careless(MemoryObjects):
    """A store that does not know conditions; with `refuses`, one that says so."""

    refuses = False

    async def put(self, key: str, content: bytes, *, over: str | None) -> str:
        if self.refuses:
            raise StorageError("the server answers NotImplemented")
        self.bucket.objects.pop(key, None)
        return await super().put(key, content, over=None)


class Halfway(Careless):
    """A store that knows one of the conditions."""

    async def put(self, key: str, content: bytes, *, over: str | None) -> str:
        if over is None:
            return await MemoryObjects.put(self, key, content, over=None)
        return await super().put(key, content, over=over)


@pytest.mark.parametrize("store", [Careless, Halfway])
def test_a_store_that_ignores_conditions_is_refused(store: type[MemoryObjects]) -> None:
    place = BucketPlace()
    ledger = over(place, store(place.bucket))
    with pytest.raises(LedgerError, match="ignores the conditions of writes"):
        run(write(ledger, adopt(1)))
    assert set(place.bucket.objects) == {"ledgers/prod/probe.txt"}


def test_a_store_that_refuses_conditions_is_refused() -> None:
    place, objects = BucketPlace(), Careless(Bucket())
    objects.refuses = True
    with pytest.raises(LedgerError, match="NotImplemented"):
        run(write(over(place, objects), adopt(1)))


def test_reading_writes_nothing() -> None:
    place = BucketPlace()
    run(append_all(journal(place), BATCHES))
    objects = MemoryObjects(place.bucket)
    ledger = over(place, objects)
    run(ledger.head())
    run(ledger.verify())
    run(read(ledger))
    run(ledger.recorded("sandbox:1"))
    assert objects.wrote == []


def test_an_append_costs_two_writes() -> None:
    place = BucketPlace(fan=100)
    objects = MemoryObjects(place.bucket)

    async def story() -> None:
        async with over(place, objects).lease(timeout_s=0) as lease:
            before = len(objects.wrote)
            await lease.append([adopt(number) for number in range(100)])
            assert [what.split()[0] for what in objects.wrote[before:]] == ["put", "put"]

    run(story())


def test_an_append_that_is_cancelled_comes_to_its_end() -> None:
    place = BucketPlace(fan=100)

    async def story() -> None:
        turns = Turns()
        objects = MemoryObjects(place.bucket)
        async with over(place, objects).lease(timeout_s=0) as lease:
            await lease.append([adopt(1)])
            objects.turn = lambda: turns.take("ada")
            task = asyncio.ensure_future(lease.append([adopt(2)]))
            await asyncio.sleep(0.01)
            assert turns._waiting
            task.cancel()
            await asyncio.sleep(0)
            assert not task.done()
            while not task.done():
                if turns._waiting:
                    turns._waiting.pop("ada").set_result(None)
                await asyncio.sleep(0)
            assert task.cancelled()
            objects.turn = MemoryObjects(place.bucket).turn
        assert drafts_of(await read(journal(place))) == [adopt(1), adopt(2)]

    run(story())


def test_appends_of_one_process_that_wait_for_their_turn_are_written_together() -> None:
    place = BucketPlace(fan=100)
    objects = MemoryObjects(place.bucket)
    batches = [[adopt(number)] * (number % 3) for number in range(10)]

    async def story() -> None:
        async with over(place, objects).lease(timeout_s=0) as lease:
            before = len(objects.wrote)
            written = await asyncio.gather(*(lease.append(batch) for batch in batches))
            assert [[one.draft for one in entries] for entries in written] == batches
            # The first that has something alone, then together all who waited for it.
            assert len(objects.wrote) - before == 4

    run(story())
    assert drafts_of(run(read(journal(place)))) == [one for batch in batches for one in batch]


def test_who_waited_for_a_write_that_failed_is_told() -> None:
    place = BucketPlace(fan=100)
    objects = MemoryObjects(place.bucket)

    async def story() -> None:
        async with over(place, objects).lease(timeout_s=0) as lease:
            await lease.append([adopt(0)])
            objects.trouble = {len(objects.wrote) + 2: Trouble.NEVER_ARRIVES}
            told = await asyncio.gather(
                *(lease.append([adopt(number)]) for number in range(1, 5)), return_exceptions=True
            )
            assert [type(one) for one in told[1:]] == [LedgerError] * 3
            assert isinstance(told[0], tuple)

    run(story())
    assert drafts_of(run(read(journal(place)))) == [adopt(0), adopt(1)]


def test_who_is_cancelled_while_waiting_writes_nothing() -> None:
    place, turns = BucketPlace(fan=100), Turns()
    objects = MemoryObjects(place.bucket)

    async def story() -> None:
        async with over(place, objects).lease(timeout_s=0) as lease:
            await lease.append([adopt(0)])
            objects.turn = lambda: turns.take("ada")
            first = asyncio.ensure_future(lease.append([adopt(1)]))
            second = asyncio.ensure_future(lease.append([adopt(2)]))
            third = asyncio.ensure_future(lease.append([adopt(3)]))
            await asyncio.sleep(0.01)
            second.cancel()
            while not third.done():
                if turns._waiting:
                    turns._waiting.pop("ada").set_result(None)
                await asyncio.sleep(0)
            assert first.done()
            assert second.cancelled()
            objects.turn = MemoryObjects(place.bucket).turn

    run(story())
    assert drafts_of(run(read(journal(place)))) == [adopt(0), adopt(1), adopt(3)]


# Damage.


def damaged(place: BucketPlace, name: str) -> str:
    (key,) = [key for key in place.bucket.objects if key.endswith(name)]
    return key


def test_damage_is_found_and_recovered_from_with_the_old_ledger_left_whole() -> None:
    place = BucketPlace(fan=100)
    run(append_all(journal(place), BATCHES))
    key = damaged(place, f"{2:020}.jsonl")
    content, version, now = place.bucket.objects[key]
    place.bucket.objects[key] = (content.replace(b"id-2", b"id-7"), version, now)
    report = run(journal(place).verify())
    assert report.damage is not None
    assert (report.damage.kind, report.place) == (DamageKind.CHANGED, f"{2:020}.jsonl:1")
    old = {key: value for key, value in place.bucket.content().items() if "entries" in key}
    done = run(journal(place).recover(timeout_s=0))
    assert done is not None
    assert done.aside == "s3://bucket/ledgers/prod/1"
    assert old.items() <= place.bucket.content().items()
    assert run(journal(place).verify()).damage is None
    run(write(journal(place), adopt(9)))
    assert drafts_of(run(read(journal(place))))[-1] == adopt(9)


def test_a_removed_object_is_a_cut_or_a_gap() -> None:
    for number, kind in ((2, DamageKind.DROPPED), (5, DamageKind.CUT)):
        place = BucketPlace(fan=100)
        run(append_all(journal(place), BATCHES))
        del place.bucket.objects[damaged(place, f"{number:020}.jsonl")]
        report = run(journal(place).verify())
        assert report.damage is not None
        assert report.damage.kind is kind


@pytest.mark.parametrize("trouble", [Trouble.KILLED_BEFORE, Trouble.KILLED_AFTER])
def test_a_recovery_that_dies_anywhere_can_be_made_again(trouble: Trouble) -> None:
    def broken() -> BucketPlace:
        place = BucketPlace(fan=100)
        run(append_all(journal(place), BATCHES))
        place.bucket.objects.pop(damaged(place, f"{2:020}.jsonl"))
        return place

    rehearsal = broken()
    objects = MemoryObjects(rehearsal.bucket)
    run(over(rehearsal, objects).recover(timeout_s=0))
    wanted = drafts_of(run(read(journal(rehearsal))))
    for number in range(len(objects.wrote)):
        place = broken()
        objects = MemoryObjects(place.bucket, trouble={number: trouble})
        with pytest.raises(KilledError):
            run(over(place, objects).recover(timeout_s=0))
        place.bucket.now_s += TTL_S + 3
        run(journal(place).recover(timeout_s=0))
        assert drafts_of(run(read(journal(place)))) == wanted, number
        run(write(journal(place), adopt(9)))
        assert run(journal(place).verify()).damage is None, number


def test_a_lease_that_is_none_says_what_to_do() -> None:
    place = BucketPlace()
    place.bucket.objects["ledgers/prod/lease.json"] = (b"?", 1, 0.0)
    with pytest.raises(LedgerError, match=r"lease.json is not the lease of a ledger; remove it"):
        run(write(journal(place), adopt(1)))


def test_a_lease_of_a_newer_shplan_is_left_alone() -> None:
    """Whoever would remove it could take the ledger from somebody who lives."""
    place = BucketPlace()
    run(write(journal(place), adopt(1)))
    content, *more = place.bucket.objects["ledgers/prod/lease.json"]
    record = json.loads(content)
    del record["digest"]
    newer = seal(json.dumps({**record, "v": 3, "zone": "b"}, separators=(",", ":")).encode())
    place.bucket.objects["ledgers/prod/lease.json"] = (newer, *more)
    with pytest.raises(LedgerError, match="a newer shplan holds the ledger") as refused:
        run(write(journal(place), adopt(2)))
    assert "remove" not in str(refused.value)
    assert run(journal(place).verify()).flaws == ()
    assert drafts_of(run(read(journal(place)))) == [adopt(1)]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda head: head + b" ", "is not as shplan writes it"),
        (lambda head: head.replace(b'"v":2', b'"v":3'), "written by a newer shplan"),
        (lambda head: b"[" * 10**5, "is not the head of a ledger"),
        (lambda head: b"", "is not the head of a ledger"),
    ],
)
def test_a_head_in_other_bytes_is_found(change, error: str) -> None:
    place = BucketPlace(fan=100)
    run(append_all(journal(place), BATCHES))
    key = damaged(place, "head.json")
    content, version, now = place.bucket.objects[key]
    place.bucket.objects[key] = (change(content), version, now)
    with pytest.raises(LedgerError, match=error):
        run(journal(place).recorded("sandbox:1"))


def test_a_mark_behind_what_two_have_put_together_is_where_the_lines_end() -> None:
    """Two writers each put some together, and both parts hold some entries."""
    place = BucketPlace(fan=100)
    run(append_all(journal(place), [[adopt(number)] for number in range(12)]))
    every = run(lines(place))
    folder = "ledgers/prod/1/entries/"
    for key in [key for key in place.bucket.objects if key.startswith(folder)]:
        del place.bucket.objects[key]
    for first, last in ((0, 7), (4, 12)):
        name = f"{folder}{first:020d}-{last:020d}.1.jsonl"
        place.bucket.objects[name] = (b"".join(every[first : last + 1]), 1, 0.0)
    assert run(lines(place)) == every
    reading = run(read_from(place.backend(), lambda _: None))
    assert reading.end is not None
    assert run(lines(place, reading.end)) == []
    del place.bucket.objects["ledgers/prod/1/head.json"]
    # Whoever comes next finds no head, and repairs: nothing is cut off.
    run(write(journal(place), adopt(99)))
    assert run(lines(place))[: len(every)] == every
    assert len(run(lines(place, reading.end))) == 1
    assert run(journal(place).verify()).proven
