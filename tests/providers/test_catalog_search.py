"""A search reads all pages, whatever the server makes of them, and gives the same items."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.change import Action, Reason
from shplan.core.errors import NoAnswerError
from shplan.core.reading import Reading
from shplan.core.request import Answer
from shplan.core.resource import Desired
from shplan.core.value import Reference, Unknown
from shplan.manifest.readings import question_digest
from shplan.providers.base import ChangeFailedError, Surroundings, Wanted
from shplan.providers.catalog_search import MAX_ITEMS, MAX_PAGES, CatalogSearch
from shplan.providers.data import side_by_side
from shplan.providers.observation import Observed
from shplan.providers.steps import Read, Together
from shplan.schema.store import tables
from tests.manifest.test_readings import answer

SEARCH = CatalogSearch()
SCENES = Address("CatalogSearch", "scenes")
SPEC = {"collections": ["a"], "datetime": "2025-06-01T00:00:00Z/.."}


class Nowhere:
    """A source without places."""

    def span(self, path: Any) -> Any:
        return None


def desired(**more: Any) -> Desired:
    spec = {**SPEC, **more.pop("spec", {})}
    return Desired(SCENES, spec, Nowhere(), **more)


def page(ids: list[str], following: Any) -> Answer:
    features = [{"id": one, "properties": {"datetime": "2025-06-01T00:00:00Z"}} for one in ids]
    context = {"returned": len(ids)} | ({} if following is None else {"next": following})
    return Answer(200, {"features": features, "context": context})


def read(pages: list[Answer], spec: Any = SPEC) -> tuple[Any, list[Any]]:
    """Answer a flow with pages, one after the other."""
    flow, bodies, left = SEARCH.read(spec, tables()), [], iter(pages)
    step = next(flow)
    while True:
        assert isinstance(step, Read)
        bodies.append(step.request.body)
        try:
            step = flow.send(next(left))
        except StopIteration as end:
            return end.value, bodies


@given(
    st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=12), st.integers(1, 4)
)
def test_all_pages_in_any_order_give_the_same(ids: list[str], size: int) -> None:
    def served(order: list[str]) -> Any:
        cut = [order[at : at + size] for at in range(0, len(order), size)] or [[]]
        last = len(cut) - 1
        return read([page(one, at + 1 if at < last else None) for at, one in enumerate(cut)])[0]

    assert served(ids) == served(sorted(ids)) == served(ids[::-1])
    assert SEARCH.seen(served(ids))["ids"] == sorted(ids)


def test_each_page_is_asked_for_by_the_one_before() -> None:
    _, bodies = read([page(["a"], 1), page(["b"], 2), page([], None)])
    assert [body.get("next") for body in bodies] == [None, 1, 2]
    assert all(body["limit"] == 100 for body in bodies)


def test_the_language_of_a_filter_is_said() -> None:
    assert read([page([], None)], {**SPEC, "filter": "a < 3"})[1][0]["filter-lang"] == "cql2-text"
    condition = {"op": "<", "args": [{"property": "a"}, 3]}
    assert read([page([], None)], {**SPEC, "filter": condition})[1][0]["filter-lang"] == "cql2-json"


def test_a_pin_is_no_business_of_the_service() -> None:
    assert "pin" not in read([page([], None)], {**SPEC, "pin": True})[1][0]


def test_a_page_that_comes_again_ends_it() -> None:
    with pytest.raises(ChangeFailedError, match="read before"):
        read([page(["a"], 1), page(["b"], 2), page(["c"], 1)])


def test_pages_without_end_end() -> None:
    with pytest.raises(ChangeFailedError, match="narrow its area"):
        read([page([], number) for number in range(1, MAX_PAGES + 1)])
    with pytest.raises(ChangeFailedError, match="more than 20,000 items"):
        read([page([str(number) for number in range(MAX_ITEMS + 1)], None)])


@pytest.mark.parametrize("body", [None, [], "x", {"features": 3}, {"features": None, "context": 3}])
def test_an_answer_that_is_none_finds_nothing(body: Any) -> None:
    assert read([Answer(200, body)])[0] == {"items": [], "values": []}


# --- planning -------------------------------------------------------------------------------------


def planned(wanted: Desired, around: Surroundings, reply: Any = None) -> Any:
    flow = SEARCH.refresh((Wanted(SCENES, wanted, None),), around)
    asked = 0
    try:
        step = next(flow)
        while True:
            asked += 1
            assert isinstance(step, Together)
            step = flow.send((reply,))
    except StopIteration as end:
        found = end.value[SCENES]
    (change,) = SEARCH.decide(Wanted(SCENES, wanted, None), found, around)
    return change, found, asked


def around(reading: Reading | None = None, **more: Any) -> Surroundings:
    known = {} if reading is None else {SCENES: reading}
    return Surroundings(readings=known, tables=tables(), **more)


def test_what_was_read_while_loading_is_not_read_again() -> None:
    change, found, asked = planned(desired(), around(Reading("q", answer("a"))))
    assert (change.action, change.reason, asked) == (Action.READ, Reason.READ, 0)
    assert isinstance(found, Observed)
    assert found.attributes["ids"] == ["a"]


def test_a_pin_holds_and_what_the_catalogue_says_is_told() -> None:
    pinned = Reading("q", answer("a", "b"), asked=False)
    now = page(["a", "c"], None)
    change, found, asked = planned(desired(spec={"pin": True}), around(pinned), now)
    assert (change.reason, asked) == (Reason.ANSWER_DIFFERS, 1)
    assert found.attributes["ids"] == ["a", "b"]
    assert "the catalogue has in addition 1: c" in change.notes
    assert "the catalogue no longer has 1: b" in change.notes
    assert not change.action.changes


def test_a_pin_outlives_the_service() -> None:
    pinned = Reading("q", answer("a"), asked=False)
    change, found, _ = planned(desired(spec={"pin": True}), around(pinned), NoAnswerError("gone"))
    assert found.attributes["ids"] == ["a"]
    assert "could not be asked: gone" in change.notes[0]


def test_without_a_pin_no_answer_is_an_error() -> None:
    with pytest.raises(NoAnswerError):
        planned(desired(), around(), NoAnswerError("gone"))


def test_what_this_plan_changes_is_looked_at_afterwards() -> None:
    tiles = Address("ByocTiles", "fields")
    waiting = desired(depends_on=(tiles,))
    change, _, asked = planned(waiting, around(changing=frozenset({tiles})))
    assert (change.reason, change.waits, asked) == (Reason.READ_LATER, True, 0)
    change, _, asked = planned(waiting, around(), page(["a"], None))
    assert (change.reason, asked) == (Reason.READ, 1)


def test_what_asks_for_an_id_of_this_plan_is_read_during_apply() -> None:
    hole = Unknown("{{ ref('K/x').id }}", "s", (Reference(Address("K", "x")),))
    change, _, asked = planned(desired(spec={"collections": [hole]}), around())
    assert (change.reason, asked) == (Reason.READ_LATER, 0)


def test_searches_go_side_by_side_and_end_each_for_itself() -> None:
    flows = {Address("CatalogSearch", name): SEARCH.read(SPEC, tables()) for name in "abc"}
    flow = side_by_side(flows)
    first = next(flow)
    assert isinstance(first, Together)
    assert len(first.steps) == 3
    second = flow.send((page(["x"], 1), page(["y"], None), NoAnswerError("gone")))
    assert len(second.steps) == 1
    with pytest.raises(StopIteration) as end:
        flow.send((page(["z"], None),))
    found = {str(address.name): one for address, one in end.value.value.items()}
    assert SEARCH.seen(found["a"])["ids"] == ["x", "z"]
    assert SEARCH.seen(found["b"])["ids"] == ["y"]
    assert isinstance(found["c"], NoAnswerError)


def test_the_size_of_pages_is_no_part_of_the_question() -> None:
    plain = SEARCH.question(SPEC)
    assert SEARCH.question({**SPEC, "limit": 7, "pin": True}) == plain
    assert SEARCH.question({**SPEC, "ids": ["a"]}) != plain
    assert question_digest(SPEC) != question_digest({**SPEC, "ids": ["a"]})
