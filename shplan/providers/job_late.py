"""
A run whose key is learnt while it is applied: what its bucket tells, which no plan has asked.

The plan looks into buckets for what neither the ledger nor the server knows, by the run key. Where a
job refers to what another change yields, that key is known no sooner than here.
"""

from __future__ import annotations

from shplan.core.entry import Event
from shplan.core.errors import UndecidedError
from shplan.core.runs import RunRecord
from shplan.providers.job import Phase, Task
from shplan.providers.job_find import Sought, ask_witnesses
from shplan.providers.job_hand import Job
from shplan.providers.job_tasks import TaskIndex
from shplan.providers.steps import Flow, Note, Survey


def heard_of_late(job: Job, known: RunRecord | None) -> Flow[list[Task]]:
    """
    Return the task whose traces lie in the bucket, its receipt written; none where none lies there.

    Raises:
        UndecidedError: it was started, and its files do not tell how it ended
    """
    assert job.api.listing is not None, "others are looked for in their buckets anyway"
    ids = frozenset() if known is None else known.ids
    one = Sought(job.given, job.key, known, ids, removed=False)
    if not one.is_unheard_of:
        return []
    listed: TaskIndex = yield Survey(job.api.listing, job.api.index)
    yield from ask_witnesses(job.api, [one], known=listed.ids | ids, tables={})
    if one.evidence is not None:
        receipt = one.evidence
        yield Note(Event.RECEIPT, job.learnt(id=receipt.id, receipt=receipt), run=job.mark)
        phase = Phase.DONE if receipt.status == "DONE" else Phase.PARTLY
        return [Task(receipt.id, "", phase, receipt.status, cost_pu=receipt.cost_pu)]
    if one.unfinished and not one.tasks:
        raise UndecidedError(_undecided(job, one.unfinished))
    return list(one.tasks.values())


def _undecided(job: Job, task: str) -> str:
    return (
        f"{job.change.address}: task {task} was started, it is gone from the server, and its bucket"
        " does not tell how it ended; its ledger is lost: recover that, or, to run and pay again,"
        " raise `run: {generation: ...}`"
    )


__all__ = ["heard_of_late"]
