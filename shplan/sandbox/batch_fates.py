"""
Which features of batch tasks fail, on demand: by name, or a share of all.

Stored, so that every process agrees; whether a feature belongs to a share depends on its name
alone, so that the same ones fail again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import JsonObject

SCHEMA = """
create table if not exists batch_fates (seq integer primary key, spec text not null);
"""
TABLES = {"batch_fates": "seq"}

CAUSE = "This failure was asked for."
_SCALE = 2**64


class FateError(ValueError):
    """A wish that is none."""


@dataclass(frozen=True, slots=True)
class Fate:
    """
    One wish.

    Args:
        features: names of the features that fail
        share: of all others, how many fail; 0 to 1
        cause: the error that the execution database, or a tile of version 1, tells
        stuck: in version 1, such a tile is tried two times more before it fails
    """

    features: tuple[str, ...] = ()
    share: float = 0.0
    cause: str = CAUSE
    stuck: bool = False

    def strikes(self, name: str) -> bool:
        """Whether the feature fails."""
        if name in self.features:
            return True
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / _SCALE
        return place < self.share


def parse(content: JsonObject) -> Fate:
    """
    The wish of a control request.

    Raises:
        FateError: an unknown member or a wrong value
    """
    unknown = set(content) - {"features", "share", "cause", "stuck"}
    if unknown:
        msg = f"there is no member {min(unknown)!r}; known are features, share, cause and stuck"
        raise FateError(msg)
    names, share = content.get("features", []), content.get("share", 0.0)
    cause = content.get("cause", CAUSE)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        msg = "features is a list of names"
        raise FateError(msg)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        msg = "share is a number from 0 to 1"
        raise FateError(msg)
    if not isinstance(cause, str):
        msg = "cause is a text"
        raise FateError(msg)
    stuck = content.get("stuck", False)
    if not isinstance(stuck, bool):
        msg = "stuck is true or false"
        raise FateError(msg)
    return Fate(tuple(cast("list[str]", names)), float(share), cause, stuck)


def program(store: Store, fate: Fate) -> None:
    """Add a wish behind those there are."""
    content: JsonObject = {
        "features": list(fate.features),
        "share": fate.share,
        "cause": fate.cause,
        "stuck": fate.stuck,
    }
    store.run("insert into batch_fates (spec) values (?)", encode(content))


def clear(store: Store) -> None:
    """Remove all wishes."""
    store.run("delete from batch_fates")


def all_of(store: Store) -> list[Fate]:
    """All wishes, the oldest first."""
    rows = store.rows("select spec from batch_fates order by seq")
    return [parse(decode_object(row["spec"])) for row in rows]


def striking(fates: list[Fate], name: str) -> Fate | None:
    """The oldest wish that the feature of a name shall fail."""
    return next((fate for fate in fates if fate.strikes(name)), None)
