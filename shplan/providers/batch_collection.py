"""
`BatchCollection`: a collection that requests of Batch Processing V1 fill, and that requests read again.

Facts: the older reference of the batch API, and what the Python client 3.11.1 sends and reads. Its
bands and its tiling grid are those of the first request that fills it. Data sets name it as
`batch-<id>`.
"""

from __future__ import annotations

from typing import cast

from shplan.core.fields import FieldRule, FieldRules
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import Object
from shplan.providers.reconciled_api import Fields, ObjectApi, UserApi
from shplan.providers.reconciled_provider import ObjectProvider
from shplan.providers.steps import Row

COLLECTIONS = "/api/v1/batch/collections"
COLLECTION = "/api/v1/batch/collections/{collectionId}"
REQUESTS = "/api/v1/batch/process"
_COLUMNS = ("id", "name", "s3Bucket", "created", "batchData", "additionalData")
_REQUEST_COLUMNS = ("id", "status", "output.collectionId")
# Source: older batch reference, deleteBatchCollection: 409 while a request refers to it that has
# neither failed nor was cancelled.
_LETTING_GO = frozenset({"FAILED", "CANCELED"})
# Source: schema BatchCollectionUpdatePayload, whose only writable member is the name. What it
# leaves out is kept.
RULES = FieldRules({"s3Bucket": FieldRule(immutable="a batch collection keeps its bucket")})


# --- requests ------------------------------------------------------------------------------


def _get(collection: str) -> ApiRequest:
    return ApiRequest(
        "getSingleBatchCollectionById",
        "GET",
        COLLECTION,
        Effect.READ,
        parameters={"collectionId": collection},
    )


def _post(body: Object) -> ApiRequest:
    return ApiRequest("createNewBatchCollection", "POST", COLLECTIONS, Effect.CREATE, body=body)


def _put(spec: Object, collection: str, observed: Object, fields: Fields) -> ApiRequest:
    """Build the update: the name alone can be changed, and nothing else is cleared."""
    del fields
    return ApiRequest(
        "updateBatchCollection",
        "PUT",
        COLLECTION,
        Effect.UPDATE,
        parameters={"collectionId": collection},
        body={"name": spec.get("name", observed.get("name"))},
    )


def _delete(collection: str) -> ApiRequest:
    return ApiRequest(
        "deleteBatchCollection",
        "DELETE",
        COLLECTION,
        Effect.DELETE,
        parameters={"collectionId": collection},
    )


# --- what answers mean ---------------------------------------------------------------------


def _object_of(answer: Answer | None) -> Object | None:
    """Unwrap one collection: the client reads it in `data`, the older reference shows it bare."""
    body = None if answer is None else answer.body
    if not isinstance(body, dict):
        return None
    data = body.get("data")
    found = data if isinstance(data, dict) else body
    return cast("Object", found) if isinstance(found.get("id"), str) else None


def _used_by(row: Row) -> tuple[str, str] | None:
    request, status, collection = row
    if not isinstance(collection, str) or str(status) in _LETTING_GO:
        return None
    return (collection, str(request))


API = ObjectApi(
    kind="BatchCollection",
    noun="collection",
    rules=RULES,
    natural_key=("name", "s3Bucket"),
    key_words="name and bucket",
    listing=ApiRequest("getAllBatchCollections", "GET", COLLECTIONS, Effect.READ, columns=_COLUMNS),
    get=_get,
    create=_post,
    update=_put,
    delete=_delete,
    object_of=_object_of,
    contents=lambda collection: {
        name: collection.get(name) for name in ("batchData", "additionalData")
    },
    users=UserApi(
        "batch requests",
        listing=ApiRequest(
            "getAllBatchProcessRequests", "GET", REQUESTS, Effect.READ, columns=_REQUEST_COLUMNS
        ),
        used_by=_used_by,
        way_on="cancel or delete them, or let them deliver elsewhere; or list it under `forget`",
    ),
    # Source: documentation of processing units, which names BYOC and Zarr; nothing is said of these.
    call_pu=0.0,
)


class BatchCollection(ObjectProvider):
    """The provider of the kind."""

    def __init__(self) -> None:
        super().__init__(API)
