"""
What a job is: tasks on the server, the run that they belong to, and how they are found again.

A kind of job is declared by a `JobApi`; everything here is the same for all of them. A marker only
finds candidates: a task belongs to a run if its marker names the key and its echoed request gives
it (design, "Jobs"). Deciding is `job_decide`, carrying out `job_apply`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, cast

from shplan.core.acquisitions import Catalogue
from shplan.core.address import Address
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import ManifestError
from shplan.core.image_size import Sizing
from shplan.core.job_cost import Features
from shplan.core.key_format import deliveries_of, holds_key, put_key
from shplan.core.marker import Marker, read_marker, with_marker
from shplan.core.prices import PriceInput
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Desired, Receipt
from shplan.core.run_key import (
    RunInput,
    RunKey,
    key_of_echo,
    likeness,
    referred_files,
    run_key,
)
from shplan.core.runs import CREATE, RunRecord
from shplan.core.value import JsonObject, JsonValue, Object, Path, Value, is_known
from shplan.providers.base import (
    Absent,
    Binding,
    Fetch,
    Flow,
    Observation,
    Observed,
    Rows,
    Scan,
    Surroundings,
    Wait,
    Wanted,
)
from shplan.providers.job_tasks import TaskIndex
from shplan.providers.reconciled import read_or_none

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
            known; for an API without a list
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
        unfinished: a task that is gone and was started, as the files that it left say
        lost: where creating starts, ids of what was started and of which nothing tells what became;
            an empty one is that of a request whose answer was lost
        catalogue: what it says of acquisitions, where it was asked
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

    def attempt_of(self, task: Task) -> int:
        """Return which attempt a task is: a stopped one may have been started again."""
        known = {} if self.run is None else self.run.attempts
        counted = [number for number, one in known.items() if task.id in one.ids]
        marker = read_marker(task.description)
        return max(counted, default=1 if marker is None else marker.attempt)

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


def refresh_jobs(
    api: JobApi, wanted: tuple[Wanted, ...], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """
    Find the tasks of all these jobs by one list; none is asked for that has its receipt.

    Raises:
        ManifestError: a file that a request refers to can neither be read nor is its digest stated
    """
    digests = yield from file_digests(api, [one.desired for one in wanted])
    seeking: dict[Address, Sought] = {}
    for one in wanted:
        seeking[one.address] = _sought(api, one, digests, surroundings)
    open_ = [one for one in seeking.values() if one.is_open]
    if open_ and api.listing is None:
        from shplan.providers.job_unlisted import find_unlisted  # noqa: PLC0415 - few kinds

        yield from find_unlisted(api, open_, surroundings)
    elif open_:
        yield from _find(api, open_, surroundings)
    files = yield from _feature_files(api, open_)
    catalogue = yield from _acquisitions(api, wanted, seeking, surroundings)
    found: dict[Address, Observation] = {}
    for address, sought in seeking.items():
        evidence = sought.evidence
        if evidence is None and api.listing is not None:
            evidence = yield from _evidence(api, sought)
        view = JobView(
            sought.given,
            sought.key,
            sought.run,
            tuple(sorted(sought.tasks.values(), key=lambda task: task.age)),
            evidence,
            _features(api, sought, files),
            sought.unfinished,
            tuple(sought.lost),
            catalogue,
        )
        found[address] = _observation(view)
    return found


@dataclass(slots=True)
class Sought:
    """
    One job while its tasks are looked for.

    Args:
        recorded_id: what the ledger binds to the address for this key
        lost: as `JobView.lost`
    """

    given: RunInput | None
    key: RunKey | None
    run: RunRecord | None
    ids: frozenset[str]
    removed: bool
    tasks: dict[str, Task] = field(default_factory=dict)
    evidence: Receipt | None = None
    unfinished: str = ""
    recorded_id: str = ""
    lost: list[str] = field(default_factory=list)

    @property
    def is_unheard_of(self) -> bool:
        """Neither the ledger nor the server knows a task of it."""
        run = self.run
        known = run is not None and (
            run.receipt is not None or any(one.ids or one.ended for one in run.attempts.values())
        )
        return self.key is not None and not self.tasks and not known

    @property
    def is_open(self) -> bool:
        """Something about it can only be learnt from the server."""
        if self.removed:
            return bool(self.ids) and (self.run is None or self.run.receipt is None)
        if self.key is None:
            return False
        receipt = None if self.run is None else self.run.receipt
        # A partial one may have a later attempt, made by somebody else.
        return receipt is None or receipt.status != "DONE"

    def take_witness(self, receipt: Receipt | None, started: str) -> None:
        """Keep what counts most of what several tasks have left: the latest that finished."""
        if receipt is None:
            self.unfinished = self.unfinished or started
        elif self.evidence is None or (
            (receipt.status == "DONE", receipt.attempt)
            > (self.evidence.status == "DONE", self.evidence.attempt)
        ):
            self.evidence = receipt

    @property
    def lacks_intended(self) -> bool:
        """A create of ours may have made a task that no list has shown."""
        run = self.run
        return run is not None and any(
            not set(one.ids) & self.tasks.keys() and not one.ended and not run.is_settled(number)
            for number, one in run.attempts.items()
        )


def _sought(
    api: JobApi, one: Wanted, digests: Mapping[str, str], surroundings: Surroundings
) -> Sought:
    desired = one.desired
    if desired is None:
        recorded = "" if one.recorded is None else str(one.recorded.data.get("key", ""))
        run = surroundings.runs.get(recorded)
        own = "" if one.recorded is None else one.recorded.id
        return Sought(None, None, run, frozenset({own} - {""}), removed=True)
    if not is_known(desired.spec) or not is_known(desired.run):
        return Sought(None, None, None, frozenset(), removed=False)
    stated = desired.run.get("files")
    files = {
        url: str(stated[url]) if isinstance(stated, dict) and url in stated else digests[url]
        for url in referred_files(api.kind, api.api, desired.spec)
    }
    given = input_of(
        api, desired.spec, desired.run, deployment=surroundings.deployment, files=files
    )
    key = run_key(given)
    run = surroundings.runs.get(key.digest)
    bound = one.recorded
    return Sought(
        given,
        key,
        run,
        frozenset() if run is None else run.ids,
        removed=False,
        recorded_id=bound.id if bound and bound.data.get("key") == key.digest else "",
    )


def _find(api: JobApi, seeking: list[Sought], surroundings: Surroundings) -> Flow[None]:
    assert api.listing is not None, "there is a list"
    index = Index(api, seeking)
    yield Scan(api.listing, index.take)
    if surroundings.list_lag_s and any(one.lacks_intended for one in seeking):
        yield Wait(surroundings.list_lag_s, "an earlier create may not be listed yet")
        yield Scan(api.listing, index.take)
    for one in seeking:
        for task in sorted(one.ids - one.tasks.keys()):
            # Absence from a list is not absence.
            answer: Answer | None = yield from read_or_none(api.get(task))
            if answer is not None and isinstance(answer.body, dict):
                seen = api.task_of(answer.body)
                one.tasks[seen.id] = seen
    unheard = [one for one in seeking if one.is_unheard_of]
    if unheard:
        yield from _ask_witnesses(api, unheard, surroundings, listed=index.listed)


def _ask_witnesses(
    api: JobApi, seeking: list[Sought], surroundings: Surroundings, *, listed: set[str]
) -> Flow[None]:
    """
    Look whether a run lies in its bucket, of which neither the ledger nor the server knows.

    Both were lost: the copy of the request says which run it was, and the execution database that
    it was started. A copy alone is a task that was created, which is free.
    """
    from shplan.providers.job_outcome import heard_of  # noqa: PLC0415 - rarely needed
    from shplan.providers.job_witness import copies_below, place_of  # noqa: PLC0415

    places = {
        place_of(api, one.given, one.key)
        for one in seeking
        if one.given is not None and one.key is not None
    }
    known = listed.union(*(run.ids for run in surroundings.runs.values()))
    copies: tuple[Task, ...] = yield from copies_below(api, places, known=known)
    index = Index(api, seeking)
    for copy in copies:
        candidates = index.candidates(copy)
        # It may have been made since the list was read: absence from a list is not absence.
        answer: Answer | None = (yield from read_or_none(api.get(copy.id))) if candidates else None
        alive = api.task_of(answer.body) if answer and isinstance(answer.body, dict) else None
        for one in candidates:
            if alive is not None:
                one.tasks[alive.id] = alive
                continue
            assert one.given is not None, "it was found by its key"
            assert one.key is not None, "it was found by its key"
            marker = read_marker(copy.description)
            attempt = 1 if marker is None else marker.attempt
            receipt, started = yield from heard_of(
                api, one.given, one.key, task=copy.id, attempt=attempt
            )
            one.take_witness(receipt, copy.id if started else "")


class Index:
    """Hands each listed task to the job that it belongs to; everything else is dropped."""

    def __init__(self, api: JobApi, seeking: Iterable[Sought]) -> None:
        self._api = api
        self._by_id: dict[str, list[Sought]] = {}
        self._by_key: dict[str, list[Sought]] = {}
        self._unmarked: dict[str, _Deliverers] = {}
        self._short = ""
        self.listed: set[str] = set()
        for one in seeking:
            for task in one.ids:
                self._by_id.setdefault(task, []).append(one)
            if one.key is not None and one.given is not None:
                self._short = one.key.short
                self._by_key.setdefault(one.key.short, []).append(one)
                plain = not (one.given.generation > 1 or one.given.triggers or one.given.files)
                if plain or is_named_by_path(one.given):
                    place = put_key(api.delivery(one.given.request), one.key.short)
                    self._unmarked.setdefault(place, _Deliverers()).add(one, one.given, one.key)

    def take(self, rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        assert self._api.listing is not None, "there is a list"
        columns = self._api.listing.columns
        for row in rows:
            task = self._api.task_of(dict(zip(columns, row, strict=True)))
            self.listed.add(task.id)
            for one in self._by_id.get(task.id, ()):
                one.tasks[task.id] = task
            for one in self.candidates(task):
                one.tasks[task.id] = task

    def candidates(self, task: Task) -> list[Sought]:
        """Return the jobs that a task belongs to, as its marker and its request say."""
        marker = read_marker(task.description)
        if marker is not None:
            named = self._by_key.get(marker.key[: len(self._short)], ())
            return [
                one
                for one in named
                if one.given is not None
                and one.key is not None
                and belongs(task, one.given, one.key)
            ]
        if task.request is None:
            return []
        # Where results go is a part of the key, and costs nothing to compare.
        places = {self._api.delivery(cast("Object", task.request)), ""} & self._unmarked.keys()
        return [one for place in sorted(places) for one in self._unmarked[place].of(task.request)]


class _Deliverers:
    """Jobs that deliver to one place: an echo is keyed once for all that read it alike."""

    def __init__(self) -> None:
        self._alike: dict[str, tuple[RunInput, RunKey, dict[str, list[Sought]]]] = {}

    def add(self, one: Sought, given: RunInput, key: RunKey) -> None:
        alike = self._alike.setdefault(likeness(given, key=key.short), (given, key, {}))
        alike[2].setdefault(key.digest, []).append(one)

    def of(self, echo: JsonObject) -> Iterator[Sought]:
        for given, key, by_digest in self._alike.values():
            try:
                echoed = key_of_echo(echo, given, key=key.short)
            except ValueError:
                # An echo that cannot be keyed is another request.
                continue
            yield from by_digest.get(echoed.digest, ())


def _observation(view: JobView) -> Observation:
    if view.key is None and view.run is None and not view.tasks:
        return Absent()
    task = view.tasks[0].id if view.tasks else ""
    return Observed(task, {}, Binding.RECORDED if view.run else Binding.NATURAL_KEY, detail=view)


def view_of(observation: Observation) -> JobView:
    """Return what `refresh_jobs` has found."""
    detail = observation.detail if isinstance(observation, Observed) else None
    return detail if isinstance(detail, JobView) else JobView()


# --- files ---------------------------------------------------------------------------------


def bucket_and_key(url: str) -> tuple[str, str]:
    """Split `s3://bucket/key`; the bucket is empty for anything else."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return (bucket, key) if scheme == "s3" else ("", "")


