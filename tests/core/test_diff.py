"""The three-way diff of one object, field by field."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shplan.core.change import Reason
from shplan.core.diff import diff_object
from shplan.core.fields import FieldRule, FieldRules, Omitted, Sameness

RULES = FieldRules(
    {
        "bucket": FieldRule(immutable="it stays"),
        "noData": FieldRule(omitted=Omitted.CLEARS, clearable=True),
        "created": FieldRule(read_only=True),
        "time": FieldRule(same=Sameness.INSTANT),
        "bands": FieldRule(whole=True),
        "bands.*.depth": FieldRule(immutable="structure"),
    }
)


def diff(
    desired: dict[str, Any], recorded: dict[str, Any], observed: dict[str, Any], **more: Any
) -> list[tuple[Any, ...]]:
    found = diff_object(desired=desired, recorded=recorded, observed=observed, rules=RULES, **more)
    return [(one.dotted, one.before, one.after, one.reason, one.forces) for one in found]


def test_what_the_manifest_never_stated_is_left_alone() -> None:
    assert diff({"name": "a"}, {}, {"name": "a", "extent": [1, 2], "noData": 7}) == []


def test_a_stated_field_that_differs_is_a_change() -> None:
    assert diff({"name": "b"}, {"name": "a"}, {"name": "a"}) == [
        ("name", "a", "b", Reason.DIFFERS, "")
    ]


def test_drift_is_undone_even_when_the_manifest_did_not_change() -> None:
    assert diff({"name": "a"}, {"name": "a"}, {"name": "z"})[0][:3] == ("name", "z", "a")


def test_a_field_no_longer_stated_is_reset_only_where_the_api_can() -> None:
    assert diff({}, {"noData": 5}, {"noData": 5}) == [
        ("noData", 5, None, Reason.NO_LONGER_STATED, "")
    ]
    assert diff({}, {"name": "a"}, {"name": "a"}) == []
    assert diff({}, {"noData": 5}, {}) == []


def test_an_immutable_field_names_itself() -> None:
    assert diff({"bucket": "b"}, {"bucket": "a"}, {"bucket": "a"})[0][4] == "it stays"


def test_read_only_fields_are_never_compared() -> None:
    assert diff({"created": "then"}, {}, {"created": "now"}) == []


def test_ignored_fields_are_left_to_others() -> None:
    desired = {"name": "b", "bands": {"B1": {"depth": 8}}}
    observed = {"name": "a", "bands": {"B1": {"depth": 16}}}
    assert diff(desired, {}, observed, ignore=("name", "bands")) == []


def test_a_map_stated_whole_loses_what_it_lacks() -> None:
    desired = {"bands": {"B1": {"depth": 8}}}
    observed = {"bands": {"B1": {"depth": 8}, "B2": {"depth": 8}}}
    ((path, _, after, *_),) = diff(desired, {}, observed)
    assert (path, after) == ("bands.B2", None)


def test_nested_fields_have_their_own_rule() -> None:
    found = diff({"bands": {"B1": {"depth": 16}}}, {}, {"bands": {"B1": {"depth": 8}}})
    assert found[0][0] == "bands.B1.depth"
    assert found[0][4] == "structure"


SPEC = st.dictionaries(
    st.sampled_from(["name", "bucket", "noData", "other"]),
    st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"])),
)


@given(SPEC, SPEC)
def test_planning_what_is_there_gives_nothing(spec: dict[str, Any], more: dict[str, Any]) -> None:
    assert diff(spec, spec, {**more, **spec}) == []


@given(SPEC, SPEC, SPEC)
def test_applying_the_differences_leaves_none(
    desired: dict[str, Any], recorded: dict[str, Any], observed: dict[str, Any]
) -> None:
    after = dict(observed)
    for path, _, value, *_ in diff(desired, recorded, observed):
        if value is None:
            after.pop(path)
        else:
            after[path] = value
    assert diff(desired, desired, after) == []
