"""The join of declared and listed tiles: what is whose, in any order and spelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.change import Action
from shplan.core.resource import MemberRecord, PendingIntent, Recorded
from shplan.providers.steps import File
from shplan.providers.tile_join import BASE_COLUMNS, COVER, SharedList, TileJoin
from shplan.providers.tile_requests import fingerprints, spellings
from tests.support.bench import tiles

JUNE = "2025-06-01T10:00:00Z"
SETS = Address("ByocTiles", "fields")


def nowhere(_: str) -> bool:
    return False


def join(
    *paths: Any,
    records: dict[str, MemberRecord] | None = None,
    ours: frozenset[str] = frozenset(),
    pending: tuple[PendingIntent, ...] = (),
    exclusive: bool = False,
) -> TileJoin:
    record = Recorded(SETS, members=records or {}, pending=pending, data={"collection": "c1"})
    return TileJoin.of(tiles(*paths, exclusive=exclusive), record, "c1", ours=ours)


def row(tile: str, path: str, status: str = "INGESTED", time: str | None = JUNE) -> tuple[Any, ...]:
    values = {"id": tile, "path": path, "status": status, "sensingTime": time}
    return tuple(values.get(column) for column in BASE_COLUMNS)


def take(one: TileJoin, *rows: tuple[Any, ...]) -> TileJoin:
    SharedList([one], BASE_COLUMNS).take(rows)
    one.take_rivals()
    for at in tuple(one.missing()):
        one.create(at)
    one.leave(nowhere)
    one.expel(nowhere)
    return one


def planned(one: TileJoin) -> list[tuple[str, str, str]]:
    return [(member.operation, member.key, member.id) for member in one.changes]


def intent(operation: str, *keys: str) -> PendingIntent:
    return PendingIntent(1, operation, {}, "", "", keys)


def test_ours_goes_before_a_strangers_in_another_spelling() -> None:
    for rows in (
        (row("t9", "a"), row("t1", "a/(BAND).tiff")),
        (row("t1", "a/(BAND).tiff"), row("t9", "a")),
    ):
        one = take(join("a", records={"a": MemberRecord("t1")}), *rows)
        assert planned(one) == []


def test_a_strangers_is_bound_where_ours_is_gone_and_is_not_ours() -> None:
    one = take(join("a", records={"a": MemberRecord("t1")}), row("t9", "a"))
    assert planned(one) == [("adopt", "a", "t9")]
    assert not one.changes[0].owned


@pytest.mark.parametrize(
    ("pending", "ours", "owned"),
    [
        ((), frozenset(), False),
        ((intent("create", "a"),), frozenset(), True),
        # An update or a delete whose outcome is unknown made nothing.
        ((intent("update", "a"),), frozenset(), False),
        ((intent("delete", "a"),), frozenset(), False),
        ((intent("create", "b"),), frozenset(), False),
        ((), frozenset({"t1"}), True),
    ],
)
def test_only_a_create_of_ours_makes_a_tile_ours(
    pending: tuple[PendingIntent, ...], ours: frozenset[str], owned: bool
) -> None:
    one = take(join("a", pending=pending, ours=ours), row("t1", "a", time="2025-07-01T00:00:00Z"))
    assert [(member.operation, member.owned) for member in one.changes] == [
        ("adopt", owned),
        ("update", owned),
    ]


def test_records_of_another_collection_do_not_take_part() -> None:
    record = Recorded(SETS, members={"a": MemberRecord("t1")}, data={"collection": "other"})
    one = TileJoin.of(tiles("a"), record, "c1")
    assert one.records == {}


def test_what_is_no_longer_declared_is_deleted_counted_or_let_go() -> None:
    records = {
        "ours": MemberRecord("t1"),
        "adopted": MemberRecord("t2", owned=False),
        "gone": MemberRecord("t3"),
        "elsewhere": MemberRecord("t4"),
    }
    one = join(records=records)
    SharedList([one], BASE_COLUMNS).take(
        (row("t1", "ours"), row("t2", "adopted"), row("t4", "elsewhere"), row("t5", "theirs"))
    )
    one.leave(lambda path: path == "elsewhere")
    assert planned(one) == [("delete", "ours", "t1")]
    assert (one.unconfirmed, one.unmanaged, one.lost()) == (1, 1, ("elsewhere", "gone"))


def test_exclusive_spares_what_is_ours_and_what_others_declare() -> None:
    one = join(exclusive=True, ours=frozenset({"t1"}))
    SharedList([one], BASE_COLUMNS).take((row("t1", "x"), row("t2", "y"), row("t3", "z")))
    one.expel(lambda path: path == "y")
    assert planned(one) == [("delete", "z", "t3")]
    assert one.unmanaged == 2


def test_sets_of_one_collection_share_its_list() -> None:
    one, other = join("a"), join("b")
    SharedList([one, other], BASE_COLUMNS).take((row("t1", "a"), row("t2", "b"), row("t3", "c")))
    assert (one.unmanaged, other.unmanaged) == (1, 1)
    assert (one.listed, other.listed) == (3, 3)


def test_what_is_on_its_way_is_waited_for() -> None:
    one = take(join("a", records={"a": MemberRecord("t1")}), row("t1", "a", "QUEUED"))
    assert (one.ingesting, planned(one)) == (["t1"], [])


def test_a_cover_is_listed_only_where_one_was_ever_stated() -> None:
    stated = {"path": "a", COVER: {"type": "Polygon"}}
    covered = MemberRecord("t1", stated=(COVER,))
    assert join("a").columns == BASE_COLUMNS
    assert join(stated).columns == (*BASE_COLUMNS, COVER)
    assert join("a", records={"a": covered}).columns == (*BASE_COLUMNS, COVER, "tileGeometry")
    assert join(stated, records={"a": covered}).columns == (*BASE_COLUMNS, COVER)


PATHS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), unique=True)


@given(declared=PATHS, recorded=PATHS, there=PATHS, seed=st.randoms(use_true_random=False))
def test_the_join_does_not_depend_on_the_order_of_the_list_and_touches_only_what_is_ours(
    declared: list[str], recorded: list[str], there: list[str], seed: Any
) -> None:
    records = {path: MemberRecord(f"ours-{path}") for path in recorded}
    rows = [row(f"ours-{path}" if path in recorded else f"theirs-{path}", path) for path in there]
    plans = []
    for _ in range(2):
        seed.shuffle(rows)
        one = take(join(*declared, records=records), *rows)
        plans.append(sorted(planned(one)))
        deleted = {m.key for m in one.changes if m.action is Action.DELETE}
        assert deleted == (set(recorded) & set(there)) - set(declared)
        assert {m.key for m in one.changes if m.operation == "create"} == set(declared) - set(there)
        assert all(not m.id.startswith("theirs") for m in one.changes if m.operation == "delete")
        assert one.unmanaged == len(set(there) - set(declared) - set(recorded))
    assert plans[0] == plans[1]


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b", ("a/b", "a/b/(BAND).tiff", "a/b/(BAND).tif")),
        ("a/b/(BAND).tiff", ("a/b", "a/b/(BAND).tiff")),
        ("a/x_(BAND).tiff", ("a/x_(BAND).tiff",)),
    ],
)
def test_the_spellings_of_a_path(path: str, expected: tuple[str, ...]) -> None:
    assert spellings(path) == expected


FILES = [
    File("a/B04.tiff", 1, "x"),
    File("a/B08.tiff", 2, "y"),
    File("a/B04.tiff.aux.xml", 4, "z"),
    File("a/B04.tiff.ovr", 8, "z"),
    File("a/sub/B04.tiff", 16, "z"),
    File("b/s1_B04.TIF", 32, "u"),
    File("b/s2_B04.TIF", 64, "v"),
]


@pytest.mark.parametrize(
    ("path", "size_bytes"),
    [
        ("a", 3),
        ("a/(BAND).tiff", 3),
        ("a/(BAND)", 3),
        ("a/(BAND).tif", None),
        ("none", None),
        ("b/s1_(BAND)", 32),
        ("b/s1_(BAND).TIF", 32),
        ("b", 96),
        ("b/(BAND)", 96),
    ],
)
def test_the_files_behind_a_path(path: str, size_bytes: int | None) -> None:
    found = fingerprints([path], FILES)
    assert (found[path][1] if found else None) == size_bytes


def test_a_fingerprint_changes_with_each_file_and_not_with_their_order() -> None:
    first = fingerprints(["a"], FILES)
    assert fingerprints(["a"], reversed(FILES)) == first
    for at in (0, 1):
        changed = [replace(one, etag="new") if n == at else one for n, one in enumerate(FILES)]
        assert fingerprints(["a"], changed) != first
    for at in (2, 3, 4):
        changed = [replace(one, etag="new") if n == at else one for n, one in enumerate(FILES)]
        assert fingerprints(["a"], changed) == first
