"""
Collections of an account's own tiles in the catalogue.

A tile is an item from the moment of its ingestion until it is deleted or ingested anew. Source:
the BYOC page on the Catalog: the collection is `byoc-` and its identifier. A tile without sensing
time has the `datetime` null and, as STAC then asks, an interval: all of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from shplan.sandbox import byoc_rows as rows
from shplan.sandbox import geometry, sensed_tiles
from shplan.sandbox.catalog_area import plain, shape_of, touched
from shplan.sandbox.catalog_items import projection
from shplan.sandbox.catalog_time import shown
from shplan.sandbox.lifecycle import INGESTED
from shplan.sandbox.wire import decode_object, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from sqlite3 import Row

    from shplan.sandbox.byoc_rows import Collection
    from shplan.sandbox.catalog_area import SearchArea, Shape
    from shplan.sandbox.catalog_items import Place
    from shplan.sandbox.catalog_time import Span
    from shplan.sandbox.store import Store
    from shplan.sandbox.wire import Json, JsonObject

PREFIX = "byoc-"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_ALL_TIME = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
_CHUNK, _LARGEST_CHUNK = 250, 16_000


@dataclass(frozen=True, slots=True)
class TileItem:
    """A tile as an item."""

    bucket: str
    row: Row
    facts: JsonObject

    @property
    def id(self) -> str:
        """Identifier of the tile."""
        return str(self.row["id"])

    @property
    def place(self) -> Place:
        """Its key in the table of sensed tiles."""
        at_ms = self.at_ms
        return (sensed_tiles.TIMELESS if at_ms is None else at_ms), self.row["seq"]

    @property
    def at_ms(self) -> int | None:
        """The sensing time, if it has one."""
        return cast("int | None", self.row["sensing_ms"])

    def properties(self) -> JsonObject:
        """Time and raster; nothing else is known of a tile."""
        if self.at_ms is None:
            start, end = _ALL_TIME
            time: JsonObject = {"datetime": None, "start_datetime": start, "end_datetime": end}
        else:
            time = {"datetime": shown(self.at_ms)}
        epsg = cast("int", self.facts["epsg"])
        whole = cast("JsonObject", self.facts["tileGeometry"])
        box = geometry.bounds(whole)
        outline = geometry.projected(self._cover(), source=self._cover_epsg, target=epsg)
        sides = (box.west, box.south, box.east, box.north)
        return {**time, **projection(epsg, sides, plain(outline))}

    def shape(self) -> Shape:
        """The cover geometry."""
        moved = geometry.projected(self._cover(), source=self._cover_epsg, target=geometry.WGS84)
        return shape_of(moved)

    def asset(self) -> JsonObject:
        """Where the files lie; `(BAND)` stands for each band's."""
        path = quote(str(self.row["path"]), safe="/()!*'~$&+,;=:@")
        return {"href": f"s3://{self.bucket}/{path}", "title": "s3", "type": COG, "roles": ["data"]}

    @property
    def _cover_epsg(self) -> int:
        return geometry.WGS84 if self.row["cover"] is not None else cast("int", self.facts["epsg"])

    def _cover(self) -> JsonObject:
        if self.row["cover"] is not None:
            return decode_object(self.row["cover"])
        return cast("JsonObject", self.facts["coverGeometry"])


@dataclass(frozen=True, slots=True)
class ByocSource:
    """A collection of tiles as a collection of the catalogue."""

    store: Store
    stored: Collection

    @property
    def is_stored(self) -> bool:
        """In the store, which belongs to the loop."""
        return True

    @property
    def id(self) -> str:
        """Prefix and identifier."""
        return PREFIX + self.stored.id

    @property
    def first_ms(self) -> int:
        """The first sensing time that the metadata tells, else the time of creation."""
        told = self.stored.metadata.get("fromSensingTime")
        return parse_instant(told) if isinstance(told, str) else self.stored.created_ms

    @property
    def queryables(self) -> JsonObject:
        """None: the service documents no property of such items."""
        return {}

    @property
    def distincts(self) -> Mapping[str, Sequence[Json]]:
        """None beside `date`."""
        return {}

    def description(self) -> JsonObject:
        """What the collection's metadata tells; the whole world and all time until it does."""
        metadata = self.stored.metadata
        bbox: list[Json] = [-180.0, -90.0, 180.0, 90.0]
        if isinstance(metadata.get("extent"), dict):
            box = geometry.bounds(cast("JsonObject", metadata["extent"]))
            bbox = [box.west, box.south, box.east, box.north]
        interval = [metadata.get("fromSensingTime"), metadata.get("toSensingTime")]
        content: JsonObject = {
            "title": self.stored.name,
            "description": f"Tiles of the collection {self.stored.name}",
            "license": "proprietary",
            "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}},
        }
        if self.stored.bands:
            bands: list[Json] = [{"name": name} for name in self.stored.bands]
            content["summaries"] = {"eo:bands": bands}
        return content

    def search(
        self, area: SearchArea | None, span: Span, *, after: Place | None, skip: int
    ) -> Iterator[TileItem]:
        """Ingested tiles whose cover touches an area, the newest first."""
        if area is None or area.is_world:
            for row in self._rows(None, span, after, skip):
                yield self._item(row["seq"])
            return
        for row, is_certain in self._near(area, span, after):
            if is_certain and skip:
                skip -= 1
                continue
            tile = self._item(row["seq"])
            if not is_certain and not area.shape.intersects(tile.shape()):
                continue
            if skip:
                skip -= 1
                continue
            yield tile

    def _near(
        self, area: SearchArea, span: Span, after: Place | None
    ) -> Iterator[tuple[Row, bool]]:
        """Tiles whose box touches the area, and whether the box alone proves that they do."""
        chunk: list[Row] = []
        size = _CHUNK
        for row in self._rows(area, span, after, 0):
            chunk.append(row)
            if len(chunk) == size:
                yield from _sifted(area, chunk)
                # Most searches end within the first; the others have many to go through.
                chunk, size = [], min(2 * size, _LARGEST_CHUNK)
        if chunk:
            yield from _sifted(area, chunk)

    def _rows(
        self, area: SearchArea | None, span: Span, after: Place | None, skip: int
    ) -> Iterator[Row]:
        return sensed_tiles.listed(
            self.store,
            self.stored.seq,
            from_ms=span.from_ms,
            to_ms=span.to_ms,
            after=None if after is None else (after[0], int(after[1])),
            box=None if area is None else area.shape.bounds,
            skip=skip,
        )

    def _item(self, seq: int) -> TileItem:
        row = self.store.row("select * from tiles where coll = ? and seq = ?", self.stored.seq, seq)
        assert row is not None
        return TileItem(self.stored.bucket, row, decode_object(row["facts"]))

    def find(self, item_id: str) -> TileItem | None:
        """The tile of an identifier, if it is ingested."""
        row = rows.find_tile(self.store, self.stored.seq, item_id)
        if row is None or row["outcome"] != INGESTED:
            return None
        return TileItem(self.stored.bucket, row, decode_object(row["facts"]))


def _sifted(area: SearchArea, chunk: list[Row]) -> Iterator[tuple[Row, bool]]:
    boxes = [(row[3], row[4], row[5], row[6]) for row in chunk]
    for index, is_held in touched(area.shape, boxes):
        yield chunk[index], is_held


def listed(store: Store, *, account: str) -> list[ByocSource]:
    """All collections of an account, in the order of their creation."""
    found = store.rows("select * from collections where account = ? order by seq", account)
    return [ByocSource(store, rows.collection_of(row)) for row in found]
