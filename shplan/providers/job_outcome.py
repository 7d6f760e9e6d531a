"""
How a task has ended, read from the files that the service leaves in the root of its delivery.

Source: documentation of Batch V2: the execution database `execution-<id>.sqlite` has a table
`features` with the columns `name`, `status` (PENDING, DONE, FATAL) and `error`; empty features are
DONE with a text.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from shplan.core.cost import Cost, pu_text, range_text
from shplan.core.cost_form import levels_json, terms_json
from shplan.core.errors import RefusedError
from shplan.core.key_format import put_key
from shplan.core.paths import is_template, template_root, with_minted
from shplan.core.resource import Receipt
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject, Object
from shplan.providers.databases import opened
from shplan.providers.job import JobApi, Part, Parts, Phase, Task
from shplan.providers.places import bucket_and_key, names_of
from shplan.providers.reconciled import stated_record
from shplan.providers.steps import Fetch, File, Flow, Look, Rows, Scan

# A receipt is read by people and by every later plan: the worst are named, all are counted.
MOST_NAMED = 100
# The service's words on a failure, as a file has them, are kept so long.
LONGEST_CAUSE = 500
# What a receipt says of features where the execution database could not be read.
UNREAD = "not read"
_CAUSES_TOLD = 3
_NAMES_TOLD = 3
_GONE = 404


@dataclass(frozen=True, slots=True)
class Features:
    """
    The features, or tiles, of a task: how many, how many are not finished, and why which failed.

    Args:
        cost_pu: what was billed for them, None where nobody says
    """

    total: int
    pending: int
    failed: Mapping[str, str] = field(default_factory=dict)
    cost_pu: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """
    What the files of a task tell of it, for those who ask after it is gone.

    Args:
        phase: DONE and ENDED are certain; RUNNING: it was started, and they tell no more
        features: how its features ended
        cost_pu: what was billed, None where the files do not say
        cause: why it failed
        whole: of how many parts every file lies there, where that is told by the files alone
    """

    phase: Phase
    features: Features = field(default_factory=lambda: Features(0, 0))
    cost_pu: float | None = None
    cause: str = ""
    whole: int = 0


def read_features(database: bytes) -> Features | None:
    """Read an execution database; None where it is none, or half written."""
    if not database:
        return None
    try:
        with opened(database) as read:
            rows = read.rows("select name, status, error from features order by name, id")
            found = [(str(name), str(status), str(error or "")) for name, status, error in rows]
    except sqlite3.Error:
        return None
    failed = {name: error for name, status, error in found if status == "FATAL"}
    pending = sum(1 for _, status, _ in found if status not in ("DONE", "FATAL"))
    return Features(len(found), pending, failed)


def told_cause(value: object) -> str:
    """Return what a file says of a failure as a text that a ledger can keep: short, and UTF-8."""
    return str(value)[:LONGEST_CAUSE].encode(errors="replace").decode()


def features_of(api: JobApi, delivery: str, task: str) -> Flow[Features | None]:
    """Read how the parts of a task have ended; None where nobody can say."""
    if api.parts is not None:
        return (yield from _listed_parts(api.parts, task))
    if api.features is not None:
        return (yield from api.features(delivery, task))
    bucket, root = bucket_and_key(template_root(with_minted(delivery, task)))
    if not bucket:
        return None
    name = api.outcome_file(task)
    key = f"{root.rstrip('/')}/{name}" if root.strip("/") else name
    content: bytes | None = yield Fetch(bucket, key)
    return None if content is None else read_features(content)


def _listed_parts(parts: Parts, task: str) -> Flow[Features | None]:
    """Add up what the list of a task's parts says; None where the task is gone."""
    request = parts.listing(task)
    seen: list[Part] = []

    def take(rows: Rows) -> None:
        seen.extend(parts.part_of(dict(zip(request.columns, row, strict=True))) for row in rows)

    try:
        yield Scan(request, take)
    except RefusedError as error:
        if error.status == _GONE:
            return None
        raise
    failed = {one.name: one.cause for one in seen if one.cause is not None}
    pending = sum(1 for one in seen if not one.is_over)
    return Features(len(seen), pending, failed, math.fsum(one.cost_pu for one in seen))


