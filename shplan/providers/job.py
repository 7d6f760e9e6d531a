"""
What a job is: tasks on the server, and the run that they belong to.

A kind of job is declared by a `JobApi`; everything here is the same for all of them. A marker only
finds candidates: a task belongs to a run if its marker names the key and its echoed request gives
it (design, "Jobs"). Finding them is `job_refresh`, deciding `job_decide`, carrying out `job_apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, cast

from shplan.core.acquisitions import Catalogue
from shplan.core.cost import Cost
from shplan.core.image_size import Sizing
from shplan.core.job_cost import Features
from shplan.core.key_format import holds_key
from shplan.core.key_tables import deliveries_of
from shplan.core.marker import Marker, read_marker, with_marker
from shplan.core.prices import PriceInput
from shplan.core.request import ApiRequest
from shplan.core.resource import Receipt
from shplan.core.run_key import RunInput, RunKey, key_of_echo
from shplan.core.runs import RunRecord
from shplan.core.value import JsonObject, JsonValue, Object, Path, Value
from shplan.providers.job_tasks import TaskIndex
from shplan.providers.observation import Observation, Observed
from shplan.providers.steps import Flow, Rows

if TYPE_CHECKING:
    from shplan.providers.job_outcome import Features as FeatureEnds
    from shplan.providers.job_outcome import Trace
    from shplan.providers.job_unlisted import Witnesses


class Phase(Enum):
    """Where a task stands, as far as money is concerned."""

    WAITING = "waiting"  # nothing is paid: it was created, perhaps analysed, and not started
    RUNNING = "running"  # it was started
    DONE = "done"
    PARTLY = "partly done"  # parts of it failed, and the service can do these again by themselves
    ENDED = "ended"  # failed or stopped


@dataclass(frozen=True, slots=True)
class Task:
    """
    One task as the server shows it.

    Args:
        created: ISO 8601, as the server said; with the id it orders the tasks of a run
        status: the server's own word
        analysed: the analysis is done, or under way
        percent: how much is processed, 0 to 100
        cost_pu: billed so far, None where the server does not say
        cause: the server's words on why it failed or was stopped
        acted: when a user last acted on it, ISO 8601, or empty
        restart_at: when a stopped task may be started again, ISO 8601; empty: half an hour after a
            user has stopped it
        account: whose it is, empty where the server does not say
        description: the free text that holds the marker
        request: the echo of the request, None where it was not asked for
        estimate_pu: what the service estimates it to cost, None before it has
        collection: id of the collection that the results fill, empty where there is none
    """

    id: str
    created: str
    phase: Phase
    status: str
    analysed: bool = False
    percent: float = 0.0
    cost_pu: float | None = None
    cause: str = ""
    acted: str = ""
    account: str = ""
    description: str = ""
    request: JsonObject | None = None
    estimate_pu: float | None = None
    collection: str = ""
    restart_at: str = ""

    @property
    def age(self) -> tuple[str, str]:
        """What everybody orders the tasks of one run by."""
        return (self.created, self.id)


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part of a task, as an API shows it that lists them: a tile.

    Args:
        name: what people know it by
        is_over: it was done, or it failed
        cause: why it failed, None where it did not
        cost_pu: what was billed for it
    """

    name: str
    is_over: bool
    cause: str | None = None
    cost_pu: float = 0.0


@dataclass(frozen=True, slots=True)
class Parts:
    """
    How an API lists the parts of a task.

    Args:
        listing: the request for those of one task, with the columns that `part_of` needs
        noun: what one is called
    """

    listing: Callable[[Value], ApiRequest]
    part_of: Callable[[Mapping[str, JsonValue]], Part]
    noun: str


