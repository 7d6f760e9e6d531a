"""
Plans with Zarr and batch collections for the tests of views, as `job_plans`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.plan import Plan
from shplan.core.planner import assemble
from shplan.core.resource import Desired, Recorded
from shplan.core.value import JsonObject
from shplan.providers import batch_collection, zarr_collection
from shplan.providers.base import Wanted
from shplan.providers.observation import Absent, Binding, Observation, Observed
from shplan.providers.reconciled_api import ObjectApi
from shplan.providers.reconciled_decide import decide_object
from tests.support.bench import FlatSource
from tests.views.plans import ID, at, inputs

CUBE: JsonObject = {
    "name": "Soil",
    "s3Bucket": "cubes",
    "path": "soil/2025.zarr/",
    "crs": "EPSG:32633",
}
RESULTS: JsonObject = {"name": "NDVI of the farm", "s3Bucket": "results"}
REQUEST = "5d2d0e4c-3c5a-4d0b-8a36-6a3a2f4a7f10"


def decided(
    api: ObjectApi, label: str, applied: JsonObject, found: Observation, **stated: Any
) -> Change:
    address = Address(api.kind, label)
    desired = Desired(address, {**applied, **stated}, FlatSource())
    record = Recorded(address, id=ID, owned=True, spec=applied)
    (change, *_) = decide_object(api, Wanted(address, desired, record), found)
    return replace(change, source=at(4))


def seen(applied: JsonObject, *, users: tuple[str, ...] = (), **more: Any) -> Observed:
    return Observed(ID, {"id": ID, **applied, **more}, Binding.RECORDED, users=users)


def imports() -> Plan:
    """New; under way; failed; another CRS; another name; done, with an array left out."""
    api = zarr_collection.API
    failed = {"status": "FAILED", "ingestionErrors": "no Zarr group at soil/2025.zarr/"}
    left = {"status": "INGESTED", "ingestionErrors": "array quality: data type u1"}
    done = {"status": "INGESTED"}
    changes = (
        decided(api, "new", CUBE, Absent()),
        decided(api, "under-way", CUBE, seen(CUBE, status="INGESTING")),
        decided(api, "failed", CUBE, seen(CUBE, **failed)),
        decided(api, "moved", CUBE, seen(CUBE, **done), crs="EPSG:3035"),
        decided(api, "renamed", CUBE, seen(CUBE, **failed), name="Soil of the karst"),
        decided(api, "done", CUBE, seen(CUBE, **left)),
    )
    return Plan(inputs(), assemble(changes, moved={}))


def used() -> Plan:
    """Renamed; another bucket, while batch requests refer to it; another bucket, unused."""
    api = batch_collection.API
    held = seen(RESULTS, users=(REQUEST, "another"))
    changes = (
        decided(api, "renamed", RESULTS, seen(RESULTS), name="NDVI"),
        decided(api, "used", RESULTS, held, s3Bucket="elsewhere"),
        decided(api, "unused", RESULTS, seen(RESULTS), s3Bucket="elsewhere"),
    )
    return Plan(inputs(), assemble(changes, moved={}))


SCENES: dict[str, Callable[[], Plan]] = {
    "imports": imports,
    "collections-in-use": used,
}
