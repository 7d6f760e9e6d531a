"""
The collections that a request can read, as far as their bands are known without asking: the published table, and
what a manifest declares of a collection of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject

MASK = "dataMask"


@dataclass(frozen=True, slots=True)
class Collection:
    """
    A collection.

    Args:
        name: as a request names it, e.g. `sentinel-2-l2a`, or the address of what declares it
        bands: the units of each, the first of which is what a script gets that states none
        complete: there are no others
        unless: deployments that lack a band, by its name
        mosaicking: what a script may ask for
    """

    name: str
    bands: Mapping[str, tuple[str, ...]]
    complete: bool
    unless: Mapping[str, tuple[str, ...]]
    mosaicking: tuple[str, ...]

    def has(self, band: str, *, deployment: str = "") -> bool:
        """Tell whether there is a band, on a deployment where that is known."""
        if band == MASK:
            return True
        return band in self.bands and deployment not in self.unless.get(band, ())

    def units(self, band: str) -> tuple[str, ...]:
        """Return the units of a band; none are known of one that takes any."""
        return self.bands.get(band, ())


def published(table: JsonObject) -> dict[str, Collection]:
    """
    Read the table of the public collections, by type and alias.

    Source: schemas/tables/collections.json.
    """
    found: dict[str, Collection] = {}
    for one in cast("list[JsonObject]", table["collections"]):
        bands: dict[str, tuple[str, ...]] = {}
        unless: dict[str, tuple[str, ...]] = {}
        for group in cast("list[JsonObject]", one["bands"]):
            for name in cast("list[str]", group["names"]):
                bands[name] = tuple(cast("list[str]", group["units"]))
                unless[name] = tuple(cast("list[str]", group.get("unless", [])))
        collection = Collection(
            str(one["type"]),
            bands,
            bool(one["complete"]),
            {name: lacking for name, lacking in unless.items() if lacking},
            tuple(cast("list[str]", one["mosaicking"])),
        )
        for name in (str(one["type"]), *cast("list[str]", one["aliases"])):
            found[name] = collection
    return found


def declared(name: str, bands: tuple[str, ...]) -> Collection:
    """Return a collection of one's own. Source: documentation, "BYOC": all bands are read as DN."""
    return Collection(name, dict.fromkeys(bands, ("DN",)), True, {}, ("SIMPLE", "ORBIT", "TILE"))
