"""
A scene: one acquisition as the catalogue lists it and as images are made of it.

What a mission has taken is a pure function of place and date, so nothing is stored: a catalogue
page and a pixel that are computed years apart agree. The missions stand in modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from shplan.sandbox.wire import JsonObject


@dataclass(frozen=True, slots=True)
class Scene:
    """
    One acquisition of one collection.

    Args:
        at_ms: instant of the acquisition, milliseconds since 1970
        footprint: where it has data, degrees, CRS84; a MultiPolygon that is cut at longitude
            180 where it crosses it
        epsg: CRS of its raster
        box: west, south, east, north of its raster, in that CRS
        outline: the footprint in that CRS
        properties: what the catalogue says of it beside `datetime`, `proj:*` and cloud cover
        href: where the product lies, an `s3://` address
    """

    id: str
    collection: str
    at_ms: int
    footprint: BaseGeometry
    epsg: int
    box: tuple[float, float, float, float]
    outline: BaseGeometry
    properties: JsonObject
    href: str


class Mission(Protocol):
    """A public collection: what it is, and what it has taken where and when."""

    @property
    def collection(self) -> str:
        """Identifier of the collection, e.g. `sentinel-2-l2a`."""

    @property
    def description(self) -> JsonObject:
        """
        The STAC collection without links: title, description, license, providers, extent,
        summaries.
        """

    @property
    def queryables(self) -> JsonObject:
        """Properties that filters take beside `id`, `datetime` and geometry: name to JSON Schema."""

    @property
    def distincts(self) -> frozenset[str]:
        """Names of which a search lists distinct values, beside `date`."""

    @property
    def has_clouds(self) -> bool:
        """Whether scenes have `eo:cloud_cover`."""

    def scenes(self, area: BaseGeometry | None, *, from_ms: int, to_ms: int) -> Iterator[Scene]:
        """
        Scenes that touch an area, the newest first, those of one instant by identifier.

        Lazy: the first are found without the rest. `area` is in degrees, none for the world; both
        instants belong to the range, and nobody asks for the future.
        """

    def find(self, scene_id: str) -> Scene | None:
        """The scene of an identifier, which says place and date by itself."""

    def cloud_cover(self, scene: Scene) -> float:
        """
        Percent of the footprint under cloud, to two digits.

        It is the mean of the cloud mask that the pixels of the scene have.
        """
