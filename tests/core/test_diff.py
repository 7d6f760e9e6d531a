"""The three-way diff of one object, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.core.change import Reason
from shplan.core.diff import diff_object, is_ignored, value_at, with_changes
from shplan.core.fields import FieldRule, FieldRules, Omitted, Sameness
from shplan.core.value import SecretReference, Sensitive, Unknown, printable

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


def test_a_secret_is_compared_by_where_it_comes_from() -> None:
    """Planning never reads it; another source, or none before, is a change."""
    secret = Sensitive(("key ", SecretReference("env:KEY")))
    other = Sensitive(("key ", SecretReference("env:OTHER")))
    applied = {"name": printable(secret)}
    assert diff({"name": secret}, applied, {"name": "key hunter2"}) == []
    assert len(diff({"name": other}, applied, {"name": "key hunter2"})) == 1
    assert len(diff({"name": secret}, {}, {"name": "key hunter2"})) == 1
    assert len(diff({"name": secret}, applied, {})) == 1


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


def paths(desired: Any, observed: Any, **more: Any) -> list[tuple[str, Any, Any]]:
    found = diff_object(desired=desired, recorded={}, observed=observed, rules=FieldRules(), **more)
    return [(change.dotted, change.before, change.after) for change in found]


def test_a_list_that_differs_is_told_by_the_places_that_do() -> None:
    before = {"list": [{"a": 1, "b": 2}, {"a": 3}, 5]}
    after = {"list": [{"a": 1, "b": 9}, {"a": 3.0, "c": "new"}, 5, "more"]}
    assert paths(after, before) == [
        ("list.0.b", 2, 9),
        ("list.1.c", None, "new"),
        ("list.3", None, "more"),
    ]


def test_a_list_is_told_as_a_whole_where_its_places_say_nothing() -> None:
    hole = Unknown("{{ x }}", "s", ())
    assert [path for path, *_ in paths({"list": [hole]}, {"list": [1]})] == ["list"]
    long = list(range(3000))
    assert [path for path, *_ in paths({"list": long}, {"list": long[1:]})] == ["list"]
    assert [path for path, *_ in paths({"list": [1]}, {"list": None})] == ["list"]


def test_what_differs_inside_a_list_changes_the_whole_list() -> None:
    before, after = {"x": 1, "list": [1, 2]}, {"list": [1, 3, 4]}
    found = diff_object(desired=after, recorded={}, observed=before, rules=FieldRules())
    assert with_changes(before, found, after) == {"x": 1, "list": [1, 3, 4]}


def test_an_empty_object_is_what_the_server_leaves_out() -> None:
    assert paths({"a": {}, "b": {"c": {}}}, {}) == []
    assert paths({"a": {"b": 1}}, {}) == [("a", None, {"b": 1})]


def test_a_key_of_a_whole_map_goes_though_it_was_recorded() -> None:
    """Otherwise taking a band out of the manifest would do nothing."""
    rules = FieldRules({"bands": FieldRule(whole=True)})
    for recorded in ({}, {"bands": {"a": 1, "b": 2}}):
        (gone,) = diff_object(
            desired={"bands": {"a": 1}},
            recorded=recorded,
            observed={"bands": {"a": 1, "b": 2}},
            rules=rules,
        )
        assert (gone.dotted, gone.cleared, gone.forces) == ("bands.b", True, "")


@pytest.mark.parametrize(
    ("pattern", "ignored"),
    [
        ("a", True),
        ("a.b", True),
        ("a.*", True),
        ("*.b", True),
        ("a.b.c", False),
        ("b", False),
        ("a.bc", False),
    ],
)
def test_ignored_paths_cover_what_is_below_them(pattern: str, ignored: bool) -> None:
    assert is_ignored(("a", "b"), (pattern,)) is ignored


def test_a_value_is_found_by_its_path() -> None:
    assert value_at({"a": {"b": 1}}, ("a", "b")) == 1
    assert value_at({"a": {"b": 1}}, ("a", "b", "c")) is None
    assert value_at({}, ("a",)) is None
