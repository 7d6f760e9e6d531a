"""
Items and collections as the catalogue shows them, whatever they come from.

Source: STAC 1.0.0, Item and Collection; the projection and electro-optical extensions; the older
reference's examples for what an item says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, cast
from urllib.parse import quote

from shplan.sandbox.catalog_area import bbox_of, geojson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shplan.sandbox.catalog_area import SearchArea, Shape
    from shplan.sandbox.catalog_time import Span
    from shplan.sandbox.wire import Json, JsonObject

STAC_VERSION = "1.0.0"
GEO_JSON = "application/geo+json"
JSON = "application/json"
SCHEMA_JSON = "application/schema+json"
QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
CRS84_NAME = "urn:ogc:def:crs:OGC::CRS84"
_PROJECTION = "https://stac-extensions.github.io/projection/v1.0.0/schema.json"
_CLOUDS = "https://stac-extensions.github.io/eo/v1.0.0/schema.json"

# Where an item stands in its collection's order, for whoever goes on behind it.
Place: TypeAlias = "tuple[int, int | str]"


class Found(Protocol):
    """One item that a search came across; what costs time is made when it is asked for."""

    @property
    def id(self) -> str:
        """Identifier within the collection."""

    @property
    def place(self) -> Place:
        """Instant and a tie-breaker; unique in the collection."""

    @property
    def at_ms(self) -> int | None:
        """Instant of the acquisition; none: of no time at all."""

    def properties(self) -> JsonObject:
        """The item's properties."""

    def shape(self) -> Shape:
        """Where it has data: degrees, CRS84."""

    def asset(self) -> JsonObject:
        """The asset that holds the data."""


class Source(Protocol):
    """A collection of the catalogue."""

    @property
    def id(self) -> str:
        """Identifier, as it is listed."""

    @property
    def first_ms(self) -> int:
        """The earliest instant that it may have."""

    @property
    def is_stored(self) -> bool:
        """Whether a search asks the store; else it is a computation that touches nothing."""

    @property
    def queryables(self) -> JsonObject:
        """Properties that filters take: name to JSON Schema."""

    @property
    def distincts(self) -> Mapping[str, Sequence[Json]]:
        """Properties whose distinct values are listed, with the values where they are known."""

    def description(self) -> JsonObject:
        """The STAC collection without its links."""

    def search(
        self, area: SearchArea | None, span: Span, *, after: Place | None, skip: int
    ) -> Iterator[Found]:
        """
        Items that touch an area, the newest first.

        Args:
            after: begin behind this place
            skip: items to leave out

        Raises:
            TooBroadError: by the iterator, when it had to look at too much
        """

    def find(self, item_id: str) -> Found | None:
        """The item of an identifier."""


class TooBroadError(Exception):
    """A search that would have to look at more than one request may."""


def item(source: Source, found: Found, base: str) -> JsonObject:
    """An item; `base` is the address of the catalogue in the caller's path style."""
    collection = f"{base}/collections/{quote(source.id)}"
    properties, shape = found.properties(), found.shape()
    extensions: list[Json] = [_PROJECTION]
    if "eo:cloud_cover" in properties:
        extensions.insert(0, _CLOUDS)
    return {
        "stac_version": STAC_VERSION,
        "stac_extensions": extensions,
        "type": "Feature",
        "id": found.id,
        "collection": source.id,
        "geometry": geojson(shape, CRS84_NAME),
        "bbox": bbox_of(shape),
        "properties": properties,
        "assets": {"data": found.asset()},
        "links": [
            link("root", base, JSON),
            link("self", f"{collection}/items/{quote(found.id, safe='')}", GEO_JSON),
            link("parent", collection, JSON),
            link("collection", collection, JSON),
        ],
    }


def projection(epsg: int, box: Sequence[float], outline: Shape) -> JsonObject:
    """The properties of an item that tell of its raster's CRS."""
    return {
        "proj:epsg": epsg,
        "proj:bbox": list(box),
        "proj:geometry": geojson(outline, f"urn:ogc:def:crs:EPSG::{epsg}"),
    }


def collection(source: Source, base: str) -> JsonObject:
    """A collection with its links."""
    place = f"{base}/collections/{quote(source.id)}"
    content = source.description()
    if isinstance(content.get("summaries"), dict):
        content = {**content, "summaries": _summaries(cast("JsonObject", content["summaries"]))}
    links: list[Json] = [
        link("root", base, JSON),
        link("self", place, JSON),
        link("parent", base, JSON),
        link("items", f"{place}/items", GEO_JSON),
        link(QUERYABLES_REL, f"{place}/queryables", SCHEMA_JSON),
    ]
    head: JsonObject = {"stac_version": STAC_VERSION, "type": "Collection", "id": source.id}
    return {**head, **content, "links": links}


def _summaries(summaries: JsonObject) -> JsonObject:
    """The document declares `min` and `max`, STAC and the document's examples the long names."""
    told: JsonObject = {}
    for name, value in summaries.items():
        if isinstance(value, dict) and "minimum" in value:
            value = {**value, "min": value["minimum"], "max": value["maximum"]}  # noqa: PLW2901
        told[name] = value
    return told


def queryables(source: Source, address: str) -> JsonObject:
    """The JSON Schema of what a collection's filters may name."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": address,
        "type": "object",
        "title": "Queryables for Catalog STAC API",
        "description": "Names that a filter of the item search may use.",
        "properties": source.queryables,
        "additionalProperties": False,
    }


def link(rel: str, href: str, media_type: str, **more: Json) -> JsonObject:
    """One link."""
    return {"rel": rel, "href": href, "type": media_type, **more}