def outputs_of(api: JobApi, delivery: str, task: str) -> Flow[JsonObject]:
    """Say what lies where the results were delivered: counts where the bucket can be read."""
    beside = api.beside
    outputs: JsonObject = {"template": delivery}
    bucket, root = bucket_and_key(template_root(with_minted(delivery, task)))
    files: tuple[File, ...] | None = (yield Look(bucket, root)) if bucket else None
    if files is None:
        return outputs
    kept = [one for one in files if not one.key.endswith(beside)]
    if api.trace is not None:
        kept = _of_task(kept, delivery, task)
    outputs["files"] = len(kept)
    outputs["bytes"] = sum(one.size_bytes for one in kept)
    outputs["first"] = [
        {"key": one.key, "size": one.size_bytes, "etag": one.etag} for one in kept[:MOST_NAMED]
    ]
    return outputs


def _of_task(files: Sequence[File], delivery: str, task: str) -> list[File]:
    """Return what is this task's own: a template says every name, or the folder that holds them."""
    place = bucket_and_key(with_minted(delivery, task))[1].rstrip("/")
    if not is_template(delivery):
        own = f"{place}/{task}".lstrip("/")
        place = own if any(one.key.startswith(f"{own}/") for one in files) else place
    named = names_of(place)
    kept = [one for one in files if named.fit(one.key)]
    if kept or not place:
        return kept or [*files]
    return [one for one in files if named.hold(one.key)]


def receipt_of(
    given: RunInput,
    key: RunKey,
    *,
    task: Task,
    attempt: int,
    features: Features | None,
    outputs: JsonObject,
    estimate: Cost | None = None,
) -> Receipt:
    """Put a receipt together; what could not be read is said, never taken for success."""
    failed = {} if features is None else dict(features.failed)
    outputs = {**outputs, **_counted(features, task)}
    if (collection := _named_collection(given)) and not task.collection:
        outputs["collectionId"] = collection
    cost_pu = task.cost_pu
    if cost_pu is None and features is not None:
        cost_pu = features.cost_pu
    named = dict(sorted(failed.items())[:MOST_NAMED])
    if len(failed) > len(named):
        named["..."] = f"{len(failed) - len(named)} more"
    receipt = Receipt(
        key.digest,
        attempt,
        task.id,
        "PARTIAL" if failed or task.phase is Phase.PARTLY else "DONE",
        parts=key.parts,
        request=stated_record(cast("dict[str, object]", given.request)),  # type: ignore[arg-type]
        cost_pu=cost_pu,
        outputs=outputs if features is not None else {**outputs, "features": UNREAD},
        failed=named,
        account=task.account,
    )
    return estimated(receipt, estimate)


def estimated(receipt: Receipt, cost: Cost | None) -> Receipt:
    """Put what a run was estimated to cost beside what it has cost, term by term."""
    if cost is None:
        return receipt
    return replace(receipt, estimate_pu=cost.levels, estimate_terms=terms_json(cost.terms))


def billed_so_far(task: Task) -> str:
    """Say what a task that came to no good end has cost, nothing where the server does not say."""
    return f"; {pu_text(task.cost_pu)} PU were billed" if task.cost_pu else ""


def billed(receipt: Receipt) -> str:
    """Say what a run has cost, beside what it was estimated to cost."""
    actual = (
        "what was billed is not known"
        if receipt.cost_pu is None
        else f"{pu_text(receipt.cost_pu)} PU"
    )
    if receipt.estimate_pu is None:
        return actual
    return f"{actual} (estimated {range_text(receipt.estimate_pu)})"


def _named_collection(given: RunInput) -> str:
    """Return the collection that a request itself names, for a task that is gone."""
    output = given.request.get("output")
    stated = output.get("collectionId") if isinstance(output, dict) else None
    return stated if isinstance(stated, str) else ""


