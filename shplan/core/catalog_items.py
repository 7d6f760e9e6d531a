"""
Items of the catalogue as expressions see them, in one order, and what differs between two readings.

Links are left out, as they name the host that answered: the same scenes are the same from every
deployment. What a search gives is a function of its items alone, whatever order the server has them in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, JsonValue, Object, Value, canonical

_KEPT = ("id", "collection", "bbox", "geometry", "properties", "assets")


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What a search has found.

    Args:
        items: sorted by time, collection and id, each once
        values: the distinct values that were asked for instead of items, sorted
    """

    items: tuple[JsonObject, ...] = ()
    values: tuple[JsonValue, ...] = ()

    @classmethod
    def of(cls, features: Iterable[JsonValue], *, collection: str = "") -> Findings:
        """
        Take in the features of all pages; objects are items, anything else a distinct value.

        Args:
            collection: the one that was searched, for items that do not say theirs
        """
        items: dict[tuple[str, str, str], JsonObject] = {}
        values: dict[bytes, JsonValue] = {}
        for feature in features:
            if isinstance(feature, dict):
                item = _item(feature, collection)
                items[_place(item)] = item
            else:
                values[canonical(cast("Value", feature))] = feature
        ordered = tuple(items[place] for place in sorted(items))
        return cls(ordered, tuple(values[form] for form in sorted(values)))

    def as_json(self) -> JsonObject:
        """Return the form that is pinned and that digests are taken of."""
        return {"items": [*self.items], "values": [*self.values]}

    @classmethod
    def from_json(cls, content: Mapping[str, JsonValue]) -> Findings:
        """Read that form again, in whatever order somebody has brought it."""
        items = cast("list[JsonValue]", content.get("items") or [])
        values = cast("list[JsonValue]", content.get("values") or [])
        return cls.of([*items, *values])

    def attributes(self) -> Object:
        """Return what `ref('CatalogSearch/name')` gives."""
        items = [_seen(item) for item in self.items]
        times = [str(item["datetime"]) for item in items if item["datetime"]]
        return cast(
            "Object",
            {
                "items": items,
                "byId": {str(item["id"]): item for item in items},
                "ids": [item["id"] for item in items],
                "datetimes": times,
                "dates": sorted({time[:10] for time in times}),
                "geometries": [item["geometry"] for item in items if item["geometry"]],
                "values": [*self.values],
                "count": len(items) + len(self.values),
            },
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What one reading has and another has not, by the names of items (or values)."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def difference(before: Findings, after: Findings) -> Difference:
    """Compare two readings; the order of neither matters."""
    old, new = _named(before), _named(after)
    return Difference(
        tuple(name for name in new if name not in old),
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name in old and new[name] != old[name]),
    )


def _named(findings: Findings) -> dict[str, bytes]:
    named = {str(item["id"]): canonical(cast("Value", item)) for item in findings.items}
    return named | {str(value): canonical(cast("Value", value)) for value in findings.values}


def _item(feature: JsonObject, collection: str) -> JsonObject:
    """Keep what says something of the scene, in a fixed order of its members."""
    named = {"collection": collection, **feature} if collection else feature
    kept = {name: named[name] for name in _KEPT if name in named}
    assets = kept.get("assets")
    if isinstance(assets, dict):
        kept["assets"] = {name: _unsigned(asset) for name, asset in assets.items()}
    return kept


def _unsigned(asset: JsonValue) -> JsonValue:
    """Leave out what signs an address: it is a secret, and another one each time."""
    href = asset.get("href") if isinstance(asset, dict) else None
    if not isinstance(asset, dict) or not isinstance(href, str):
        return asset
    scheme, mark, rest = href.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    return {**asset, "href": f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"}


def _place(item: JsonObject) -> tuple[str, str, str]:
    return (_time(item) or "", str(item.get("collection", "")), str(item.get("id", "")))


def _seen(item: JsonObject) -> JsonObject:
    """Return an item with what people look for most, also where the answer left it out."""
    properties = item.get("properties")
    told = properties if isinstance(properties, dict) else {}
    return {
        **item,
        "id": item.get("id", ""),
        "geometry": item.get("geometry"),
        "properties": told,
        "datetime": _time(item),
        "cloudCover": told.get("eo:cloud_cover"),
    }


def _time(item: JsonObject) -> str | None:
    properties = item.get("properties")
    found = properties.get("datetime") if isinstance(properties, dict) else None
    return found if isinstance(found, str) else None


def worded(names: Sequence[str], *, most: int = 3) -> str:
    """Name the first few of many, and count the rest."""
    more = len(names) - most
    first = ", ".join(names[:most])
    return f"{first} and {more:,} more" if more > 0 else first
