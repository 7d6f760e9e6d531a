"""
A body that is another version's than `run.api` says: told once, in place of a fault for each field.
"""

from __future__ import annotations

from collections.abc import Iterator

from shplan.core.value import JsonValue
from shplan.manifest.schema_places import Schema, followed, properties
from shplan.manifest.violation import Violation


def other_version(schema: Schema, document: JsonValue, subject: str) -> Violation | None:
    """Tell that the fields of `spec` are those of another version of the API, None where they are not."""
    spec = document.get("spec") if isinstance(document, dict) else None
    run = document.get("run") if isinstance(document, dict) else None
    if not isinstance(spec, dict):
        return None
    stated = run.get("api") if isinstance(run, dict) else None
    for version, then, usual in _versions(schema):
        own, other = (then, usual) if stated == version else (usual, then)
        if spec.keys() <= own or not spec.keys() <= other:
            continue
        field = min(spec.keys() - own)
        if stated == version:
            told, hint = "of the usual version of the API", "leave `api` out of `run`"
        else:
            told = f"of version {version.removeprefix('v')} of the API"
            hint = f"write `run: {{api: {version}}}`; shplan migrate batch-{version} rewrites it"
        return Violation(
            ("spec", field),
            "manifest/version",
            "Body of another version",
            f"`spec` of {subject} is the body {told}.",
            f"`{field}` is a field of that one, and `run.api` says which it is.",
            hint,
            at_key=True,
        )
    return None


def _versions(schema: Schema) -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield each version that a condition names, its fields, and those of the usual one."""
    conditions = schema.get("allOf")
    for one in conditions if isinstance(conditions, list) else ():
        if not isinstance(one, dict):
            continue
        version: JsonValue = one.get("if")
        for step in ("properties", "run", "properties", "api", "const"):
            version = version.get(step) if isinstance(version, dict) else None
        if isinstance(version, str):
            yield version, _fields(schema, one.get("then")), _fields(schema, one.get("else"))


def _fields(schema: Schema, branch: JsonValue) -> set[str]:
    spec = properties(branch).get("spec") if isinstance(branch, dict) else None
    return set(properties(followed(schema, spec))) if isinstance(spec, dict) else set()


__all__ = ["other_version"]
