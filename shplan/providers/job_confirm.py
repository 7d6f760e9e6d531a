"""
`shplan import ADDRESS ID` for a job: a person says which task is this run.

A live task is believed if its echo gives the run key. For one that is gone the ledger must have
started it, for this address or this run; it then gets a receipt without a cost, because nobody can
say any more what it was billed. What has no receipt yet is noted as an attempt of the run: should the
service forget it, the ledger still says that it was started, or how it ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from shplan.core.entry import Event, Result, Settlement
from shplan.core.key_format import put_key
from shplan.core.marker import read_marker
from shplan.core.planner import dependencies
from shplan.core.prices import PriceInput
from shplan.core.request import Answer
from shplan.core.resource import Desired, Receipt
from shplan.core.run_key import RunInput, RunKey, run_key
from shplan.core.runs import START, RunRecord
from shplan.core.value import JsonObject, is_known
from shplan.providers.base import ChangeFailedError, Surroundings
from shplan.providers.job import JobApi, JobView, Phase, Task, belongs, input_of
from shplan.providers.job_files import feature_files, features_in, file_digests
from shplan.providers.job_outcome import estimated, features_of, outputs_of, receipt_of
from shplan.providers.reconciled import read_or_none, stated_record
from shplan.providers.steps import Flow, Note, RunMark


def confirm_job(
    api: JobApi, desired: Desired, confirmed: str, surroundings: Surroundings
) -> Flow[Settlement]:
    """
    Bind a task by its id.

    Raises:
        ChangeFailedError: nothing shows that it is this run
        ManifestError: a file that it refers to can neither be read nor is its digest stated
    """
    if not is_known(desired.spec):
        message = f"the key of {desired.address} is not known yet: apply what it depends on first"
        raise ChangeFailedError(message)
    stated = desired.run.get("files")
    files: dict[str, str] = yield from file_digests(api, (desired,))
    files |= cast("dict[str, str]", stated) if isinstance(stated, dict) else {}
    given = input_of(
        api, desired.spec, desired.run, deployment=surroundings.deployment, files=files
    )
    key = run_key(given)
    run = surroundings.runs.get(key.digest)
    if api.listing is None:
        settled = yield from _confirm_unlisted(api, desired, given, key, confirmed, run=run)
        task = Task(confirmed, "", Phase.DONE, "DONE")
        return (yield from _priced(api, desired, surroundings, settled, task=task))
    answer: Answer | None = yield from read_or_none(api.get(confirmed))
    if answer is not None and isinstance(answer.body, dict):
        task = api.task_of(answer.body)
        if not belongs(task, given, key):
            raise ChangeFailedError(_another(desired, given, task))
        settled = yield from _living(api, desired, given, key, task, run=run)
        return (yield from _priced(api, desired, surroundings, settled, task=task))
    if run is None or confirmed not in run.started:
        message = f"there is no task {confirmed}, and the ledger did not start one of that id"
        raise ChangeFailedError(message)
    attempt = max(number for number, one in run.attempts.items() if confirmed in one.ids)
    gone = Task(confirmed, "", Phase.DONE, "DONE")
    receipt = yield from _receipt(api, given, key, gone, attempt=attempt)
    settled = _settled(api, desired, key, confirmed, receipt)
    return (yield from _priced(api, desired, surroundings, settled, task=gone))


def _priced(
    api: JobApi, desired: Desired, surroundings: Surroundings, settled: Settlement, *, task: Task
) -> Flow[Settlement]:
    """Put beside a receipt what the run would be estimated to cost, with acquisitions assumed."""
    if settled.receipt is None or desired.script is None:
        return settled
    cost = None if api.estimate is None else api.estimate(task)
    if cost is None:
        files = yield from feature_files(api, (desired.spec,))
        asked = PriceInput(
            desired.spec,
            desired.script,
            surroundings.tables,
            features=features_in(api, desired.spec, files),
            deployment=surroundings.deployment,
        )
        cost = api.price(asked)
    return replace(settled, receipt=estimated(settled.receipt, cost))


def _another(desired: Desired, given: RunInput, task: Task) -> str:
    """Say why a task is not taken for this run."""
    told = f"task {task.id} asks for something else than {desired.address}"
    if given.files and read_marker(task.description) is None:
        told += ", or for another content of its files: without a marker nobody can tell"
    return told


def _confirm_unlisted(
    api: JobApi,
    desired: Desired,
    given: RunInput,
    key: RunKey,
    confirmed: str,
    *,
    run: RunRecord | None,
) -> Flow[Settlement]:
    """
    Bind a request that the service shows without what it asks for, or not at all any more.

    The ledger must have sent it, or one of which it does not know the id; or its copy must give the
    run key.
    """
    from shplan.providers.job_unlisted import Witnesses, seen_or_traced  # noqa: PLC0415

    assert api.witnesses is not None, "where nothing is listed, buckets are the witnesses"
    found: Witnesses | None = yield from api.witnesses(given, key, frozenset())
    copy = next((one for one in (found.tasks if found else ()) if one.id == confirmed), None)
    is_others = found is not None and confirmed in found.others
    if copy is not None and copy.request is not None:
        is_others = not belongs(copy, given, key)
    if is_others:
        message = f"request {confirmed} asks for something else than {desired.address}"
        raise ChangeFailedError(message)
    if copy is None and (run is None or not {confirmed, ""} & run.started):
        message = f"neither the ledger nor the bucket shows that {confirmed} is {desired.address}"
        raise ChangeFailedError(message)
    seen: Task | None = yield from seen_or_traced(api, given, key, confirmed)
    attempt = _attempt_of(confirmed, copy, run)
    if seen is not None and seen.phase is Phase.RUNNING:
        settled = _settled(api, desired, key, confirmed, None)
        yield _noted(settled, key, seen, attempt=attempt)
        return settled
    if seen is not None and seen.phase is Phase.ENDED:
        message = f"request {confirmed} failed: {seen.cause}"
        raise ChangeFailedError(message)
    gone = seen or Task(confirmed, "", Phase.DONE, "DONE")
    receipt = yield from _receipt(api, given, key, gone, attempt=attempt)
    return _settled(api, desired, key, confirmed, receipt)


def _attempt_of(task: str, copy: Task | None, run: RunRecord | None) -> int:
    marker = None if copy is None else read_marker(copy.description)
    known = {} if run is None else run.attempts
    fitting = [number for number, one in known.items() if {task, ""} & {*one.ids, *one.started}]
    return max(fitting, default=1 if marker is None else marker.attempt)


def _living(
    api: JobApi,
    desired: Desired,
    given: RunInput,
    key: RunKey,
    task: Task,
    *,
    run: RunRecord | None,
) -> Flow[Settlement]:
    attempt = JobView(run=run).attempt_of(task)
    if task.phase not in (Phase.DONE, Phase.PARTLY):
        settled = _settled(api, desired, key, task.id, None)
        yield _noted(settled, key, task, attempt=attempt)
        return settled
    receipt = yield from _receipt(api, given, key, task, attempt=attempt)
    return _settled(api, desired, key, task.id, receipt)


def _noted(settled: Settlement, key: RunKey, task: Task, *, attempt: int) -> Note:
    """Return the note that a task is an attempt of a run: that it was started, or how it ended."""
    paid = START if task.phase is Phase.RUNNING else ""
    if task.phase is Phase.ENDED:
        ended: JsonObject = {"ended": task.status, "cause": task.cause or "no cause given"}
        settled = replace(settled, data={**settled.data, **ended})
    return Note(Event.ADOPT, settled, operation=paid, run=RunMark(key.digest, attempt))


def _receipt(
    api: JobApi, given: RunInput, key: RunKey, task: Task, *, attempt: int
) -> Flow[Receipt]:
    delivery = put_key(api.delivery(given.request), key.short)
    features = yield from features_of(api, delivery, task.id)
    outputs = yield from outputs_of(api, delivery, task.id)
    return receipt_of(
        given,
        key,
        task=task,
        attempt=attempt,
        features=features,
        outputs=outputs,
    )


def _settled(
    api: JobApi, desired: Desired, key: RunKey, task: str, receipt: Receipt | None
) -> Settlement:
    data: JsonObject = {
        "key": key.digest,
        "onRemove": str(desired.run.get("onRemove", "keep")),
        "api": api.api,
    }
    return Settlement(
        Result.DONE,
        id=task,
        owned=True,
        spec=stated_record(desired.spec),
        prevent_destroy=desired.lifecycle.prevent_destroy,
        depends_on=tuple(str(address) for address in dependencies(desired)),
        data=data,
        receipt=receipt,
    )
