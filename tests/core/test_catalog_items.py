"""What a search has found: the same in every order, and compared by names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.catalog_items import Findings, difference, worded
from shplan.core.value import JsonObject


@st.composite
def features(draw: st.DrawFn) -> list[JsonObject]:
    ids = draw(st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=6))
    return [
        {
            "id": one,
            "links": [{"href": f"https://host-{draw(st.integers(0, 9))}/"}],
            "properties": {"datetime": f"2025-06-0{draw(st.integers(1, 9))}T00:00:00Z"},
        }
        for one in ids
    ]


@given(features(), st.randoms(use_true_random=False))
def test_the_order_of_an_answer_means_nothing(found: list[JsonObject], random: object) -> None:
    shuffled = [*found]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    # An item that moved to the next page while the pages were read is one item.
    again = Findings.of([*shuffled, *found[:2]])
    assert again == Findings.of(found)
    assert Findings.from_json(again.as_json()) == again


@given(features(), features())
def test_a_difference_names_what_one_has_and_the_other_has_not(
    before: list[JsonObject], after: list[JsonObject]
) -> None:
    old, new = Findings.of(before), Findings.of(after)
    found = difference(old, new)
    ids = {str(one["id"]) for one in before}, {str(one["id"]) for one in after}
    assert set(found.added) == ids[1] - ids[0]
    assert set(found.removed) == ids[0] - ids[1]
    assert not difference(new, new)
    back = difference(new, old)
    assert (set(back.added), set(back.removed), set(back.changed)) == (
        set(found.removed),
        set(found.added),
        set(found.changed),
    )


def test_items_have_what_is_asked_of_them_most() -> None:
    content = {
        "id": "x",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"datetime": "2025-06-01T10:00:00Z", "eo:cloud_cover": 7.5},
        "assets": {"data": {"href": "https://u:p@host/a.tif?X-Amz-Signature=secret", "type": "t"}},
        "links": [{"href": "https://host/x"}],
    }
    seen = Findings.of([content], collection="byoc-1").attributes()
    (item,) = seen["items"]  # type: ignore[misc]
    assert item["datetime"] == "2025-06-01T10:00:00Z"  # type: ignore[index,call-overload]
    assert item["cloudCover"] == 7.5  # type: ignore[index,call-overload]
    assert item["collection"] == "byoc-1"  # type: ignore[index,call-overload]
    assert "links" not in item  # type: ignore[operator]
    # Whoever may read the lock may not read what is behind a signed address.
    assert item["assets"] == {"data": {"href": "https://host/a.tif", "type": "t"}}  # type: ignore[index,call-overload]
    assert seen["byId"] == {"x": item}
    assert (seen["ids"], seen["dates"], seen["count"]) == (["x"], ["2025-06-01"], 1)


def test_distinct_values_stand_for_themselves() -> None:
    found = Findings.of(["2025-06-03", "2025-06-01", "2025-06-03"])
    assert found.attributes()["values"] == ["2025-06-01", "2025-06-03"]


def test_many_names_are_counted() -> None:
    assert worded(["a", "b"]) == "a, b"
    assert worded(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
