"""
Metadata: on which deployment a collection lives, and which bands it has.

Source: Metadata operations of the OpenAPI document, which know 401 and 404 only. A sandbox is one
deployment, that of the setting `location`, and its addresses lead to where they were asked for.
"""

# ruff: noqa: EM102, TRY003  the texts are answers, and functions make the errors

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeGuard, TypeVar, cast
from urllib.parse import urlsplit

from shplan.sandbox import batch_collection_rows, byoc_rows, zarr_rows
from shplan.sandbox.errors import not_found
from shplan.sandbox.routes.endpoint import Call, Operation, Reply, route
from shplan.sandbox.wire import decode_object, encode

if TYPE_CHECKING:
    from starlette.routing import Route

    from shplan.sandbox.wire import Json, JsonObject
    from shplan.sandbox.world import World

LOCATIONS = "/api/v1/metadata/location"
COLLECTIONS = "/api/v1/metadata/collection"


class Belonged(Protocol):
    """A collection of any kind."""

    @property
    def account(self) -> str:
        """Identifier of the account that it belongs to."""

    @property
    def created_ms(self) -> int:
        """When it was made."""


BelongedT = TypeVar("BelongedT", bound=Belonged)

# The bands of a kind's collection by name, with the sample type of each; none: no such collection
# of this account.
Lookup = Callable[[Call, str], "dict[str, str] | None"]


def routes(world: World) -> list[Route]:
    """The routes of the family: locations, and collections of each kind that there is."""
    table = {LOCATIONS: list_locations, f"{LOCATIONS}/{{location}}": get_location}
    for kind, lookup in LOOKUPS.items():
        table[f"{COLLECTIONS}/{kind}-{{collection}}"] = partial(
            get_collection, kind=kind, lookup=lookup
        )
    return [
        route(world, path, {"GET": Operation(handler)}, tells_tasks=False)
        for path, handler in table.items()
    ]


def list_locations(call: Call) -> Reply:
    """All deployments: this one."""
    return Reply(200, encode([_location(call)]))


def get_location(call: Call) -> Reply:
    """One deployment."""
    if call.params["location"] != call.settings.location:
        raise not_found(f"Location {call.params['location']} not found.")
    return Reply(200, encode(_location(call)))


def _location(call: Call) -> JsonObject:
    base = _base(call)
    name = call.settings.location
    return {
        "@id": f"{base}{LOCATIONS}/{name}",
        "id": name,
        "url": base,
        "wmsUrl": f"{base}/ogc/wms",
        "processUrl": f"{base}/api/v1/process",
        "catalogUrl": f"{base}/api/v1/catalog/1.0.0",
    }


def _base(call: Call) -> str:
    parts = urlsplit(call.url)
    return f"{parts.scheme}://{parts.netloc}"


def get_collection(call: Call, *, kind: str, lookup: Lookup) -> Reply:
    """One collection; what belongs to somebody else is not found."""
    collection_id = call.params["collection"].lower()
    bands = lookup(call, collection_id)
    if bands is None:
        raise not_found(f"Collection {kind}-{collection_id} not found.")
    told: list[Json] = [{"name": name, "sampleType": sample} for name, sample in bands.items()]
    content: JsonObject = {
        "@id": f"{_base(call)}{COLLECTIONS}/{kind}-{collection_id}",
        "id": collection_id,
        "location": _location(call),
        "datasetType": "custom",
        "bands": told,
    }
    return Reply(200, encode(content))


def sample_type(sample_format: str, bits: int) -> str:
    """The narrowest type of the document that holds all values of a band."""
    if sample_format == "UINT" and bits in (8, 16):
        return f"UINT{bits}"
    exact = bits < 32 or (sample_format == "FLOAT" and bits == 32)
    return "FLOAT32" if exact else "FLOAT64"


def bands_of(bands: Mapping[str, JsonObject]) -> dict[str, str]:
    """Sample types of configured bands; only where a setting allows it has one no format yet."""
    return {
        name: sample_type(str(band.get("sampleFormat", "UINT")), cast("int", band["bitDepth"]))
        for name, band in bands.items()
    }


def _is_mine(collection: BelongedT | None, call: Call) -> TypeGuard[BelongedT]:
    visible_ms = call.now_ms - round(call.settings.get_lag_s * 1000)
    return (
        collection is not None
        and collection.account == call.account
        and collection.created_ms <= visible_ms
    )


def _byoc(call: Call, collection_id: str) -> dict[str, str] | None:
    collection = byoc_rows.find_collection(call.store, collection_id)
    return bands_of(collection.bands or {}) if _is_mine(collection, call) else None


def _zarr(call: Call, collection_id: str) -> dict[str, str] | None:
    collection = zarr_rows.find(call.store, collection_id)
    if not _is_mine(collection, call):
        return None
    kinds = {"u": "UINT", "i": "INT", "f": "FLOAT"}
    arrays = zarr_rows.arrays_of(call.store, collection.seq)
    types = {name: str(content["dtype"])[1:] for name, content in arrays.items()}
    return {name: sample_type(kinds[one[0]], int(one[1]) * 8) for name, one in types.items()}


def _batch(call: Call, collection_id: str) -> dict[str, str] | None:
    collection = batch_collection_rows.find(call.store, collection_id)
    if not _is_mine(collection, call):
        return None
    bands = decode_object(collection.bands or "{}")
    return bands_of(cast("dict[str, JsonObject]", bands))


LOOKUPS: dict[str, Lookup] = {"batch": _batch, "byoc": _byoc, "zarr": _zarr}
