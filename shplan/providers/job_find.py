"""
Looking for the tasks of jobs: in one list for all of them, by id, and last of all in their buckets.

A marker only finds candidates; whether a task belongs to a run, `job.belongs` decides. Requests
that no API lists are looked for in `job_unlisted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import cast

from shplan.core.key_format import put_key
from shplan.core.marker import read_marker
from shplan.core.request import Answer
from shplan.core.resource import Receipt
from shplan.core.run_key import RunInput, RunKey, key_of_echo, likeness, run_key
from shplan.core.runs import RunRecord
from shplan.core.value import JsonObject, JsonValue, Object, Value, is_known
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.job import JobApi, Task, belongs, input_of, is_named_by_path
from shplan.providers.job_files import identified
from shplan.providers.reconciled import read_or_none
from shplan.providers.steps import Flow, Scan, Wait


@dataclass(slots=True)
class Sought:
    """
    One job while its tasks are looked for.

    Args:
        recorded_id: what the ledger binds to the address for this key
        request: what is asked for, perhaps with unknowns; None for what is removed
        files: what identifies each file that it refers to
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
    request: Object | None = None
    files: Mapping[str, Value] = field(default_factory=dict)

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


def sought_for(
    api: JobApi, one: Wanted, digests: Mapping[str, str], surroundings: Surroundings
) -> Sought:
    """Return what is looked for: by which key, and by the ids that the ledger knows."""
    desired = one.desired
    if desired is None:
        recorded = "" if one.recorded is None else str(one.recorded.data.get("key", ""))
        run = surroundings.runs.get(recorded)
        own = "" if one.recorded is None else one.recorded.id
        return Sought(None, None, run, frozenset({own} - {""}), removed=True)
    request, files = desired.spec, identified(api, desired, digests)
    if not is_known(request) or not is_known(desired.run):
        none = frozenset[str]()
        return Sought(None, None, None, none, removed=False, request=request, files=files)
    told = {url: str(digest) for url, digest in files.items()}
    given = input_of(api, request, desired.run, deployment=surroundings.deployment, files=told)
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
        request=request,
        files=files,
    )


def find_listed(api: JobApi, seeking: list[Sought], surroundings: Surroundings) -> Flow[None]:
    """Find the tasks of all these jobs by one list, and one GET for each that it does not show."""
    assert api.listing is not None, "there is a list"
    index = Index(api, seeking)
    yield Scan(api.listing, index.take)
    if surroundings.list_lag_s and any(one.lacks_intended for one in seeking):
        yield Wait(surroundings.list_lag_s, "an earlier create may not be listed yet")
        yield Scan(api.listing, index.take)
    for one in seeking:
        for task in sorted(one.ids - one.tasks.keys()):
            seen = yield from _living(api, task)
            if seen is not None:
                one.tasks[seen.id] = seen
    unheard = [one for one in seeking if one.is_unheard_of]
    if unheard:
        known = index.listed.union(*(run.ids for run in surroundings.runs.values()))
        yield from ask_witnesses(api, unheard, known=known, tables=surroundings.tables)


def ask_witnesses(
    api: JobApi,
    seeking: list[Sought],
    *,
    known: AbstractSet[str],
    tables: Mapping[str, JsonObject],
) -> Flow[None]:
    """
    Look whether a run lies in its bucket, of which neither the ledger nor the server knows.

    Both were lost: the copy of the request says which run it was, and the execution database that
    it was started. A copy alone is a task that was created, which is free. Where no copies are
    left, results in a place that the run key names show that it was started.

    Args:
        known: ids of tasks that the list or the ledger speaks of
        tables: as in `Surroundings`
    """
    if api.witnesses is not None:
        for one in seeking:
            yield from _ask_results(api, one, known=known)
        return
    from shplan.providers.job_outcome import heard_of  # noqa: PLC0415 - rarely needed
    from shplan.providers.job_parts import most_parts  # noqa: PLC0415
    from shplan.providers.job_witness import copies_below, place_of  # noqa: PLC0415

    places = {
        place_of(api, one.given, one.key)
        for one in seeking
        if one.given is not None and one.key is not None
    }
    copies: tuple[Task, ...] = yield from copies_below(api, places, known=known)
    index = Index(api, seeking)
    for copy in copies:
        candidates = index.candidates(copy)
        # It may have been made since the list was read.
        alive = (yield from _living(api, copy.id)) if candidates else None
        for one in candidates:
            if alive is not None:
                one.tasks[alive.id] = alive
                continue
            assert one.given is not None, "it was found by its key"
            assert one.key is not None, "it was found by its key"
            marker = read_marker(copy.description)
            attempt = 1 if marker is None else marker.attempt
            parts = most_parts(api, one.given.request, tables)
            receipt, started = yield from heard_of(
                api, one.given, one.key, task=copy.id, attempt=attempt, parts=parts
            )
            one.take_witness(receipt, copy.id if started else "")


def _ask_results(api: JobApi, one: Sought, *, known: AbstractSet[str]) -> Flow[None]:
    from shplan.providers.job_outcome import heard_of  # noqa: PLC0415 - rarely needed
    from shplan.providers.job_unlisted import UNKNOWN_ID, Witnesses  # noqa: PLC0415

    assert api.witnesses is not None, "asked of an API that has them"
    assert one.given is not None, "its key is known"
    assert one.key is not None, "its key is known"
    found: Witnesses | None = yield from api.witnesses(one.given, one.key, known)
    for witness in () if found is None else found.tasks:
        alive = None if witness.id == UNKNOWN_ID else (yield from _living(api, witness.id))
        if alive is not None and belongs(alive, one.given, one.key):
            one.tasks[alive.id] = alive
            continue
        receipt, started = yield from heard_of(api, one.given, one.key, task=witness.id, attempt=1)
        one.take_witness(receipt, witness.id if started else "")


def _living(api: JobApi, task: str) -> Flow[Task | None]:
    """Ask for a task that the list did not show: absence from a list is not absence."""
    answer: Answer | None = yield from read_or_none(api.get(task))
    alive = answer is not None and isinstance(answer.body, dict)
    return api.task_of(cast("JsonObject", answer.body)) if answer and alive else None


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


__all__ = ["Sought", "ask_witnesses", "find_listed", "sought_for"]
