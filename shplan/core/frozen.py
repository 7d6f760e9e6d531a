"""
Frozen dataclasses that are made quickly, for the modules that every command loads.

`dataclasses` writes and compiles six methods for each frozen class: half a millisecond, and with a
hundred classes a tenth of the time of a whole plan. Only `__init__` differs enough from class to
class to be worth compiling; comparing, hashing, printing and refusing to be changed are the same
functions for all. To readers, type checkers and `dataclasses.replace` it is a dataclass like any.

`unguarded` is for the few of which a million are made: only the type checker refuses to change one.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
    from dataclasses import dataclass as unguarded
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, **more: bool
    ) -> Callable[[type], type]:
        """Make a dataclass, as `dataclasses.dataclass`; the quick way is for frozen slotted ones."""
        if not (frozen and slots) or more:
            return dataclasses.dataclass(frozen=frozen, slots=slots, **more)
        return _frozen

    def unguarded(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Make a frozen dataclass in a third of the time; nothing refuses while it runs."""
        assert frozen, "it is for values"
        assert slots, "without them it would not be quick"
        return _unguarded


def _frozen(plain: type) -> type:
    guards: dict[str, Callable[..., None]] = {
        "__setattr__": _refuse_set,
        "__delattr__": _refuse_delete,
    }
    # The slot itself, which no guard stands before and no name has to be looked up for.
    return _built(plain, "_set_{name}(self, {value})", guards)


def _unguarded(plain: type) -> type:
    return _built(plain, "self.{name} = {value}", {})


def _built(plain: type, setting: str, guards: dict[str, Callable[..., None]]) -> type:
    stated = plain.__dict__
    made: type[Any] = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(plain)
    fields = dataclasses.fields(made)
    methods = {
        "__init__": _init(made, fields, setting, finishes=hasattr(made, "__post_init__")),
        "__repr__": _repr([field.name for field in fields if field.repr]),
        **_comparing([field.name for field in fields if field.compare]),
        **_copying([field.name for field in fields]),
        **guards,
    }
    for name, method in methods.items():
        if stated.get(name) is None:
            setattr(made, name, method)
    return made


def _init(
    made: type[Any], fields: tuple[dataclasses.Field[Any], ...], setting: str, *, finishes: bool
) -> Callable[..., None]:
    known: dict[str, Any] = {"_made": object()}
    parameters, lines = [], []
    for field in fields:
        name = field.name
        value = name
        if field.default_factory is not dataclasses.MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_made")
            value = f"_make_{name}() if {name} is _made else {name}"
        elif field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        known[f"_set_{name}"] = getattr(made, name).__set__
        lines.append("    " + setting.format(name=name, value=value))
    if finishes:
        lines.append("    self.__post_init__()")
    source = "\n".join([f"def __init__(self, {', '.join(parameters)}):", *lines])
    exec(source, known)  # noqa: S102 - the names of a class's own fields, as `dataclasses` does it
    written: Callable[..., None] = known["__init__"]
    return written


def _repr(names: list[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:  # noqa: N807 - it becomes that method
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _comparing(names: list[str]) -> dict[str, Callable[..., Any]]:
    parts: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine, theirs = parts(self), parts(other)
        # As tuples are compared: what is the same object is equal.
        return bool(mine is theirs or mine == theirs)

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(parts(self))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _copying(names: list[str]) -> dict[str, Callable[..., Any]]:
    def __getstate__(self: Any) -> list[Any]:  # noqa: N807
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[Any]) -> None:  # noqa: N807
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {"__getstate__": __getstate__, "__setstate__": __setstate__}


def _refuse_set(_: object, name: str, __: object) -> None:
    message = f"cannot assign to field {name!r}"
    raise dataclasses.FrozenInstanceError(message)


def _refuse_delete(_: object, name: str) -> None:
    message = f"cannot delete field {name!r}"
    raise dataclasses.FrozenInstanceError(message)


__all__ = ["dataclass", "unguarded"]