@dataclass(frozen=True, slots=True)
class JobApi:
    """
    One API of tasks: its requests, and what its answers mean.

    Args:
        api: its version, as run keys name it
        listing: lists all tasks, with the columns that `task_of` needs; None where the API has none
        get, analyse, start, stop: the request for one task
        create: the request that makes one from a body
        task_of: reads a task from an object of the API
        delivery: the URL that results are delivered to, from a request body
        with_marker: the body with a marker where this API carries one
        skipping: the body of another attempt that leaves alone what is there already, None where
            the API has no such thing
        outcome_file: the name of the file that tells how a task has ended, in the root of its
            delivery; empty where there is none
        feature_file: the URL of the GeoPackage whose features are processed, or empty
        sizing: how large the rasters of those are
        price: what a request costs, None where that is not known
        copy_prefix: how the names of the copies of requests begin, which lie there as well
        copied_task: the task whose request a file is a copy of, by its name; empty for others
        again: does again what failed of a task that is partly done; None: only another task can
        delete: deletes a task of which nothing was processed; None where the API cannot
        stopped: the status of a task that was stopped
        resumes: a stopped task takes a START and goes on
        estimate: the cost that the service itself has estimated of a task, None before it has; None
            where it never does. One that does is waited for before START.
        parts: how the parts of a task are listed; None: `outcome_file` tells of them
        in_common_words: the request as the checks, the preview and the price read it
        starts_at_once: what is created runs and is paid: there is no `analyse`, `start` or `stop`
        overwrites: files that lie where results go are written over; the request does not fail
        beside: how the names end of files below a delivery that are no results
        features: how the features of a task ended, by its delivery and id, from files that lie
            there; None: from the execution database. The flow ends with None where they are unread
        trace: what the files of a task that is gone tell of it; None: `outcome_file` tells it
        witnesses: what lies in the bucket of requests whose ids nobody knows, by the ids that are
            known; None: only copies of requests tell of them
        shown: what a plan says of a request beside its cost, by the request and its key
    """

    kind: str
    api: str
    listing: ApiRequest | None
    get: Callable[[Value], ApiRequest]
    analyse: Callable[[Value], ApiRequest]
    start: Callable[[Value], ApiRequest]
    stop: Callable[[Value], ApiRequest]
    create: Callable[[Object], ApiRequest]
    task_of: Callable[[Mapping[str, JsonValue]], Task]
    delivery: Callable[[Object], str]
    with_marker: Callable[[Object, Marker], Object]
    skipping: Callable[[Object], Object | None]
    outcome_file: Callable[[str], str]
    feature_file: Callable[[Object], str]
    sizing: Callable[[Object], Sizing]
    price: Callable[[PriceInput], Cost | None]
    copy_prefix: str
    copied_task: Callable[[str], str]
    again: Callable[[Value], ApiRequest] | None = None
    delete: Callable[[Value], ApiRequest] | None = None
    stopped: str = "STOPPED"
    resumes: bool = True
    estimate: Callable[[Task], Cost | None] | None = None
    parts: Parts | None = None
    in_common_words: Callable[[Object], Object] = field(default=lambda request: request)
    starts_at_once: bool = False
    overwrites: bool = False
    beside: tuple[str, ...] = (".sqlite", ".gpkg", ".json")
    features: Callable[[str, str], Flow[FeatureEnds | None]] | None = None
    trace: Callable[[RunInput, RunKey, str], Flow[Trace | None]] | None = None
    witnesses: Callable[[RunInput, RunKey, AbstractSet[str]], Flow[Witnesses | None]] | None = None
    shown: Callable[[Object, str], tuple[str, ...]] | None = None

    @property
    def payment(self) -> str:
        """The operation of the request that is the payment."""
        paying = self.create({}) if self.starts_at_once else self.start("")
        return paying.operation

    def index(self, rows: Rows) -> TaskIndex:
        """Understand a whole reading of `listing`, once for all that have asked for it."""
        return TaskIndex(self, rows)