def file_digests(api: JobApi, jobs: Iterable[Desired | None]) -> Flow[dict[str, str]]:
    """
    Read the files that requests refer to and whose digests nobody has stated.

    Raises:
        ManifestError: a file can neither be read nor is its digest stated
    """
    digests: dict[str, str] = {}
    missing: list[Diagnostic] = []
    for desired in jobs:
        if desired is None or not is_known(desired.spec):
            continue
        stated = desired.run.get("files")
        known = stated if isinstance(stated, dict) else {}
        for url in referred_files(api.kind, api.api, desired.spec):
            if url in known or url in digests:
                continue
            bucket, key = bucket_and_key(url)
            content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
            if content is None:
                missing.append(_unreadable(desired, url))
            else:
                digests[url] = hashlib.sha256(content).hexdigest()
    if missing:
        raise ManifestError(missing[0].what, diagnostics=tuple(missing))
    return digests


def _acquisitions(
    api: JobApi,
    wanted: tuple[Wanted, ...],
    seeking: Mapping[Address, Sought],
    surroundings: Surroundings,
) -> Flow[Catalogue]:
    """Ask the catalogue about the jobs that may be started, whose price depends on it."""
    if not surroundings.asks_catalogue:
        return Catalogue()
    from shplan.providers.acquisitions import ask_catalogue  # noqa: PLC0415 - not for every plan

    asked = []
    for one in wanted:
        sought, desired = seeking[one.address], one.desired
        started = any(task.phase is not Phase.WAITING for task in sought.tasks.values())
        if desired is None or desired.script is None or started or not one.priced:
            continue
        if sought.is_open or sought.key is None:
            request = api.in_common_words(desired.spec)
            asked.append(PriceInput(request, desired.script, surroundings.tables))
    return (yield from ask_catalogue(asked, now=surroundings.now))


