"""
A manifest against the schema of its kind.

jsonschema-rs judges, a whole document in one call; its errors carry enough (paths, limits, options) to
say in `explain` what is wrong. Unknown and secret values cannot be judged yet and never cause an error.
What no schema can say is in `meaning.py`.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from typing import TYPE_CHECKING, cast

from shplan.core.value import JsonValue, Path, Sensitive, Unknown, Value
from shplan.manifest.explain import explain
from shplan.manifest.versions import other_version
from shplan.manifest.violation import Violation
from shplan.schema.store import manifest_schema

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError


def violations(
    kind: str, document: Value, *, subject: str, fresh: Container[int]
) -> list[Violation]:
    """
    Return what the schema of a kind forbids in an evaluated document.

    Args:
        document: with unknowns and secrets in place
        subject: how to call the document in sentences, e.g. `ByocCollection/fields`
        fresh: ids of the containers that may hold unknowns and secrets
    """
    deferred: set[Path] = set()
    plain = _substitute(document, (), deferred, fresh)
    validator = _validator(kind)
    if validator.is_valid(plain):
        return []
    other = other_version(manifest_schema(kind), plain, subject)
    if other is not None:
        return [other]
    found = []
    for error in validator.iter_errors(plain):
        if not _excused(error, deferred):
            found += explain(error, manifest_schema(kind), plain, subject)
    return _without_echoes(found)


@cache
def _validator(kind: str) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # noqa: PLC0415 - loaded by who validates

    return Draft202012Validator(manifest_schema(kind), validate_formats=True)


def _substitute(value: Value, path: Path, deferred: set[Path], fresh: Container[int]) -> JsonValue:
    """Replace what is not known yet by a text of its own, and note where it stood."""
    if isinstance(value, Unknown | Sensitive):
        deferred.add(path)
        return f"deferred {len(deferred)}"
    if isinstance(value, dict | list) and id(value) in fresh:
        if isinstance(value, dict):
            return {
                key: _substitute(one, (*path, key), deferred, fresh) for key, one in value.items()
            }
        return [_substitute(one, (*path, at), deferred, fresh) for at, one in enumerate(value)]
    return cast(JsonValue, value)


def _excused(error: ValidationError, deferred: set[Path]) -> bool:
    """Tell whether an error may vanish once the values that it is about are known."""
    path = tuple(error.instance_path)
    if path in deferred:
        return True
    branches = getattr(error.kind, "context", None)
    if not branches:
        return False
    # A branch without errors holds as it is: nothing that is still unknown would change that.
    return any(branch and all(_excused(inner, deferred) for inner in branch) for branch in branches)


def _without_echoes(found: list[Violation]) -> list[Violation]:
    """Drop what follows from another violation at the same place, and repetitions."""
    forbidden = {one.path for one in found if one.code == "manifest/contradiction"}
    kept = [
        one
        for one in found
        if one.code == "manifest/contradiction"
        or not any(one.path[: len(path)] == path for path in forbidden)
    ]
    return list(dict.fromkeys(kept))
