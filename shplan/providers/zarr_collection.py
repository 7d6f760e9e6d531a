"""
`ZarrCollection`: a Zarr group in a bucket of your own, imported so that requests can read its arrays.

Facts: the API description's Zarr operations and the documentation's page on Zarr import. Ingestion
begins by itself when a collection is created; until it has gone well nothing can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from shplan.core.change import FieldChange
from shplan.core.diagnostic import Diagnostic
from shplan.core.fields import FieldRule, FieldRules
from shplan.core.geometry import crs_code
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object
from shplan.providers.observation import Observed
from shplan.providers.reconciled_api import Fields, ObjectApi, PreparationApi, Stage
from shplan.providers.reconciled_provider import ObjectProvider

COLLECTIONS = "/zarr/v1/collections"
COLLECTION = "/zarr/v1/collections/{collectionId}"
REINGEST = "/zarr/v1/collections/{collectionId}/reingest"
_COLUMNS = (
    "id",
    "name",
    "s3Bucket",
    "path",
    "crs",
    "created",
    "status",
    "ingestionErrors",
    "envelope",
    "width",
    "height",
    "additionalData",
)
# Source: documentation of Zarr import: EPSG:4326, EPSG:3857, EPSG:3035 and the zones of UTM.
_CODES = frozenset({4326, 3857, 3035, *range(32601, 32661), *range(32701, 32761)})
_STAGES = {"INGESTED": Stage.READY, "FAILED": Stage.FAILED}
# Source: schema ZarrCollectionUpdatePayload, which has the name alone.
_STAYS = "an imported collection keeps its bucket, its path and its CRS"
RULES = FieldRules(
    {
        "s3Bucket": FieldRule(immutable=_STAYS),
        "path": FieldRule(immutable=_STAYS),
        "crs": FieldRule(immutable=_STAYS),
    }
)


# --- requests ------------------------------------------------------------------------------


def _get(collection: str) -> ApiRequest:
    parameters = {"collectionId": collection}
    return ApiRequest("getZarrCollection", "GET", COLLECTION, Effect.READ, parameters=parameters)


def _post(body: Object) -> ApiRequest:
    return ApiRequest("createZarrCollection", "POST", COLLECTIONS, Effect.CREATE, body=body)


def _put(spec: Object, collection: str, observed: Object, fields: Fields) -> ApiRequest:
    """Build the update: the name alone can be changed, and nothing else is cleared."""
    del fields
    return ApiRequest(
        "updateZarrCollectionById",
        "PUT",
        COLLECTION,
        Effect.UPDATE,
        parameters={"collectionId": collection},
        body={"name": spec.get("name", observed.get("name"))},
    )


def _delete(collection: str) -> ApiRequest:
    return ApiRequest(
        "deleteZarrCollectionById",
        "DELETE",
        COLLECTION,
        Effect.DELETE,
        parameters={"collectionId": collection},
    )


def _reingest(collection: str) -> ApiRequest:
    return ApiRequest(
        "reingestZarrCollectionById",
        "PUT",
        REINGEST,
        Effect.UPDATE,
        parameters={"collectionId": collection},
    )


# --- what answers mean ---------------------------------------------------------------------


def _stage(collection: Object) -> Stage:
    """Source: schema ZarrCollection: CREATED, INGESTING, then INGESTED or FAILED."""
    return _STAGES.get(str(collection.get("status")), Stage.UNDER_WAY)


def _cause(collection: Object) -> str:
    said = collection.get("ingestionErrors")
    return said if isinstance(said, str) else ""


def _bands(collection: Object) -> Object:
    additional = collection.get("additionalData")
    bands = additional.get("bands") if isinstance(additional, dict) else None
    return bands if isinstance(bands, dict) else {}


def _contents(collection: Object) -> Object:
    """Return what somebody may have imported since: arrays, and their extent in space."""
    extent = {name: collection.get(name) for name in ("envelope", "width", "height")}
    return {**extent, "bands": [*sorted(_bands(collection))]}


def _with_arrays(collection: Object) -> Object:
    """Add the names of its arrays, which are its bands, where references find them at once."""
    bands = _bands(collection)
    return {**collection, "bands": bands, "arrays": [*sorted(bands)]} if bands else collection


def _same_crs(fields: Fields, spec: Object, observed: Observed) -> Fields:
    """Take spellings of one CRS for the same: as EPSG code, as URN or as URL of the OGC."""
    del spec, observed
    return tuple(change for change in fields if not _is_respelled(change))


def _is_respelled(change: FieldChange) -> bool:
    before, after = change.before, change.after
    if change.path != ("crs",) or not isinstance(before, str) or not isinstance(after, str):
        return False
    return crs_code(before) == crs_code(after)


API = ObjectApi(
    kind="ZarrCollection",
    noun="collection",
    rules=RULES,
    natural_key=("name", "s3Bucket", "path"),
    key_words="name, bucket and path",
    listing=ApiRequest("getZarrCollections", "GET", COLLECTIONS, Effect.READ, columns=_COLUMNS),
    get=_get,
    create=_post,
    update=_put,
    delete=_delete,
    judge=_same_crs,
    attributes=_with_arrays,
    contents=_contents,
    preparation=PreparationApi(
        "ingestion",
        stage=_stage,
        cause=_cause,
        was_ready=lambda collection: bool(_bands(collection)),
        again=_reingest,
        way_on="Repair the group in the bucket, then apply: its ingestion is repeated.",
    ),
)


class ZarrCollection(ObjectProvider):
    """The provider of the kind."""

    def __init__(self) -> None:
        super().__init__(API)

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what the schema cannot: the form of the path, which CRS there are, names one may see."""
        return [*_check_path(desired), *_check_crs(desired), *super().check(desired, tables)]


# --- checks --------------------------------------------------------------------------------


def _check_path(desired: Desired) -> Iterator[Diagnostic]:
    # Source: schema ZarrCollection, `path`.
    path = desired.spec.get("path")
    if not isinstance(path, str):
        return
    bucket = re.match(r"s3://[^/]*/?", path)
    if bucket is None and path.endswith("/") and not path.startswith("/"):
        return
    meant = path[bucket.end() :] if bucket else path
    why = "The service takes the group as a prefix of keys: it ends with a slash and does not begin with one."
    yield Diagnostic(
        code="manifest/zarr-path",
        summary="Not the prefix of a group",
        what=f"`spec.path` of {desired.address} is {path!r}.",
        why=why if bucket is None else f"The bucket is `spec.s3Bucket`. {why}",
        hint=f"write `path: {meant.strip('/')}/`",
        span=desired.source.span(("spec", "path")),
        address=str(desired.address),
    )


def _check_crs(desired: Desired) -> Iterator[Diagnostic]:
    crs = desired.spec.get("crs")
    if not isinstance(crs, str):
        return
    code = crs_code(crs)
    if code.startswith("EPSG:") and code[5:].isdecimal() and int(code[5:]) in _CODES:
        return
    number = code.removeprefix("EPSG:")
    bare = number.isdecimal() and int(number) in _CODES
    yield Diagnostic(
        code="manifest/zarr-crs",
        summary="CRS that is not imported",
        what=f"`spec.crs` of {desired.address} is {crs!r}.",
        why="The service imports EPSG:4326, EPSG:3857, EPSG:3035 and the zones of UTM (EPSG:326xx, EPSG:327xx).",
        hint=f"write `crs: EPSG:{number}`" if bare else "state the CRS that the group is stored in",
        span=desired.source.span(("spec", "crs")),
        address=str(desired.address),
    )