@dataclass(frozen=True, slots=True)
class JobView:
    """
    What a plan knows of one job.

    Args:
        given: what the key is made of, None while something of it is not known
        run: what the ledger knows of the key
        tasks: those that belong to the run, in the order of age
        evidence: how a task that is gone has ended, from the files that it left
        features: those of the file that the request names, None where it names none or it
            cannot be read
        around: where these features lie, as `input.bounds` says it, None where nobody knows
        unfinished: a task that is gone and was started, as the files that it left say
        lost: where creating starts, ids of what was started and of which nothing tells what became;
            an empty one is that of a request whose answer was lost
        catalogue: what it says of acquisitions, where it was asked
        files: what identifies each file that the request refers to
    """

    given: RunInput | None = None
    key: RunKey | None = None
    run: RunRecord | None = None
    tasks: tuple[Task, ...] = ()
    evidence: Receipt | None = None
    features: tuple[Features, ...] | None = None
    unfinished: str = ""
    lost: tuple[str, ...] = ()
    catalogue: Catalogue = field(default_factory=Catalogue)
    files: Mapping[str, Value] = field(default_factory=dict)
    around: Value = None

    def attempt_of(self, task: Task) -> int:
        """Return which attempt a task is: a stopped one may have been started again."""
        known = {} if self.run is None else self.run.attempts
        counted = [number for number, one in known.items() if task.id in one.ids]
        marker = read_marker(task.description)
        return max(counted, default=1 if marker is None else marker.attempt)

    @property
    def account(self) -> str:
        """Whose the tasks of this run are, as the server says; empty where it shows none."""
        return next((task.account for task in self.tasks if task.account), "")

    @property
    def latest(self) -> int:
        """The number of the latest attempt, 0 where there was none."""
        known = {} if self.run is None else self.run.attempts
        # One of which only the wish to create it is known may never have been.
        made = (number for number, one in known.items() if one.ids or one.ended)
        shown = (self.attempt_of(task) for task in self.tasks)
        return max((*made, *shown), default=0)

    def of_attempt(self, number: int) -> tuple[Task, ...]:
        """Return the tasks of one attempt, in the order of age."""
        return tuple(task for task in self.tasks if self.attempt_of(task) == number)


def input_of(
    api: JobApi,
    spec: Object,
    run: Mapping[str, Value],
    *,
    deployment: str,
    files: Mapping[str, str],
) -> RunInput:
    """Return what a run key is made of."""
    generation = run.get("generation", 1)
    triggers = run.get("triggers") or {}
    return RunInput(
        api.kind,
        api.api,
        deployment,
        spec,
        files=dict(files),
        generation=generation if isinstance(generation, int) else 1,
        triggers=cast("Object", triggers),
    )


def in_description(body: Object, marker: Marker) -> Object:
    """Return a body with a marker behind the text that people wrote of it."""
    description = body.get("description")
    text = description if isinstance(description, str) else ""
    return {**body, "description": with_marker(text, str(marker))}


def belongs(task: Task, given: RunInput, key: RunKey) -> bool:
    """
    Tell whether a task is one of this run.

    One without a marker counts as the first attempt of generation 1 without triggers, and never
    matches a request that refers to files: their content cannot be seen in an echo.
    """
    if task.request is None:
        return False
    marker = read_marker(task.description)
    unnamed = marker is None and not is_named_by_path(given)
    if unnamed and (given.generation != 1 or given.triggers or given.files):
        return False
    if marker is not None and not key.digest.removeprefix("sha256:").startswith(marker.key):
        return False
    try:
        echoed = key_of_echo(task.request, given, key=key.short)
    except ValueError:
        # An echo that cannot be keyed is another request.
        return False
    return echoed.digest == key.digest


def is_named_by_path(given: RunInput) -> bool:
    """Tell whether the key is in the delivery path, where it names a task as a marker does."""
    return any(
        holds_key(url)
        for path in deliveries_of(given.kind, given.api)
        for url in _urls(given.request, path)
    )


def _urls(request: Value, path: Path) -> Iterator[str]:
    """Yield the URLs of a place on S3 or on Google Cloud Storage."""
    for step in path:
        request = request.get(str(step)) if isinstance(request, dict) else None
    for place in request.values() if isinstance(request, dict) else ():
        url = place.get("url") if isinstance(place, dict) else None
        if isinstance(url, str):
            yield url


def view_of(observation: Observation) -> JobView:
    """Return what `refresh_jobs` has found."""
    detail = observation.detail if isinstance(observation, Observed) else None
    return detail if isinstance(detail, JobView) else JobView()


__all__ = [
    "JobApi",
    "JobView",
    "Part",
    "Parts",
    "Phase",
    "Task",
    "belongs",
    "in_description",
    "input_of",
    "is_named_by_path",
    "view_of",
]
