"""The quick dataclasses are dataclasses: each law is checked beside the standard library's own."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import field
from typing import Any

import pytest

from shplan.core import frozen


def quick(plain: type) -> Any:
    return frozen.dataclass(frozen=True, slots=True)(plain)


def unguarded(plain: type) -> Any:
    return frozen.unguarded(frozen=True, slots=True)(plain)


def usual(plain: type) -> Any:
    return dataclasses.dataclass(frozen=True, slots=True)(plain)


def make(decorate: Callable[[type], Any]) -> Any:
    class Pair:
        """Two, and what goes with them."""

        left: int
        right: str = "r"
        many: list[int] = field(default_factory=list)
        quiet: int = field(default=0, repr=False, compare=False)
        checked: bool = False

        def __post_init__(self) -> None:
            if self.left < 0:
                raise ValueError("left")

    return decorate(Pair)


both = pytest.mark.parametrize("decorate", [quick, usual])
every = pytest.mark.parametrize("decorate", [quick, unguarded, usual])


@every
def test_values_are_compared_and_printed_by_their_fields(decorate: Callable[[type], Any]) -> None:
    pair = make(decorate)
    one = pair(1, many=[2], quiet=3)
    assert one == pair(1, "r", [2])
    assert one != pair(1, "r", [3])
    assert one != (1, "r", [2], False)
    assert repr(one) == (f"{pair.__qualname__}(left=1, right='r', many=[2], checked=False)")
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    assert pair.__match_args__ == ("left", "right", "many", "quiet", "checked")


def test_of_an_unguarded_value_only_the_type_checker_is_in_the_way() -> None:
    """A million are made while a ledger is read: each field is set as any attribute is."""
    one = make(unguarded)(1)
    one.left = 2
    assert one.left == 2
    assert not hasattr(one, "__dict__")


@both
def test_values_do_not_change(decorate: Callable[[type], Any]) -> None:
    one = make(decorate)(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'left'"):
        one.left = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'left'"):
        del one.left
    # Of a name that is no field, Python 3.11 stumbles over its own message.
    with pytest.raises((AttributeError, TypeError)):
        one.other = 2
    assert not hasattr(one, "__dict__")


@every
def test_values_are_made_as_stated(decorate: Callable[[type], Any]) -> None:
    pair = make(decorate)
    assert pair(1).many is not pair(1).many
    assert dataclasses.replace(pair(1, many=[2]), right="s") == pair(1, "s", [2])
    assert copy.deepcopy(pair(1, many=[2])) == pair(1, many=[2])
    assert [one.name for one in dataclasses.fields(pair)][:2] == ["left", "right"]
    for wrong in ((), (1, "r", [], 0, False, 9)):
        with pytest.raises(TypeError):
            pair(*wrong)
    with pytest.raises(ValueError, match="left"):
        pair(-1)
    with pytest.raises(ValueError, match="left"):
        dataclasses.replace(pair(1), left=-1)


@every
def test_what_a_class_says_of_itself_stays(decorate: Callable[[type], Any]) -> None:
    class Secret:
        text: str

        def __repr__(self) -> str:
            return "(sensitive)"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    secret = decorate(Secret)
    assert repr(secret("x")) == "(sensitive)"
    assert secret("x") == secret("y")
    assert len({secret("x"), secret("x")}) == 2


@frozen.dataclass(frozen=True, slots=True)
class Point:
    """A place."""

    east: float
    north: float = 0.0


@frozen.dataclass(frozen=True, slots=True)
class Named(Point):
    """A place with a name."""

    name: str = ""


def test_values_are_hashed_inherited_and_pickled() -> None:
    assert len({Point(1.0), Point(1.0, 0.0), Point(2.0)}) == 2
    assert Named(1.0, 2.0, "x") != Point(1.0, 2.0)
    assert repr(Named(1.0)) == "Named(east=1.0, north=0.0, name='')"
    assert pickle.loads(pickle.dumps(Named(1.0, 2.0, "x"))) == Named(1.0, 2.0, "x")


def test_other_dataclasses_are_the_standard_librarys() -> None:
    @frozen.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        """One after the other."""

        at: int

    assert Ordered(1) < Ordered(2)

    @frozen.dataclass(slots=True)
    class Open:
        """It changes."""

        at: int

    changed = Open(1)
    changed.at = 2
    assert changed == Open(2)


def test_a_class_is_made_with_one_compilation() -> None:
    """What a start of shplan saves: the six that the standard library compiles are one."""
    code = """
import dataclasses, sys
from shplan.core import frozen
counted = [0]
def count(event, arguments):
    counted[0] += event == "compile"
sys.addaudithook(count)
def compiled(decorate):
    counted[0] = 0
    decorate(type("Pair", (), {"__annotations__": {"left": int, "right": str}, "__doc__": "Two."}))
    return counted[0]
print(compiled(frozen.dataclass(frozen=True, slots=True)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "1"
