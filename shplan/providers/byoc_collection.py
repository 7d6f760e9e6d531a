"""
`ByocCollection`: a collection of your own imagery (bring your own COG).

Facts: the API description's BYOC collection operations and the documentation's
BYOC page. Its tiles are the business of `ByocTiles`.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.change import FieldChange
from shplan.core.diagnostic import Diagnostic
from shplan.core.diff import with_changes
from shplan.core.request import ApiRequest, Effect
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object
from shplan.providers.byoc_collection_bands import (
    RULES,
    additional_data,
    is_added_band,
    judge_fields,
    with_defaults,
)
from shplan.providers.byoc_collection_checks import check_band_names, check_no_data
from shplan.providers.reconciled_api import MemberApi, ObjectApi
from shplan.providers.reconciled_provider import ObjectProvider

COLLECTIONS = "/byoc/v1/collections"
COLLECTION = "/byoc/v1/collections/{collectionId}"
TILES = "/byoc/v1/collections/{collectionId}/tiles"
_COLUMNS = ("id", "name", "s3Bucket", "created", "noData", "additionalData", "isConfigured")


# --- requests ------------------------------------------------------------------------------


def _list_tiles(collection: str) -> ApiRequest:
    return ApiRequest(
        "getByocCollectionTiles",
        "GET",
        TILES,
        Effect.READ,
        parameters={"collectionId": collection},
        columns=("id",),
    )


def _get(collection: str) -> ApiRequest:
    return ApiRequest(
        "getByocCollectionById",
        "GET",
        COLLECTION,
        Effect.READ,
        parameters={"collectionId": collection},
    )


def _post(body: Object) -> ApiRequest:
    return ApiRequest("createByocCollection", "POST", COLLECTIONS, Effect.CREATE, body=body)


def _delete_request(collection: str) -> ApiRequest:
    return ApiRequest(
        "deleteByocCollectionById",
        "DELETE",
        COLLECTION,
        Effect.DELETE,
        parameters={"collectionId": collection},
    )


def _put(
    spec: Object, collection: str, observed: Object, fields: tuple[FieldChange, ...]
) -> ApiRequest:
    """
    Build the update that changes these fields and erases nothing by silence.

    Everything else is sent as it was observed, what `ignoreChanges` lists included.
    Source: schema BYOCCollectionUpdatePayload: name and bucket are required, an omitted
    `noData` is deleted, omitted `additionalData` leaves the bands alone, a given one
    overwrites them.
    """
    before = with_defaults(observed)
    after = with_changes(before, fields, spec)
    body: Object = {"name": after["name"], "s3Bucket": after["s3Bucket"]}
    for name in RULES.cleared_by_silence():
        if after.get(name) is not None:
            body[name] = after[name]
    if any(change.path[0] == "additionalData" for change in fields):
        body["additionalData"] = additional_data(spec, before, after, fields)
    return ApiRequest(
        "updateByocCollectionById",
        "PUT",
        COLLECTION,
        Effect.UPDATE,
        parameters={"collectionId": collection},
        body=body,
    )


API = ObjectApi(
    kind="ByocCollection",
    noun="collection",
    rules=RULES,
    natural_key=("name", "s3Bucket"),
    key_words="name and bucket",
    listing=ApiRequest("getByocCollections", "GET", COLLECTIONS, Effect.READ, columns=_COLUMNS),
    get=_get,
    create=_post,
    update=_put,
    delete=_delete_request,
    as_compared=with_defaults,
    judge=judge_fields,
    members=MemberApi("tiles", _list_tiles, matter=is_added_band),
)


class ByocCollection(ObjectProvider):
    """The provider of the kind; see `byoc_collection_bands` for the rules of its fields."""

    def __init__(self) -> None:
        super().__init__(API)

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """Check what the schema cannot: band names, noData in one place only, names one may see."""
        return [
            *check_band_names(desired),
            *check_no_data(desired),
            *super().check(desired, tables),
        ]
