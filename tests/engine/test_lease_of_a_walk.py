"""One ledger for two: held while something is sent, free while one only waits, read when taken."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from shplan.core.address import Address
from shplan.core.entry import Event
from shplan.core.errors import LedgerError
from shplan.engine.executor import Ending, Report, execute
from shplan.engine.holding import BEAT_S, LEAST_AGAIN_S, Holding, seconds_passed
from shplan.engine.performer import Interrupt, InterruptedApplyError
from shplan.engine.planning import Planned
from shplan.engine.purse import Purse
from shplan.engine.runs import Applied, Session, apply, plan
from shplan.ledger.backends.directory import DirectoryBackend
from shplan.ledger.backends.lock import FileLock
from shplan.ledger.port import Backend, Holder, LeaseLostError
from shplan.sandbox.settings import Settings as SandboxSettings
from tests.support.bench import collection, tiles
from tests.support.gates import Gate, Sharer, appliers
from tests.support.jobs import IMAGERY, job, job_on, tasks

FIELDS = (collection(), tiles("a", "b"))
WITH_JOB = (*FIELDS, job_on(depends_on=IMAGERY))
LATE = SandboxSettings(seed="shared", list_lag_s=8.0, path_lag_s=8.0)


def opened(home: Path, settings: SandboxSettings | None = None, lag_s: float = 0.0) -> Sharer:
    world = Sharer(home, settings=settings or SandboxSettings(seed="shared"), list_lag_s=lag_s)
    world.write_tiles("a", "b", "c", bands=("B04", "B08"))
    return world


def is_free(world: Sharer) -> bool:
    lock = FileLock(world.root / world.ledger_name / "lock")
    free = lock.acquire()
    lock.release()
    return free


def during(home: Path, *wanted: Any, lag_s: float = 0.0) -> list[tuple[str, bool]]:
    """Everything that one applier does after its plan, and whether the ledger was free then."""

    async def scenario() -> list[tuple[str, bool]]:
        world = opened(home, LATE if lag_s else None, lag_s)
        told: list[tuple[str, bool]] = []

        async def visit(_: int, where: str) -> None:
            if (home / world.ledger_name).exists():
                told.append((where, is_free(world)))

        (one,) = appliers(world, Gate(1, visit=visit), 1)
        done = await one.apply(*wanted)
        assert done.report is not None
        assert done.report.exit_code() == 0, done.report
        assert is_free(world)
        world.close()
        return told

    return asyncio.run(scenario())


@pytest.mark.parametrize("lag_s", [0.0, 10.0])
def test_the_ledger_is_held_for_every_request_with_an_effect(tmp_path: Path, lag_s: float) -> None:
    told = during(tmp_path, *WITH_JOB, job("other", day="2025-07-01"), lag_s=lag_s)
    sent = [free for where, free in told if where.split()[0] in ("POST", "PUT", "DELETE")]
    assert len(sent) >= 7
    assert not any(sent)


@pytest.mark.parametrize("lag_s", [0.0, 10.0])
def test_the_ledger_is_free_while_one_only_waits(tmp_path: Path, lag_s: float) -> None:
    """For a list, for tiles, for a job; what is over in a moment is no reason to let go of it."""
    told = during(tmp_path, *WITH_JOB, lag_s=lag_s)
    waits = [(float(where.split()[1]), free) for where, free in told if where.startswith("slept")]
    assert len([seconds for seconds, _ in waits if seconds >= 1]) >= 4
    assert [free for seconds, free in waits if seconds >= 1] == [True] * sum(
        seconds >= 1 for seconds, _ in waits
    )
    assert not any(free for seconds, free in waits if seconds < 1)


def test_nobody_gets_in_between_a_change_and_the_one_that_follows_it(tmp_path: Path) -> None:
    """Four tasks that wait for each other, and for nothing else, are one holding."""
    chain = [collection()]
    for number in range(3):
        before = Address("ByocCollection", f"c{number - 1}" if number else "fields")
        one = collection(f"c{number}")
        chain.append(replace(one, spec={"name": f"c{number}", "s3Bucket": "fields"}, depends_on=(before,)))  # fmt: skip
    told = during(tmp_path, *chain)
    taken = [where for where, _ in told].index("taken")
    assert not any(free for _, free in told[taken:])


# --- the other gets in ----------------------------------------------------------------------


RUNNING = "slept 4"
INGESTING = "slept 2"
WAITS = (RUNNING, INGESTING)
LISTED = "heard GET api/v2/batch/process?count=100"
Meanwhile = Callable[[Sharer], Coroutine[Any, Any, None]]


async def visited(
    world: Sharer, wanted: tuple[Any, ...], *moments: tuple[str, Meanwhile], **more: Any
) -> Applied:
    """Apply; at the first gate of a name, then of the next, something else happens first."""
    left = list(moments)

    async def visit(_: int, where: str) -> bool:
        if left and where == left[0][0]:
            if where in WAITS and not is_free(world):
                # Beside what waits, others are sending: whoever waits is held until they have.
                return False
            happens = left[0][1]
            await happens(world)
            del left[0]
        return True

    (one,) = appliers(world, Gate(1, visit=visit), 1)
    done = await one.apply(*wanted, **more)
    assert not left, "the moment never came"
    return done


def endings(done: Applied) -> dict[str, tuple[Ending, str]]:
    assert done.report is not None
    return {str(r.change.address): (r.ending, r.message) for r in done.report.results}


def played(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


async def units(world: Sharer) -> float:
    return float((await world.call("GET", "/_sandbox/meter"))["pu"])


async def nothing_is_left(world: Sharer, *wanted: Any) -> None:
    assert not (await world.plan(*wanted)).plan.can_apply()
    assert (await world.journal().verify()).damage is None


def test_who_gets_in_while_a_job_runs_does_what_is_his(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        more = (job(), collection())

        async def meanwhile(world: Sharer) -> None:
            told = await world.apply(*more, wait=False)
            assert told.report is not None
            assert told.report.exit_code() == 0

        done = await visited(world, (job(),), (RUNNING, meanwhile))
        assert endings(done) == {"BatchProcess/ndvi": (Ending.DONE, "")}
        assert await units(world) == 101.0
        await nothing_is_left(world, *more)
        world.close()

    played(scenario())


def test_a_run_that_others_have_written_down_is_written_down_once(tmp_path: Path) -> None:
    """Both wait for it; what follows it goes on, because nothing else was said of it."""

    async def scenario() -> None:
        world = opened(tmp_path)
        after = replace(collection(), depends_on=(job().address,))

        async def meanwhile(world: Sharer) -> None:
            told = await world.apply(job())
            assert told.report is not None
            assert told.report.exit_code() == 0

        done = await visited(world, (job(), after), (RUNNING, meanwhile))
        assert {ending for ending, _ in endings(done).values()} == {Ending.DONE}
        entries = [entry async for entry in world.journal().entries()]
        assert [e.draft.event for e in entries].count(Event.RECEIPT) == 1
        assert await units(world) == 101.0
        await nothing_is_left(world, job(), after)
        world.close()

    played(scenario())


def test_what_others_have_changed_is_not_sent_and_says_who(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        beside = replace(collection("beside"), spec={"name": "Beside", "s3Bucket": "fields"})
        beside = replace(beside, depends_on=(job("wait").address,))
        others = (job_on(depends_on=IMAGERY), job("wait", day="2025-07-01"))
        first = (*FIELDS, *others, beside)

        async def meanwhile(world: Sharer) -> None:
            told = await world.apply(collection(noData=5), tiles("a", "b"), *others, wait=False)
            assert told.report is not None

        done = await visited(world, first, (INGESTING, meanwhile))
        found = endings(done)
        assert done.report is not None
        assert done.report.exit_code() == 4
        ending, message = found["BatchProcess/ndvi"]
        assert ending is Ending.STALE
        assert message.startswith("not sent: nobody wrote `")
        assert "of ByocCollection/fields at 2026-01-01T" in message
        assert found["BatchProcess/wait"] == (Ending.DONE, "")
        # It depends on nothing that was touched.
        assert found["ByocCollection/beside"][0] is Ending.DONE
        assert (await world.apply(collection(noData=5), tiles("a", "b"), *first[2:])).report
        await nothing_is_left(world, collection(noData=5), tiles("a", "b"), *first[2:])
        world.close()

    played(scenario())


def test_a_run_whose_address_others_have_given_to_another_keeps_its_receipt(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        changed = job(day="2025-07-01")

        async def meanwhile(world: Sharer) -> None:
            await world.apply(changed, wait=False)

        done = await visited(world, (job(),), (RUNNING, meanwhile))
        assert endings(done) == {"BatchProcess/ndvi": (Ending.DONE, "")}
        await world.apply(changed)
        receipts = [run.receipt for run in (await world.journal().runs("sandbox")).values()]
        assert [r is not None and r.status for r in receipts] == ["DONE", "DONE"]
        bound = (await world.journal().recorded("sandbox"))[job().address]
        assert bound.id == (await tasks(world))[-1]["id"]
        assert await units(world) == 200.0
        await nothing_is_left(world, changed)
        # It counts for ever, also where its address has moved on.
        assert not [c for c in (await world.plan(job())).plan.changes if c.action.value == "run"]
        world.close()

    played(scenario())


def test_a_run_whose_address_others_have_forgotten_comes_back_as_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)

        async def meanwhile(world: Sharer) -> None:
            await world.apply()

        done = await visited(world, (job(),), (RUNNING, meanwhile))
        assert endings(done) == {"BatchProcess/ndvi": (Ending.DONE, "")}
        assert job().address not in await world.journal().recorded("sandbox")
        await nothing_is_left(world)
        await world.apply(job())
        assert await units(world) == 100.0
        world.close()

    played(scenario())


def test_before_the_first_change_everything_is_planned_and_asked_again(tmp_path: Path) -> None:
    """A job runs, and what follows it was changed by others before anything was sent."""

    async def scenario() -> None:
        world = opened(tmp_path)
        after = replace(collection(), depends_on=(job().address,))
        await world.apply(job(), wait=False)
        asked: list[int] = []

        async def approve(planned: Planned) -> bool:
            asked.append(len(planned.plan.pending))
            return True

        async def meanwhile(world: Sharer) -> None:
            await world.apply(job(), collection(), wait=False)

        left = [meanwhile]

        async def visit(_: int, where: str) -> None:
            if left and where == RUNNING:
                await left.pop()(world)

        (one,) = appliers(world, Gate(1, visit=visit), 1)
        async with one.exchange() as exchange:
            session = one.session(exchange, (job(), after))
            done = await apply(session, approve, lock_timeout_s=0.0, interrupt=Interrupt())
        assert len(asked) == 2
        assert done.report is None or done.report.exit_code() == 0
        assert await units(world) == 101.0
        await nothing_is_left(world, job(), after)
        world.close()

    played(scenario())


# --- it cannot be had again -----------------------------------------------------------------


async def held_by_bob(world: Sharer) -> Backend:
    other = world.backend()
    assert await other.acquire(Holder(7, "bob", "far", "2026")) is None
    return other


def test_what_runs_runs_on_where_the_ledger_cannot_be_had_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        start_s = world.clock.monotonic()
        bobs: list[Backend] = []

        async def meanwhile(world: Sharer) -> None:
            bobs.append(await held_by_bob(world))

        done = await visited(world, (job(), *FIELDS), (RUNNING, meanwhile))
        assert done.report is not None
        assert done.report.exit_code() == 6
        assert "held by process 7 of bob on far" in done.report.locked
        assert endings(done)["BatchProcess/ndvi"][0] is Ending.LEFT
        assert endings(done)["ByocCollection/fields"][0] is Ending.DONE
        assert world.clock.monotonic() - start_s >= LEAST_AGAIN_S
        await bobs[0].release()
        again = await world.apply(job(), *FIELDS)
        assert again.report is None or again.report.exit_code() == 0
        assert await units(world) == 103.0
        await nothing_is_left(world, job(), *FIELDS)
        world.close()

    played(scenario())


@pytest.mark.parametrize("over", [False, True])
def test_who_wants_to_stop_waits_for_nobody(tmp_path: Path, *, over: bool) -> None:
    """Others hold the ledger while one only waits, or has just seen that the job has ended."""

    async def scenario() -> None:
        world = opened(tmp_path)
        interrupt, bobs = Interrupt(), list[Backend]()

        async def an_hour_later(world: Sharer) -> None:
            world.clock.at_s += 3600.0

        async def meanwhile(world: Sharer) -> None:
            bobs.append(await held_by_bob(world))
            interrupt.event.set()

        moments = (
            [(RUNNING, an_hour_later), (LISTED, meanwhile)] if over else [(RUNNING, meanwhile)]
        )
        done = await visited(world, (job(),), *moments, interrupt=interrupt)
        assert done.report is not None
        assert done.report.exit_code() == 130
        await bobs[0].release()
        await world.apply(job())
        assert await units(world) == 100.0
        await nothing_is_left(world, job())
        world.close()

    played(scenario())


def test_who_wants_to_stop_before_it_has_begun_waits_for_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        bob = await held_by_bob(world)
        interrupt = Interrupt()

        async def meanwhile(_: Sharer) -> None:
            interrupt.event.set()

        more = {"interrupt": interrupt, "lock_timeout_s": 3600.0}
        with pytest.raises(InterruptedApplyError):
            await visited(world, FIELDS, ("slept 0.1", meanwhile), **more)
        await bob.release()
        assert await units(world) == 0.0
        world.close()

    played(scenario())


# --- it is lost -----------------------------------------------------------------------------


class _Taken(DirectoryBackend):
    """A lease that ends by time, and that somebody else has taken over."""

    lost = False

    async def beat(self) -> None:
        if self.lost:
            message = "the lease of the ledger was taken over by process 9 of eve"
            raise LeaseLostError(message)


class _Stuck:
    """Serves what makes something, loses the lease meanwhile, and never answers."""

    def __init__(self, inner: Any, ledger: _Taken) -> None:
        self._inner = inner
        self._ledger = ledger

    async def send(self, method: str, url: str, **more: Any) -> Any:
        answer = await self._inner.send(method, url, **more)
        if method == "POST" and url.endswith("/collections"):
            self._ledger.lost = True
            await asyncio.Event().wait()
        return answer

    async def close(self) -> None:
        await self._inner.close()


class _Losing(Sharer):
    def transport(self) -> Any:
        return _Stuck(super().transport(), self.taken)

    @cached_property
    def taken(self) -> _Taken:
        return _Taken(self.root / self.ledger_name)

    def backend(self) -> Backend:
        return self.taken


class _Asleep(_Taken):
    """A process that sleeps right after it has written an intent, while others take over."""

    slept_s = 0.0
    sleeps_s = 100.0

    async def append(self, lines: Any, *, expected: Any, head: Any) -> Any:
        mark = await super().append(lines, expected=expected, head=head)
        if any(b'"intent"' in bytes(line) for line in lines):
            self.lost = True
            self.slept_s += self.sleeps_s
        return mark


class _Sleeping(Sharer):
    @cached_property
    def asleep(self) -> _Asleep:
        return _Asleep(self.root / self.ledger_name)

    def backend(self) -> Backend:
        return self.asleep


async def carried_out(
    session: Session, *, beat_s: float = 0.0, passed: Callable[[], float] = seconds_passed
) -> Report:
    """What an apply does; without more said, with a heart that beats all the time."""
    planned = await plan(session)
    interrupt = Interrupt()
    holding = Holding(
        session.ledger,
        deployment="sandbox",
        timeout_s=0.0,
        interrupt=interrupt,
        beat_s=beat_s,
        passed=passed,
    )
    async with holding:
        return await execute(
            planned,
            plan_digest=planned.plan.digest,
            holding=holding,
            world=session.world,
            runs=lambda: session.ledger.runs("sandbox"),
            interrupt=interrupt,
            purse=Purse(),
        )


def test_who_has_lost_the_lease_stops_at_once_and_says_what_is_unknown(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = opened(tmp_path)
        losing = _Losing(**world.__dict__)
        async with losing.exchange() as exchange:
            report = await carried_out(losing.session(exchange, FIELDS))
        assert report.exit_code() == 6
        assert "taken over by process 9 of eve" in report.locked
        assert [(str(r.change.address), r.ending) for r in report.results] == [
            ("ByocCollection/fields", Ending.UNKNOWN),
            ("ByocTiles/fields", Ending.LEFT),
        ]
        again = await world.apply(*FIELDS)
        assert again.report is not None
        assert again.report.exit_code() == 0
        assert await units(world) == 3.0
        await nothing_is_left(world, *FIELDS)
        world.close()

    played(scenario())


def test_what_is_left_of_a_walk_that_has_ended_sends_nothing(tmp_path: Path) -> None:
    """A hundred tiles go out together; where one of them ends the walk, others may still be queued."""

    async def scenario() -> None:
        world = opened(tmp_path)
        holding = Holding(
            world.journal(), deployment="sandbox", timeout_s=0.0, interrupt=Interrupt()
        )
        async with holding:
            await holding.sure()
        with pytest.raises(LedgerError, match="let go of"):
            await holding.sure()
        world.close()

    played(scenario())


@pytest.mark.parametrize(
    ("slept_s", "sure_s", "sends"),
    [(100.0, math.inf, False), (1.0, 0.5, False), (1.0, 30.0, True)],
)
def test_who_slept_after_an_intent_looks_for_the_lease_before_the_request_leaves(
    tmp_path: Path, slept_s: float, sure_s: float, *, sends: bool
) -> None:
    """
    A lid that was closed, a virtual machine that was moved: the timers are as late as the rest.

    For how long a look is good the place of the ledger says: where nobody can take over so soon,
    nothing is asked.
    """

    async def scenario() -> None:
        world = opened(tmp_path)
        sleeping = _Sleeping(**world.__dict__)
        sleeping.asleep.sleeps_s, sleeping.asleep.sure_s = slept_s, sure_s
        async with sleeping.exchange() as exchange:
            session = sleeping.session(exchange, FIELDS)
            report = await carried_out(
                session, beat_s=BEAT_S, passed=lambda: sleeping.asleep.slept_s
            )
            assert ("createByocCollection" in exchange.counts) == sends
        assert report.exit_code() == (0 if sends else 6)
        assert sends or "taken over by process 9 of eve" in report.locked
        again = await world.apply(*FIELDS)
        assert (again.report is None) == sends
        assert again.report is None or again.report.exit_code() == 0
        await nothing_is_left(world, *FIELDS)
        world.close()

    played(scenario())
