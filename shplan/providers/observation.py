"""What a refresh can say of one address: it is there, it is absent, or several objects fit."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from shplan.core.address import Address
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, Object


@dataclass(frozen=True, slots=True)
class Observed:
    """
    What the server says of one address.

    Args:
        id: the server's id, empty for a set
        attributes: the object as answered, secret fields removed
        binding: how it was found
        members: number of members, None where nobody asked
        foreign_members: members that are not ours, None where nobody asked
        held: the fingerprint of the members, empty where there are none or nobody asked
        strangers: the first of the foreign members, where they can be told from the others
        left: what a replacement left behind
        others: ids of other objects that have the wanted natural key
        users: ids of what refers to it and keeps it from being deleted, as far as anybody asked
        detail: what only this kind understands (the joined tiles of a set)
    """

    id: str
    attributes: Object
    binding: Binding
    members: int | None = None
    foreign_members: int | None = None
    held: str = ""
    strangers: tuple[str, ...] = ()
    left: LeftBehind | None = None
    others: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    detail: object = None


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """
    The object that a replacement replaced, which is still to be deleted.

    Args:
        id: the server's id
        exists: the server still has it
        members: how many it holds
        foreign_members: members that came after the replacement was planned
        held: the fingerprint of the members
        users: ids of what refers to it and keeps it from being deleted
        strangers: the first of the foreign members, where they can be told from the others
        changed: it holds other contents than the plan of the replacement saw
    """

    id: str
    exists: bool
    members: int = 0
    foreign_members: int = 0
    held: str = ""
    users: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    changed: bool = False


class Binding(Enum):
    """How an object was found: by the ledger, by an intent of ours, by its natural key, by hand."""

    RECORDED = "recorded"
    INTENT = "intent"
    NATURAL_KEY = "natural key"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """
    Several objects fit and nothing tells which is ours: a person must decide.

    Args:
        rivals: other addresses without an id that name the same object
    """

    candidates: tuple[JsonObject, ...]
    rivals: tuple[Address, ...] = ()
    left: LeftBehind | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """
    No object fits.

    Args:
        gone: the ledger knew one and the server no longer has it
        others: ids of objects that have the natural key and belong to other addresses
    """

    gone: bool = False
    left: LeftBehind | None = None
    others: tuple[str, ...] = ()


Observation: TypeAlias = Observed | Absent | Ambiguous
