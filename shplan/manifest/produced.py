"""
References to the collection of a job that fills none: found offline, before anything is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shplan.core.diagnostic import Diagnostic
from shplan.core.resource import Desired
from shplan.core.value import Path, Reference, Unknown, Value
from shplan.providers.batch_collection_checks import fills_collection

KIND = "BatchProcess"
ATTRIBUTE = "collectionId"


def without_collection(resources: Sequence[Desired]) -> list[Diagnostic]:
    """Return what is wrong with references to the collections that jobs fill."""
    jobs = {one.address: one for one in resources if one.address.kind == KIND}
    found: dict[Diagnostic, None] = {}
    for desired in resources:
        for reference in desired.references:
            job = jobs.get(reference.address)
            if job is None or reference.path[:1] != (ATTRIBUTE,) or fills_collection(job.spec):
                continue
            path = next(_places(desired.spec, reference, ("spec",)), ("spec",))
            one = Diagnostic(
                "manifest/reference",
                "Reference to nothing",
                f"{desired.address.base} refers to `{ATTRIBUTE}` of {job.address.base}, which fills no"
                " collection.",
                "It would be found out when that job has run, and was paid.",
                "state `cogOutput: true` and `createCollection: true`, or a `collectionId`, in its"
                " `output`",
                desired.source.span(path),
                str(desired.address.base),
                related=(job.source.span(("spec", "output")),),
            )
            found[one] = None
    return list(found)


def _places(value: Value, reference: Reference, path: Path) -> Iterator[Path]:
    if isinstance(value, Unknown) and reference in value.references:
        yield path
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _places(one, reference, (*path, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _places(one, reference, (*path, index))


__all__ = ["without_collection"]
