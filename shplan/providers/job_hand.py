"""
What one apply of a job has in hand, and the few things that all of its steps do with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from shplan.core.change import Action, Change
from shplan.core.cost import Cost
from shplan.core.cost_form import cost_of
from shplan.core.entry import Event, Result, Settlement
from shplan.core.key_format import put_key
from shplan.core.marker import Marker
from shplan.core.request import Answer
from shplan.core.run_key import RunInput, RunKey, run_key
from shplan.core.runs import RunRecord
from shplan.core.value import JsonObject, JsonValue, Object, Value, fill
from shplan.providers.base import ChangeFailedError, Settings
from shplan.providers.job import JobApi, Task, input_of
from shplan.providers.job_case import Options
from shplan.providers.reconciled import read_or_none, stated_record
from shplan.providers.steps import Flow, Note, RunMark

SLOWEST_POLL = 12


@dataclass(slots=True)
class Job:
    """
    What one apply of a job has in hand.

    Args:
        starts: this flow has sent START, so that the cost is this apply's
    """

    api: JobApi
    change: Change
    settings: Settings
    options: Options
    given: RunInput
    key: RunKey
    starts: bool = False

    @classmethod
    def of(cls, api: JobApi, change: Change, settings: Settings) -> Job:
        """Take a planned change in hand; its unknowns are filled by now."""
        run = cast("Object", change.current.get("run") or {})
        files = cast("dict[str, str]", change.current.get("files") or {})
        given = input_of(api, change.record, run, deployment=settings.deployment, files=files)
        return cls(api, change, settings, Options.of(run), given, run_key(given))

    def counted(self, known: RunRecord | None) -> RunRecord | None:
        """Return what the ledger knows of the run, without a receipt that is another account's."""
        account = self.change.current.get("account")
        return known.seen_by(account) if known is not None and isinstance(account, str) else known

    @property
    def mark(self) -> RunMark:
        """Which run and attempt every entry names."""
        return RunMark(self.key.digest, max(self.change.attempt, 1))

    @property
    def planned_task(self) -> str:
        """The task that the plan has shown, empty where it was to be made."""
        task = self.change.current.get("task")
        return task if isinstance(task, str) else ""

    @property
    def restarts(self) -> bool:
        """The plan has shown that a stopped task is started again, as an attempt of its own."""
        return self.change.action is Action.RUN and bool(self.planned_task)

    @property
    def estimate(self) -> Cost | None:
        """What the plan has estimated, for what it starts and for what it finds started."""
        found = self.change.current.get("estimate")
        return cost_of(cast("JsonObject", found)) if isinstance(found, dict) else None

    @property
    def delivery(self) -> str:
        """The URL that results go to, with the run key in it."""
        return put_key(self.api.delivery(self.given.request), self.key.short)

    def body(self) -> Object:
        """Return the body to send: marked, with the key where the manifest wants it."""
        marker = Marker(
            self.settings.project, self.change.address, self.key.short, self.mark.attempt
        )
        stated = cast("Object", self.change.requests[0].body)
        keyed = cast("Object", fill(stated, self._keyed))
        return self.api.with_marker(keyed, marker)

    def _keyed(self, leaf: Value) -> Value:
        return put_key(leaf, self.key.short) if isinstance(leaf, str) else leaf

    def learnt(self, **more: object) -> Settlement:
        """Return what every entry about this job repeats."""
        base = Settlement(
            Result.DONE,
            owned=True,
            spec=stated_record(self.change.record),
            prevent_destroy=self.change.prevent_destroy,
            # That it waits for its twin is this apply's matter, not the manifest's.
            depends_on=tuple(
                str(address)
                for address in self.change.depends_on
                if str(address) != self.change.current.get("sameRun")
            ),
            data={
                "key": self.key.digest,
                "onRemove": cast("JsonValue", self.change.current.get("onRemove", "keep")),
                "api": self.api.api,
            },
        )
        return replace(base, **more)  # type: ignore[arg-type]


def bind(job: Job, task: str) -> Flow[None]:
    """Record at this address which run is its own."""
    yield Note(Event.ADOPT, job.learnt(id=task))


def get_task(job: Job, task: str) -> Flow[Task]:
    """
    Read a task.

    Raises:
        ChangeFailedError: the server does not have it any more
    """
    answer: Answer | None = yield from read_or_none(job.api.get(task))
    if answer is None or not isinstance(answer.body, dict):
        message = f"task {task} is gone from the server; plan again"
        raise ChangeFailedError(message)
    return job.api.task_of(answer.body)


def outcome_of(job: Job, operation: str, settlement: Settlement) -> Note:
    """Return the note that settles this flow's latest intent."""
    return Note(Event.OUTCOME, settlement, operation=operation, run=job.mark)
