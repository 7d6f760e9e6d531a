"""
The public collections in the catalogue: what missions have taken, computed when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shplan.sandbox.catalog_items import TooBroadError, projection
from shplan.sandbox.catalog_time import shown
from shplan.sandbox.scenes.missions import missions
from shplan.sandbox.wire import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shplan.sandbox.catalog_area import SearchArea, Shape
    from shplan.sandbox.catalog_items import Place
    from shplan.sandbox.catalog_time import Span
    from shplan.sandbox.scenes.scene import Mission, Scene
    from shplan.sandbox.wire import Json, JsonObject

# Our own bound: a search for what hardly ever happens may not go through the whole archive. All that
# was ever taken of a place and its surroundings is less.
MAX_SCENES = 8_000
CLOUD_COVER = "eo:cloud_cover"


@dataclass(frozen=True, slots=True)
class PublicItem:
    """A scene as an item."""

    mission: Mission
    scene: Scene

    @property
    def id(self) -> str:
        """Identifier of the scene."""
        return self.scene.id

    @property
    def place(self) -> Place:
        """Scenes of one instant are ordered by identifier."""
        return self.scene.at_ms, self.scene.id

    @property
    def at_ms(self) -> int | None:
        """Instant of the acquisition."""
        return self.scene.at_ms

    def properties(self) -> JsonObject:
        """What the mission says, with clouds and raster."""
        scene = self.scene
        content: JsonObject = {"datetime": shown(scene.at_ms), **scene.properties}
        if self.mission.has_clouds:
            content[CLOUD_COVER] = self.mission.cloud_cover(scene)
        return {**content, **projection(scene.epsg, scene.box, scene.outline)}

    def shape(self) -> Shape:
        """The footprint."""
        return self.scene.footprint

    def asset(self) -> JsonObject:
        """Where the product lies."""
        return {"href": self.scene.href, "title": "s3", "type": "inode/directory"}


@dataclass(frozen=True, slots=True)
class PublicSource:
    """A mission as a collection; nothing of it lies in the future."""

    mission: Mission
    now_ms: int

    @property
    def is_stored(self) -> bool:
        """Computed, so that it can be searched beside the loop."""
        return False

    @property
    def id(self) -> str:
        """Identifier of the collection."""
        return self.mission.collection

    @property
    def first_ms(self) -> int:
        """Where the temporal extent begins."""
        extent = cast(
            "dict[str, dict[str, list[list[str | None]]]]", self.mission.description["extent"]
        )
        begin = extent["temporal"]["interval"][0][0]
        return 0 if begin is None else parse_instant(begin)

    @property
    def queryables(self) -> JsonObject:
        """As the mission has them."""
        return self.mission.queryables

    @property
    def distincts(self) -> Mapping[str, Sequence[Json]]:
        """As the mission has them; the values from the queryables."""
        known = cast("dict[str, JsonObject]", self.mission.queryables)
        return {
            name: cast("list[Json]", known.get(name, {}).get("enum", []))
            for name in self.mission.distincts
        }

    def description(self) -> JsonObject:
        """As the mission has it."""
        return dict(self.mission.description)

    def search(
        self, area: SearchArea | None, span: Span, *, after: Place | None, skip: int
    ) -> Iterator[PublicItem]:
        """Scenes that touch an area, the newest first."""
        to_ms = self.now_ms if span.to_ms is None else min(span.to_ms, self.now_ms)
        from_ms = self.first_ms if span.from_ms is None else span.from_ms
        if after is not None:
            to_ms = min(to_ms, after[0])
        shape = None if area is None else area.shape
        if from_ms > to_ms:
            return
        looked_at = 0
        for scene in self.mission.scenes(shape, from_ms=from_ms, to_ms=to_ms):
            if after is not None and scene.at_ms == after[0] and scene.id <= str(after[1]):
                continue
            looked_at += 1
            if looked_at > MAX_SCENES:
                raise TooBroadError
            if looked_at > skip:
                yield PublicItem(self.mission, scene)

    def find(self, item_id: str) -> PublicItem | None:
        """The scene of an identifier, unless it lies in the future."""
        scene = self.mission.find(item_id)
        if scene is None or scene.at_ms > self.now_ms:
            return None
        return PublicItem(self.mission, scene)


def find(collection_id: str, *, now_ms: int) -> PublicSource | None:
    """The public collection of an identifier."""
    mission = missions().get(collection_id)
    return None if mission is None else PublicSource(mission, now_ms)


def listed(*, now_ms: int) -> list[PublicSource]:
    """All public collections."""
    return [PublicSource(mission, now_ms) for mission in missions().values()]
