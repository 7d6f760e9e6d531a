"""
What the sets of tiles of one project have to do with each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from shplan.core.address import Address
from shplan.core.compare import same_tile_path, tile_folder
from shplan.core.diff import value_at
from shplan.core.paths import PLACEHOLDER, REQUEST_ID, full_template, has_parts
from shplan.core.resource import Desired, Receipt
from shplan.core.value import Unknown, Value
from shplan.providers.base import Surroundings
from shplan.providers.tile_join import TileJoin
from shplan.providers.tile_requests import text_of

KIND = "ByocTiles"


class Elsewhere:
    """Knows which tiles the other sets of the project declare; indexed when first asked."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._index: dict[tuple[str, str], list[tuple[Address, str]]] | None = None
        self._produced: dict[str, list[list[str]]] | None = None

    def declares(self, address: Address, collection: Value, path: str) -> bool:
        """Tell whether a set other than `address` declares a path of a collection."""
        return self._other(address, text_of(collection), path) is not None

    def wants(self, address: Address, collection: Value, path: str) -> bool:
        """Tell whether another set declares a path, or a run of ours has produced it."""
        home = text_of(collection)
        return self.declares(address, collection, path) or self._is_produced(home, path)

    def twins(self, address: Address, join: TileJoin) -> tuple[tuple[str, Address], ...]:
        """
        Return the declared paths that another set declares too.

        Sets that name their collection in the same way were compared offline already.
        """
        home = text_of(join.collection)
        if not home or not join.members or not self._names_otherwise(address, home):
            return ()
        paths = [text_of(member["path"]) for member in join.members]
        found = [(path, self._other(address, home, path)) for path in paths]
        return tuple((path, other) for path, other in found if other is not None)

    def _names_otherwise(self, address: Address, home: str) -> bool:
        sharing = [one for one in self._sets() if self._home(one) == home]
        own = [one for one in sharing if one.address == address]
        return any(_collection_name(one) != _collection_name(own[0]) for one in sharing if own)

    def _other(self, address: Address, home: str, path: str) -> Address | None:
        if self._index is None:
            self._index = self._indexed()
        for other, declared in self._index.get((home, tile_folder(path)), ()):
            if other != address and same_tile_path(path, declared):
                return other
        return None

    def _is_produced(self, home: str, path: str) -> bool:
        if self._produced is None:
            self._produced = {}
            for run in self._surroundings.runs.values():
                collection, pattern = ("", None) if run.receipt is None else _produce(run.receipt)
                if pattern is not None:
                    self._produced.setdefault(collection, []).append(pattern)
        return any(has_parts(path, one, least=1) for one in self._produced.get(home, ()))

    def _sets(self) -> Iterator[Desired]:
        return (one for one in self._surroundings.declared if one.address.kind == KIND)

    def _indexed(self) -> dict[tuple[str, str], list[tuple[Address, str]]]:
        index: dict[tuple[str, str], list[tuple[Address, str]]] = {}
        for desired in self._sets():
            home = self._home(desired)
            for member in desired.members if home else ():
                path = text_of(member.get("path"))
                index.setdefault((home, tile_folder(path)), []).append((desired.address, path))
        return index

    def _home(self, desired: Desired) -> str:
        """Return the id of a set's collection; one that is not known yet is nobody's here."""
        value = desired.spec.get("collection")
        if isinstance(value, Unknown) and len(value.references) == 1:
            (reference,) = value.references
            # A set that is refreshed early sees what the ledger has of a collection read later.
            known = self._surroundings.attributes.get(reference.address)
            if known is None:
                known = {"id": self._id_beforehand(reference.address)}
            value = value_at(known, reference.path)
        return text_of(value)

    def _id_beforehand(self, address: Address) -> Value:
        recorded = self._surroundings.recorded_ids.get(address)
        if recorded is not None:
            return recorded
        stated = (one for one in self._surroundings.declared if one.address == address)
        return next((one.spec.get("id") for one in stated if not one.lifecycle.managed), None)


def _produce(receipt: Receipt) -> tuple[str, list[str] | None]:
    """Return the collection that a run has filled, and what the paths of its tiles look like."""
    template = receipt.outputs.get("template")
    collection = receipt.outputs.get("collectionId")
    if not isinstance(template, str) or not isinstance(collection, str):
        return "", None
    whole = full_template(template).replace(REQUEST_ID, receipt.id)
    _, _, key = whole.partition("://")[2].partition("/")
    return collection, PLACEHOLDER.split(key)


def _collection_name(desired: Desired) -> object:
    value = desired.spec.get("collection")
    return value.references if isinstance(value, Unknown) else value
