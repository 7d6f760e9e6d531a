"""CQL2 text: read as another reader of the standard reads it, and refused with a place."""

from __future__ import annotations

import cql2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.catalog_filter import Known, faults_of
from shplan.core.cql2_text import Cql2Error, Literal, Node, Operation, Property, parse_text
from shplan.schema.store import tables
from tests.support.bounded import bounded

NAMES = ("eo:cloud_cover", "sat:orbit_state", "gsd", "s1:polarization")
NUMBERS = st.integers(0, 999) | st.floats(0.25, 99.75, width=16)


def comparisons() -> st.SearchStrategy[str]:
    value = NUMBERS.map(str) | st.sampled_from(["'DV'", "'it''s'", "'<>'"])
    signs = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    return st.builds(lambda n, s, v: f"{n} {s} {v}", st.sampled_from(NAMES), signs, value)


def betweens() -> st.SearchStrategy[str]:
    build = lambda n, low, high: f"{n} BETWEEN {low} AND {high}"  # noqa: E731
    return st.builds(build, st.sampled_from(NAMES), NUMBERS, NUMBERS)


FILTERS = st.recursive(
    comparisons() | betweens(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(
            lambda all_: " AND ".join(f"({one})" for one in all_)
        ),
        st.lists(inner, min_size=2, max_size=3).map(
            lambda all_: " or ".join(f"({one})" for one in all_)
        ),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=5,
)


def as_json(node: Node) -> object:
    if isinstance(node, Property):
        return {"property": node.name}
    if isinstance(node, Literal):
        return node.value
    assert isinstance(node, Operation)
    return {"op": node.op, "args": [as_json(one) for one in node.args]}


def flat(value: object) -> object:
    """`a and (b and c)` is `a and b and c` to one reader, and not to another."""
    if not isinstance(value, dict) or "op" not in value:
        return value
    args = [flat(one) for one in value["args"]]
    if value["op"] in ("and", "or"):
        inner = [
            one["args"] if isinstance(one, dict) and one.get("op") == value["op"] else [one]
            for one in args
        ]
        args = [one for group in inner for one in group]
    return {"op": value["op"], "args": args}


@given(FILTERS)
def test_a_filter_means_what_another_reader_says(text: str) -> None:
    assert flat(as_json(parse_text(text))) == flat(cql2.parse_text(text).to_json())


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["(", ")", "and", "not", "'", "x", "<", "3", ","]), max_size=30).map(
        " ".join
    )
)
def test_whatever_it_is_it_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    place = 0
    try:
        parse_text(text)
    except Cql2Error as error:
        place = error.at
    assert 0 <= place <= max(len(text) - 1, 0)


@given(FILTERS)
def test_parts_know_where_they_stand(text: str) -> None:
    waiting = [parse_text(text)]
    while waiting:
        node = waiting.pop()
        written = text[node.at : node.at + node.length]
        if isinstance(node, Property):
            assert written == node.name
        elif isinstance(node, Operation):
            assert written.lower() == node.op
            waiting += node.args


@pytest.mark.parametrize(
    "text", ["(" * 4000, "not " * 1000 + "x", "a<1 and " * 500, "((a<1)" * 600]
)
def test_hostile_filters_cost_little(text: str) -> None:
    with bounded(), pytest.raises(Cql2Error):
        parse_text(text + " (")


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("eo:cloud_cover <", 15, "it ends where a property or a value should follow"),
        ("eo:cloud_cover == 3", 15, "`==` is no operator"),
        ("eo:cloud_cover < 'a", 17, "never ends"),
        ("eo:cloud_cover < 3 )", 19, "`)` stands where nothing"),
        ("", 0, "it is empty"),
        ("eo:cloud_cover", 0, "states no condition"),
        ("a between 3 or 4", 12, "`or` stands where `and` and the upper bound"),
    ],
)
def test_the_place_of_a_mistake(text: str, at: int, said: str) -> None:
    with pytest.raises(Cql2Error) as caught:
        parse_text(text)
    assert caught.value.at == at
    assert said in str(caught.value)


S2 = Known.of(tables()["catalog"], "sentinel-2-l2a")
S1 = Known.of(tables()["catalog"], "sentinel-1-grd")
OWN = Known.of(tables()["catalog"], "byoc-0")


@pytest.mark.parametrize(
    ("filter_", "known", "said"),
    [
        ("eo:cloud_cover < 20", S2, []),
        ("eo:cloud_cover < -1.5 and not (eo:cloud_cover between 3 and 4)", S2, []),
        ("s1:polarization = 'DV' and sat:orbit_state <> 'ascending'", S1, []),
        ("whatever = 3", OWN, []),
        ("eo:cloud_cover < 20", S1, ["cannot name `eo:cloud_cover`"]),
        ("eo:cloud_cover < 20 or eo:cloud_cover > 90", S2, ["no operator `or`"]),
        ("eo:cloud_cover in (1, 2)", S2, ["no operator `in`"]),
        ("casei(s1:polarization) = 'dv'", S1, ["no function `casei`"]),
        ("eo:cloud_cover < '20'", S2, ["a number is compared with a text"]),
        ("eo:cloud_cover * 2 < 20", S2, ["do not compute"]),
        ({"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]}, S2, []),
        ({"op": "<", "args": [{"property": "eo:clouds"}, 20]}, S2, ["cannot name `eo:clouds`"]),
        ({"op": "<", "args": [{"property": "eo:cloud_cover"}]}, S2, ["takes 2 operands"]),
        ({"op": "and", "args": [3]}, S2, ["joins conditions"]),
        ({"op": "<"}, S2, ["has `op`, a text, and `args`"]),
    ],
)
def test_what_the_catalogue_would_refuse(filter_: object, known: Known, said: list[str]) -> None:
    told = [fault.what for fault in faults_of(filter_, known, collection="it")]  # type: ignore[arg-type]
    assert len(told) == len(said), told
    assert all(part in one for part, one in zip(said, told, strict=True))


def test_a_fault_in_json_has_its_path() -> None:
    wrong = {"op": "and", "args": [{"op": "<", "args": [{"property": "eo:clouds"}, 3]}]}
    (fault,) = faults_of(wrong, S2, collection="it")  # type: ignore[arg-type]
    assert fault.path == ("args", 0, "args", 0)
