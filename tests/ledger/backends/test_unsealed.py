"""
Ledgers of the time before heads, leases and holders had a digest: read, gone on with, and sealed.

`fixtures/unsealed` is what that version wrote into a bucket and into PostgreSQL; somebody died
while they held it. It is never changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from shplan.core.entry import Event
from shplan.core.errors import LedgerError
from shplan.ledger.checkpoint import CheckpointState
from shplan.ledger.port import Holder
from tests.ledger.backends.places import BucketPlace, Place, PostgresPlace, journal
from tests.ledger.support import FIELDS, HERE, adopt, read, run, write

UNSEALED = Path(__file__).parent / "fixtures" / "unsealed"
LEASE, HEAD = "ledgers/prod/lease.json", "ledgers/prod/1/head.json"
DEAD = Holder(42, "bob", "gone", "2025-05-31T10:00:00.000Z")


def bucket() -> BucketPlace:
    place = BucketPlace()
    home = UNSEALED / "bucket"
    for number, file in enumerate(sorted(home.rglob("*.*"))):
        key = file.relative_to(home).as_posix()
        place.bucket.objects[key] = (file.read_bytes(), number, place.bucket.now_s)
    place.bucket.writes = 100
    return place


def tables(place: PostgresPlace) -> PostgresPlace:
    import psycopg

    with psycopg.connect(autocommit=True, **place.parameters) as connection:
        connection.execute((UNSEALED / "postgres.sql").read_bytes())
    return place


@pytest.fixture(params=["bucket", "postgres"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "bucket":
        return bucket()
    return tables(PostgresPlace(request.getfixturevalue("database")))


def test_it_is_read_and_proven(place: Place) -> None:
    report = run(journal(place).verify())
    assert (report.damage, report.flaws, report.proven) == (None, (), True)
    assert report.entries == 7
    # Of a version that read other statements of the checkpoint's, if it is another by now.
    assert report.checkpoint in (CheckpointState.GOOD, CheckpointState.UNUSED)
    pending = run(journal(place).recorded(HERE))[FIELDS].pending
    assert [one.operation for one in pending] == ["create", "delete"]


def test_it_is_gone_on_with_and_sealed(place: Place) -> None:
    before = run(read(journal(place)))
    if isinstance(place, BucketPlace):
        assert run(place.backend().holder()) == DEAD
        place.bucket.now_s += 100
    run(write(journal(place), adopt(9)))
    after = run(read(journal(place)))
    assert after[: len(before)] == before
    takeover = after[len(before)]
    assert takeover.draft.event is Event.TAKEOVER
    assert takeover.draft.data["holder"] == {
        "pid": DEAD.pid, "user": DEAD.user, "host": DEAD.host, "since": DEAD.since
    }  # fmt: skip
    report = run(journal(place).verify())
    assert (report.proven, report.entries) == (True, len(before) + 2)
    if isinstance(place, BucketPlace):
        for key in (LEASE, HEAD):
            assert b'"digest":"sha256:' in place.bucket.objects[key][0]
            assert b'"v":2' in place.bucket.objects[key][0]


def test_who_held_it_is_still_known_once_it_is_let_go(place: Place) -> None:
    if isinstance(place, BucketPlace):
        place.bucket.now_s += 100
    run(write(journal(place), adopt(9)))
    run(write(journal(place), adopt(10)))
    events = [one.draft.event for one in run(read(journal(place)))]
    assert events.count(Event.TAKEOVER) == 1
    assert run(place.backend().holder()) is None


@pytest.mark.parametrize("key", [HEAD, LEASE])
def test_an_unsealed_object_cannot_call_itself_sealed(key: str) -> None:
    place = bucket()
    content, version, now = place.bucket.objects[key]
    place.bucket.objects[key] = (content.replace(b'"v":1', b'"v":2'), version + 1, now)
    assert not run(journal(place).verify()).proven


@pytest.mark.parametrize("key", [HEAD, LEASE])
def test_a_sealed_object_cannot_call_itself_unsealed(key: str) -> None:
    place = BucketPlace()
    run(write(journal(place), adopt(1)))
    content, version, now = place.bucket.objects[key]
    body, _, _ = content.partition(b',"digest"')
    for changed in (content.replace(b'"v":2', b'"v":1'), body + b"}\n", body + b"}"):
        place.bucket.objects[key] = (changed, version + 1, now)
        assert not run(journal(place).verify()).proven, changed


def test_a_lease_that_was_changed_is_nobodys() -> None:
    place = BucketPlace()
    run(write(journal(place), adopt(1)))
    content, version, now = place.bucket.objects[LEASE]
    place.bucket.objects[LEASE] = (content.replace(b'"beat":', b'"beat":1'), version + 1, now)
    with pytest.raises(LedgerError, match="is not the lease of a ledger; remove it"):
        run(write(journal(place), adopt(2)))
