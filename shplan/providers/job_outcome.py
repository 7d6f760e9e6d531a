"""
How a task has ended, read from the files that the service leaves in the root of its delivery.

Source: documentation of Batch V2: the execution database `execution-<id>.sqlite` has a table
`features` with the columns `name`, `status` (PENDING, DONE, FATAL) and `error`; empty features are
DONE with a text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from shplan.core.key_format import put_key
from shplan.core.paths import template_root, with_minted
from shplan.core.resource import Receipt
from shplan.core.run_key import RunInput, RunKey
from shplan.core.value import JsonObject
from shplan.providers.base import Fetch, File, Flow, Look
from shplan.providers.job import JobApi, Phase, bucket_and_key
from shplan.providers.reconciled import stated_record

# A receipt is read by people and by every later plan: the worst are named, all are counted.
MOST_NAMED = 100
# The service's words on a failure, as a file has them, are kept so long.
LONGEST_CAUSE = 500
# What a receipt says of features where the execution database could not be read.
UNREAD = "not read"


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a task: how many, how many are not finished, and why which failed."""

    total: int
    pending: int
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """
    What the files of a task tell of it, for those who ask after it is gone.

    Args:
        phase: DONE and ENDED are certain; RUNNING: it was started, and they tell no more
        features: how its features ended
        cost_pu: what was billed, None where the files do not say
        cause: why it failed
    """

    phase: Phase
    features: Features = field(default_factory=lambda: Features(0, 0))
    cost_pu: float | None = None
    cause: str = ""


def read_features(database: bytes) -> Features | None:
    """Read an execution database; None where it is none, or half written."""
    if not database:
        return None
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(database)
        rows = connection.execute("select name, status, error from features order by name, id")
        found = [(str(name), str(status), str(error or "")) for name, status, error in rows]
    except sqlite3.Error:
        return None
    finally:
        connection.close()
    failed = {name: error for name, status, error in found if status == "FATAL"}
    pending = sum(1 for _, status, _ in found if status not in ("DONE", "FATAL"))
    return Features(len(found), pending, failed)


def told_cause(value: object) -> str:
    """Return what a file says of a failure as a text that a ledger can keep: short, and UTF-8."""
    return str(value)[:LONGEST_CAUSE].encode(errors="replace").decode()


def features_of(api: JobApi, delivery: str, task: str) -> Flow[Features | None]:
    """Fetch and read the execution database of a task; None where it cannot be read."""
    if api.features is not None:
        return (yield from api.features(delivery, task))
    bucket, root = bucket_and_key(template_root(with_minted(delivery, task)))
    if not bucket:
        return None
    name = api.outcome_file(task)
    key = f"{root.rstrip('/')}/{name}" if root.strip("/") else name
    content: bytes | None = yield Fetch(bucket, key)
    return None if content is None else read_features(content)


def outputs_of(api: JobApi, delivery: str, task: str) -> Flow[JsonObject]:
    """Say what lies where the results were delivered: counts where the bucket can be read."""
    beside = api.beside
    outputs: JsonObject = {"template": delivery}
    bucket, root = bucket_and_key(template_root(with_minted(delivery, task)))
    files: tuple[File, ...] | None = (yield Look(bucket, root)) if bucket else None
    if files is None:
        return outputs
    kept = [one for one in files if not one.key.endswith(beside)]
    outputs["files"] = len(kept)
    outputs["bytes"] = sum(one.size_bytes for one in kept)
    outputs["first"] = [
        {"key": one.key, "size": one.size_bytes, "etag": one.etag} for one in kept[:MOST_NAMED]
    ]
    return outputs


def receipt_of(
    given: RunInput,
    key: RunKey,
    *,
    task: str,
    attempt: int,
    features: Features | None,
    outputs: JsonObject,
    cost_pu: float | None,
    account: str = "",
) -> Receipt:
    """Put a receipt together; what could not be read is said, never taken for success."""
    failed = {} if features is None else dict(features.failed)
    named = dict(sorted(failed.items())[:MOST_NAMED])
    if len(failed) > len(named):
        named["..."] = f"{len(failed) - len(named)} more"
    return Receipt(
        key.digest,
        attempt,
        task,
        "PARTIAL" if failed else "DONE",
        parts=key.parts,
        request=stated_record(cast("dict[str, object]", given.request)),  # type: ignore[arg-type]
        cost_pu=cost_pu,
        outputs=outputs if features is not None else {**outputs, "features": UNREAD},
        failed=named,
        account=account,
    )


def failed_features(receipt: Receipt) -> str:
    """Say how many features have failed."""
    number = len(receipt.failed)
    return "1 feature failed" if number == 1 else f"{number} features failed"


def heard_of(
    api: JobApi, given: RunInput, key: RunKey, *, task: str, attempt: int
) -> Flow[tuple[Receipt | None, bool]]:
    """Return the receipt of a task that finished, and whether it was started at all."""
    delivery = put_key(api.delivery(given.request), key.short)
    trace: Trace | None = None
    if api.trace is not None:
        trace = yield from api.trace(given, key, task)
        features: Features | None = None if trace is None else trace.features
    else:
        features = yield from features_of(api, delivery, task)
    if features is None:
        return None, False
    if features.pending or (trace is not None and trace.phase is not Phase.DONE):
        return None, True
    outputs = yield from outputs_of(api, delivery, task)
    receipt = receipt_of(
        given,
        key,
        task=task,
        attempt=attempt,
        features=features,
        outputs=outputs,
        cost_pu=None if trace is None else trace.cost_pu,
    )
    return receipt, True


def receipt_from_bucket(
    api: JobApi, given: RunInput, key: RunKey, *, task: str, attempt: int
) -> Flow[Receipt | None]:
    """Make the receipt of a task that is gone, if its execution database says that it finished."""
    receipt, _ = yield from heard_of(api, given, key, task=task, attempt=attempt)
    return receipt
