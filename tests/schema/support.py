"""What the tests of the schemas share: the extract, the derivation with and without an overlay, the bodies of a real client."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema_rs

from shplan.schema import store
from shplan.schema.derive import Api, derive
from shplan.schema.make import described
from shplan.schema.overlays import OVERLAYS
from shplan.schema.tree import JsonValue, Schema, as_object

_BODIES = Path(__file__).with_name("client_bodies.json")


@cache
def extract() -> Schema:
    return described(store.root() / "source")


@cache
def derived(*, without: str = "") -> Api:
    return derive(extract(), [overlay for overlay in OVERLAYS if overlay.id != without])


def client_body(name: str) -> JsonValue:
    """Return a body exactly as the Python client made it."""
    return as_object(json.loads(_BODIES.read_bytes())["bodies"])[name]


def faults(schema: Schema, instance: JsonValue) -> list[str]:
    """Return `path: message` of every fault, formats checked."""
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    return sorted(
        "/".join(map(str, error.instance_path)) + ": " + error.message
        for error in validator.iter_errors(instance)
    )


def paths(schema: Schema, instance: JsonValue) -> list[str]:
    """Return the places of the faults."""
    return sorted({fault.partition(": ")[0] for fault in faults(schema, instance)})
