"""
The collections that a request can read, as far as their bands are known: the published table, what a manifest
declares of a collection of one's own, and what the service says of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject

MASK = "dataMask"
# Source: documentation, "BYOC" and "Zarr": all bands are read as DN, whatever they are called.
_OWN_UNITS = ("DN",)


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
        known: its bands are known; of one that is not read yet only its kind is
    """

    name: str
    bands: Mapping[str, tuple[str, ...]]
    complete: bool
    unless: Mapping[str, tuple[str, ...]]
    mosaicking: tuple[str, ...]
    known: bool = True

    def has(self, band: str, *, deployment: str = "") -> bool:
        """Tell whether there is a band, on a deployment where that is known."""
        if band == MASK:
            return True
        return band in self.bands and deployment not in self.unless.get(band, ())

    def units(self, band: str) -> tuple[str, ...]:
        """Return the units of a band; none are known of one that takes any."""
        return self.bands.get(band, ()) if self.known else _OWN_UNITS


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


def older_names(table: JsonObject) -> dict[str, str]:
    """Return the types of the public collections by their older names, of the same table."""
    return {
        alias: str(one["type"])
        for one in cast("list[JsonObject]", table["collections"])
        for alias in cast("list[str]", one["aliases"])
    }


# How data sets name collections of one's own, and what a script may ask of them. Source: documentation, "BYOC" and
# "Zarr": ORBIT is not supported for Zarr.
OWN: Mapping[str, tuple[str, ...]] = {
    "byoc-": ("SIMPLE", "ORBIT", "TILE"),
    "batch-": ("SIMPLE", "ORBIT", "TILE"),
    "zarr-": ("SIMPLE", "TILE"),
}


def own_prefix(kind: str) -> str:
    """Return how the name of a collection of one's own begins; empty for another collection."""
    return next((prefix for prefix in OWN if kind.startswith(prefix)), "")


def own(name: str, prefix: str, bands: tuple[str, ...]) -> Collection:
    """
    Return a collection of one's own.

    Args:
        prefix: how data sets name its kind, e.g. `byoc-`
        bands: empty where nobody knows them yet
    """
    units = dict.fromkeys(bands, _OWN_UNITS)
    return Collection(name, units, bool(bands), {}, OWN[prefix], known=bool(bands))
