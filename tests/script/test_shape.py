"""What is no setup, and which member is at fault."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shplan.script.shape import Setup, UnusableError, read_setup

INPUT = {"input": ["B04"]}
OUTPUT = {"output": {"bands": 1}}


def with_input(value: object) -> dict[str, object]:
    return {"input": value, **OUTPUT}


def with_output(value: object) -> dict[str, object]:
    return {"output": value, **INPUT}


MESSAGES = [
    ({"$": "nothing"}, "setup() returned nothing; it must return an object with input and output"),
    ([], "setup() returned a list; it must return an object with input and output"),
    ("B04", 'setup() returned "B04"; it must return an object with input and output'),
    (None, "setup() returned null; it must return an object with input and output"),
    ({}, "setup() returned no input"),
    (INPUT, "setup() returned no output"),
    (with_input(None), "setup() returned no input"),
    (with_input([]), "input is empty; it must name at least one band"),
    (with_input(4), "input is 4; it must be a list of band names or of objects"),
    (with_input(["B04", 8]), "input[1] is 8; it must be a band name"),
    (with_input([{"bands": ["B04"]}, "B08"]), 'input[1] is "B08"; it must be an object with bands'),
    (with_input([{"$": "undefined"}]), "input[0] is undefined; it must be an object with bands"),
    (with_input({}), "input has no bands"),
    (with_input([{}]), "input[0] has no bands"),
    (with_input([{"bands": 4}]), "input[0].bands is 4; it must be a list"),
    (with_input({"bands": ["B04", None]}), "input.bands[1] is null; it must be a band name"),
    (
        with_input({"bands": ["B04", "B08"], "units": ["DN"]}),
        "input.units has 1 of them; it must be one unit, or a list with one for each of the 2 bands",
    ),
    (with_input({"bands": ["B04"], "units": 1}), "input.units is 1; it must be a list"),
    (with_input({"bands": ["B04"], "metadata": True}), "input.metadata is true; it must be a list"),
    (with_input({"bands": ["B04"], "datasource": 1}), "input.datasource is 1; it must be a string"),
    (
        with_input({"bands": ["B04"], "mosaicking": "DAY"}),
        'input.mosaicking is "DAY"; it must be SIMPLE, ORBIT or TILE',
    ),
    (
        {"mosaicking": {}, **INPUT, **OUTPUT},
        "mosaicking is an object; it must be SIMPLE, ORBIT or TILE",
    ),
    (with_output(3), "output is 3; it must be an object or a list of objects"),
    (with_output([]), "output is empty; there must be at least one"),
    (
        with_output([OUTPUT, 3]),
        "output[0].bands is missing; it must be the number of bands or a list of their names",
    ),
    (with_output([{"bands": 1}, 3]), "output[1] is 3; it must be an object with bands"),
    (
        with_output({"bands": "3"}),
        'output.bands is "3"; it must be the number of bands or a list of their names',
    ),
    (
        with_output({"bands": 1.5}),
        "output.bands is 1.5; it must be the number of bands or a list of their names",
    ),
    (
        with_output({"bands": True}),
        "output.bands is true; it must be the number of bands or a list of their names",
    ),
    (
        with_output({"bands": {"$": "NaN"}}),
        "output.bands is NaN; it must be the number of bands or a list of their names",
    ),
    (with_output({"bands": ["a", 1]}), "output.bands[1] is 1; it must be a string"),
    (
        with_output({"bands": -1}),
        "output.bands is -1; it must be the number of bands or a list of their names",
    ),
    (with_output({"bands": 1, "id": 7}), "output.id is 7; it must be a string"),
    (
        with_output([{"bands": 1}, {"bands": 1, "id": "default"}]),
        'output[1].id is "default", which an earlier output has; ids must be unique',
    ),
    (
        with_output({"bands": 1, "sampleType": "FLOAT64"}),
        'output.sampleType is "FLOAT64"; it must be one of AUTO, INT8, UINT8, INT16, UINT16, FLOAT32',
    ),
    (
        with_output({"bands": 1, "nodataValue": "0"}),
        'output.nodataValue is "0"; it must be a number',
    ),
]


@pytest.mark.parametrize(("value", "message"), MESSAGES, ids=range(len(MESSAGES)))
def test_the_member_at_fault_is_named(value: object, message: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read_setup(value)
    assert str(caught.value) == message


MEMBERS = st.sampled_from(
    ["input", "output", "mosaicking", "bands", "units", "metadata", "datasource"]
    + ["id", "sampleType", "nodataValue", "$"]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4)
)


@given(VALUES)
@settings(max_examples=300)
def test_any_value_is_a_setup_or_is_refused(value: object) -> None:
    try:
        setup = read_setup(value)
    except UnusableError:
        return
    assert isinstance(setup, Setup)
    assert setup.inputs
    assert all(len(one.units) in (0, len(one.bands)) for one in setup.inputs)
    assert all(one.bands >= 0 for one in setup.outputs)
    assert len({one.id for one in setup.outputs}) == len(setup.outputs)


def test_an_output_may_have_no_bands() -> None:
    """Scripts that only read about scenes say so, in one way or the other."""
    for bands in (0, []):
        assert read_setup(with_output({"bands": bands})).outputs[0].bands == 0