def _counted(features: Features | None, task: Task) -> JsonObject:
    """What is kept beside the files: the collection that was filled, and what a restart is about."""
    counted: JsonObject = {}
    if task.collection:
        counted["collectionId"] = task.collection
    if task.estimate_pu is not None:
        counted["valueEstimate"] = task.estimate_pu
    if features is not None and features.failed:
        counted["parts"], counted["failed"] = features.total, len(features.failed)
    if task.phase is Phase.PARTLY:
        # Another instant than this one says that somebody has restarted it since.
        counted["acted"] = task.acted
    return counted


def attributes_of(receipt: Receipt) -> Object:
    """Return what references to a job see once it has its receipt."""
    seen: Object = {"id": receipt.id, "key": receipt.key, "status": receipt.status}
    if receipt.cost_pu is not None:
        seen["costPu"] = receipt.cost_pu
    if receipt.estimate_pu is not None:
        seen["estimatePu"] = cast("Object", levels_json(receipt.estimate_pu))
    collection = receipt.outputs.get("collectionId")
    return {**seen, "collectionId": collection} if isinstance(collection, str) else seen


def failed_features(receipt: Receipt, api: JobApi) -> str:
    """Say how many features or tiles have failed."""
    counted = receipt.outputs.get("failed")
    number = counted if isinstance(counted, int) else len(receipt.failed)
    noun = "feature" if api.parts is None else api.parts.noun
    return f"1 {noun} failed" if number == 1 else f"{number:,} {noun}s failed"


def named_causes(receipt: Receipt) -> str:
    """Name those that failed first, each cause once."""
    by_cause: dict[str, list[str]] = {}
    for name, cause in receipt.failed.items():
        by_cause.setdefault(cause, []).append(name)
    told = []
    for cause, names in list(by_cause.items())[:_CAUSES_TOLD]:
        shown = ", ".join(names[:_NAMES_TOLD]) + (", ..." if len(names) > _NAMES_TOLD else "")
        told.append(f"{shown} ({cause})" if cause else shown)
    return "; ".join(told)


def heard_of(
    api: JobApi, given: RunInput, key: RunKey, *, task: str, attempt: int, parts: int = 0
) -> Flow[tuple[Receipt | None, bool]]:
    """
    Return the receipt of a task that finished, and whether it was started at all.

    Args:
        parts: how many it has at most; 0: nobody can say
    """
    delivery = put_key(api.delivery(given.request), key.short)
    trace: Trace | None = None
    if api.trace is not None:
        trace = _counted_whole((yield from api.trace(given, key, task)), parts)
        features: Features | None = None if trace is None else trace.features
    else:
        features = yield from features_of(api, delivery, task)
    if features is None:
        return None, False
    if features.pending or (trace is not None and trace.phase is not Phase.DONE):
        return None, True
    outputs = yield from outputs_of(api, delivery, task)
    cost = None if trace is None else trace.cost_pu
    gone = Task(task, created="", phase=Phase.DONE, status="DONE", cost_pu=cost)
    receipt = receipt_of(given, key, task=gone, attempt=attempt, features=features, outputs=outputs)
    return receipt, True


def _counted_whole(trace: Trace | None, parts: int) -> Trace | None:
    """Take a task for done that has delivered all the parts it can have."""
    if trace is None or trace.phase is not Phase.RUNNING or not 0 < parts <= trace.whole:
        return trace
    return replace(trace, phase=Phase.DONE, features=Features(trace.whole, 0))


def receipt_from_bucket(
    api: JobApi, given: RunInput, key: RunKey, *, task: str, attempt: int, parts: int = 0
) -> Flow[Receipt | None]:
    """Make the receipt of a task that is gone, if the files that it left say that it finished."""
    receipt, _ = yield from heard_of(api, given, key, task=task, attempt=attempt, parts=parts)
    return receipt