def _feature_files(api: JobApi, seeking: Iterable[Sought]) -> Flow[dict[str, bytes]]:
    """Read the GeoPackages of jobs that may run, each once: their features decide the cost."""
    urls = {api.feature_file(one.given.request) for one in seeking if one.given is not None} - {""}
    contents: dict[str, bytes] = {}
    for url in sorted(urls):
        bucket, key = bucket_and_key(url)
        content: bytes | None = (yield Fetch(bucket, key)) if bucket else None
        if content is not None:
            contents[url] = content
    return contents


def _features(api: JobApi, one: Sought, files: Mapping[str, bytes]) -> tuple[Features, ...] | None:
    from shplan.providers.geopackage import read_features  # noqa: PLC0415 - rarely needed

    url = "" if one.given is None else api.feature_file(one.given.request)
    if one.given is None or url not in files:
        return None
    return read_features(files[url], api.sizing(one.given.request)) or None


def _unreadable(desired: Desired, url: str) -> Diagnostic:
    return Diagnostic(
        code="run/file",
        summary="Referenced file not identified",
        what=f"{desired.address} refers to {url}, which cannot be read from here.",
        why="What the file says is part of the run: without its digest nobody can tell whether it"
        " ran already.",
        hint=f'state it:\nrun:\n  files: {{"{url}": SHA256}}',
        span=desired.source.span(("spec",)),
        address=str(desired.address),
    )


def _evidence(api: JobApi, one: Sought) -> Flow[Receipt | None]:
    """
    Read how a task has ended that was started and is gone, from what it left in the bucket.

    A START without a receipt and without a task is never run again on a guess.
    """
    from shplan.providers.job_outcome import receipt_from_bucket  # noqa: PLC0415 - rarely needed

    run = one.run
    if run is None or one.given is None or one.key is None:
        return None
    for number in sorted(run.attempts, reverse=True):
        attempt = run.attempts[number]
        if attempt.ended or run.is_settled(number):
            continue
        for task in sorted(attempt.started - one.tasks.keys()):
            found: Receipt | None = yield from receipt_from_bucket(
                api, one.given, one.key, task=task, attempt=number
            )
            if found is not None:
                return found
    return None


__all__ = [
    "CREATE",
    "JobApi",
    "JobView",
    "Part",
    "Parts",
    "Phase",
    "Task",
    "belongs",
    "bucket_and_key",
    "file_digests",
    "in_description",
    "input_of",
    "refresh_jobs",
    "view_of",
]
