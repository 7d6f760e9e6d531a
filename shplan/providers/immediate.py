"""
Jobs that are answered at once: what they ask, and what lies where their answers go.

A kind is declared by an `ImmediateApi`; everything here is the same for all of them. There is no
task on the server, so nothing is listed: the ledger's receipt and the receipt file beside the answer
say what was done, and the files themselves whether it is still there. Deciding is
`immediate_decide`, asking and writing `immediate_apply`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from shplan.core.acquisitions import Catalogue
from shplan.core.address import Address
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic
from shplan.core.files import FileFound, Inspect
from shplan.core.prices import PriceInput
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Desired, Receipt, Recorded
from shplan.core.run_key import RunInput, RunKey, run_key
from shplan.core.runs import RunRecord
from shplan.core.value import JsonValue, Object, Value, is_known
from shplan.providers.answer_places import PlaceError, Places, Target, part_of
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.immediate_receipt import (
    LONGEST_BYTES,
    Kept,
    files_of,
    kept_of,
    read_receipt,
    written_by_us,
)
from shplan.providers.observation import Absent, Binding, Observation, Observed
from shplan.providers.steps import Flow

API: Final = "v1"


@dataclass(frozen=True, slots=True)
class Judged:
    """
    An answer that was read.

    Args:
        contents: its parts by name; under the empty name the whole of it
        status: `DONE`, or `PARTIAL` where some intervals failed
        failed: what failed, with its cause
    """

    contents: Mapping[str, bytes]
    status: str = "DONE"
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImmediateApi:
    """
    One API that answers at once.

    Args:
        places: reads `run.output`, by the request and the manifest's directory
        ask: the request for a body and its places
        judge: reads an answer; raises `BadAnswerError`
        content: the bytes of one file, from the parts of an answer, the request, and whose it is
        check: what is wrong with a request, offline
        price: what one request costs, None where nobody can say
        is_labelled: the files of a form say whose they are, so that two addresses have not the same
    """

    kind: str
    places: Callable[[Object, Value, str], Places]
    ask: Callable[[Object, Places], ApiRequest]
    judge: Callable[[Answer, Object, Places], Judged]
    content: Callable[[Mapping[str, bytes], Target, Object, str], bytes]
    check: Callable[[Desired], list[Diagnostic]]
    price: Callable[[PriceInput], Cost | None]
    is_labelled: Callable[[Target], bool]

    def label_of(self, target: Target, label: str) -> str:
        """Return the label that a file carries."""
        return label if self.is_labelled(target) else ""


@dataclass(frozen=True, slots=True)
class Twin:
    """Another address that asks for the same: its answer is this one's."""

    address: Address
    places: Places


@dataclass(frozen=True, slots=True)
class ImmediateView:
    """
    What a plan knows of one immediate job.

    Args:
        key: None while something of it is not known
        places: with the key in them; None while they are not known
        run: what the ledger knows of the key
        witness: what the receipt file beside the answer says, of whatever run
        witnesses: what it and those of others that ask the same say of this run
        found: what lies at its paths, and at those of others that hold the same
        ours: digests of what runs of ours have written, by path
        twins: other addresses with the same key
        problem: why the places are none, where an expression has made them so
        catalogue: what it says of acquisitions, where it was asked
    """

    key: RunKey | None = None
    places: Places | None = None
    run: RunRecord | None = None
    witness: Receipt | None = None
    witnesses: tuple[Receipt, ...] = ()
    found: Mapping[str, FileFound] = field(default_factory=dict)
    ours: Mapping[str, frozenset[str]] = field(default_factory=dict)
    twins: tuple[Twin, ...] = ()
    problem: str = ""
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def receipt(self) -> Receipt | None:
        """What is known of the answer: from the ledger, or else from files beside answers."""
        return latest(None if self.run is None else self.run.receipt, self.witnesses)


def latest(own: Receipt | None, witnesses: Iterable[Receipt]) -> Receipt | None:
    """Return the receipt of the latest attempt: the ledger's, unless a file knows of a later one."""
    every = (*(() if own is None else (own,)), *witnesses)
    return max(every, key=lambda one: one.attempt, default=None)


def label_of(address: Address) -> str:
    """Return what tables call the feature of an address: its key, or the resource's name."""
    return address.name if address.key is None else address.key


def directory_of(desired: Desired) -> str:
    """Return the directory of the manifest, below the project."""
    return posixpath.dirname(desired.source.span(("run", "output")).file)


def input_of(kind: str, spec: Object, run: Object, *, deployment: str) -> RunInput:
    """Put together what the run key of a job is made of; nothing of it may be unknown."""
    generation, triggers = run.get("generation", 1), run.get("triggers")
    return RunInput(
        kind=kind,
        api=API,
        deployment=deployment,
        request=spec,
        generation=generation if isinstance(generation, int) else 1,
        triggers=triggers if isinstance(triggers, dict | list) else (),
    )


# --- refreshing ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sought:
    """One declared job whose key is known."""

    wanted: Wanted
    key: RunKey
    places: Places
    run: RunRecord | None


def refresh_immediate(
    api: ImmediateApi, wanted: tuple[Wanted, ...], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """Look at the files of all these jobs; of the server only the catalogue may be asked."""
    sought: list[_Sought] = []
    views: dict[Address, ImmediateView] = {}
    for one in wanted:
        known = _sought(api, one, surroundings)
        if isinstance(known, _Sought):
            sought.append(known)
        else:
            views[one.address] = known
    found: Mapping[str, FileFound] = yield Inspect(*_asked(sought))
    more = tuple(dict.fromkeys(_elsewhere(sought, found)))
    if more:
        others: Mapping[str, FileFound] = yield Inspect(more)
        found = {**others, **found}
    ours = written_by_us(run.receipt for run in surroundings.runs.values())
    twins = _twins(sought)
    witnesses = _witnesses(sought, found)
    answered = {one.key for one in witnesses.values() if one is not None}
    unanswered = [one for one in sought if _is_open(one) and one.key.digest not in answered]
    catalogue = yield from _acquisitions(unanswered, surroundings)
    for job in sought:
        views[job.wanted.address] = ImmediateView(
            job.key,
            job.places,
            job.run,
            witnesses[job.wanted.address],
            witnesses_of(job.key.digest, job.wanted.address, twins[job.key.digest], witnesses),
            found,
            ours,
            tuple(twin for twin in twins[job.key.digest] if twin.address != job.wanted.address),
            catalogue=catalogue,
        )
    return {address: _observation(view) for address, view in views.items()}


def _acquisitions(sought: Iterable[_Sought], surroundings: Surroundings) -> Flow[Catalogue]:
    """Ask the catalogue about those that were never answered: their price depends on it."""
    if not surroundings.asks_catalogue:
        return Catalogue()
    from shplan.providers.acquisitions import ask_catalogue  # noqa: PLC0415 - not for every plan

    asked = [
        PriceInput(desired.spec, desired.script, surroundings.tables)
        for desired in (one.wanted.desired for one in sought if one.wanted.priced)
        if desired is not None and desired.script is not None
    ]
    return (yield from ask_catalogue(asked, now=surroundings.now))


def _is_open(one: _Sought) -> bool:
    return one.run is None or one.run.receipt is None


def _sought(api: ImmediateApi, one: Wanted, surroundings: Surroundings) -> _Sought | ImmediateView:
    desired = one.desired
    if desired is None or not is_known(desired.spec) or not is_known(desired.run):
        return ImmediateView()
    given = input_of(api.kind, desired.spec, desired.run, deployment=surroundings.deployment)
    key = run_key(given)
    run = surroundings.runs.get(key.digest)
    try:
        places = api.places(desired.spec, desired.run.get("output"), directory_of(desired))
        return _Sought(one, key, places.keyed(key.short), run)
    except PlaceError as error:
        # An expression has made it so; what stands in the file was checked offline.
        return ImmediateView(key, run=run, problem=error.what)


def _asked(sought: Iterable[_Sought]) -> tuple[tuple[str, ...], frozenset[str], int]:
    paths: dict[str, None] = {}
    witnesses = set()
    for one in sought:
        witnesses.add(one.places.witness)
        for path in one.places.paths:
            paths[path] = paths[part_of(path, one.key.short)] = None
    return tuple(paths), frozenset(witnesses), LONGEST_BYTES


def _elsewhere(sought: Iterable[_Sought], found: Mapping[str, FileFound]) -> Iterable[str]:
    """Yield where else the bytes may lie that are missing at a place."""
    for one in sought:
        # Those of others that ask the same in this project are looked at anyway.
        receipt = None if one.run is None else one.run.receipt
        if any(target.path not in found for target in one.places.targets):
            yield from (kept.path for kept in files_of(receipt) if kept.path not in found)


def _twins(sought: Iterable[_Sought]) -> dict[str, tuple[Twin, ...]]:
    twins: dict[str, tuple[Twin, ...]] = {}
    for one in sought:
        known = twins.get(one.key.digest, ())
        twins[one.key.digest] = (*known, Twin(one.wanted.address, one.places))
    return twins


def _witnesses(
    sought: Iterable[_Sought], found: Mapping[str, FileFound]
) -> dict[Address, Receipt | None]:
    return {one.wanted.address: read_receipt(_content(found, one.places.witness)) for one in sought}


def witnesses_of(
    key: str,
    address: Address,
    alike: Iterable[Twin],
    witnesses: Mapping[Address, Receipt | None],
) -> tuple[Receipt, ...]:
    """Return what the receipt files of all that ask the same say of this run, the own first."""
    order = (address, *(twin.address for twin in alike if twin.address != address))
    found = (witnesses.get(one) for one in order)
    return tuple(one for one in found if one is not None and one.key == key)


def _content(found: Mapping[str, FileFound], path: str) -> bytes | None:
    return found[path].content if path in found else None


def _observation(view: ImmediateView) -> Observation:
    if view.key is None:
        return Absent()
    binding = Binding.NATURAL_KEY if view.run is None else Binding.RECORDED
    return Observed("", {}, binding, detail=view)


def view_of(observation: Observation) -> ImmediateView:
    """Return what `refresh_immediate` has found."""
    detail = observation.detail if isinstance(observation, Observed) else None
    return detail if isinstance(detail, ImmediateView) else ImmediateView()


# --- files of an answer --------------------------------------------------------------------


def recorded_files(recorded: Recorded | None, key: str) -> tuple[Kept, ...]:
    """Return what the ledger says that an address has of a run."""
    if recorded is None or recorded.data.get("key") != key:
        return ()
    return kept_of(recorded.data.get("files"))


def expected(
    api: ImmediateApi, target: Target, known: Iterable[Kept], *, label: str
) -> Kept | None:
    """
    Return what must lie at a place, None where nobody has written just that yet.

    Args:
        known: what the ledger and the receipt file tell of, the address's own first
    """
    own = api.label_of(target, label)
    files = tuple(known)
    here = [one for one in files if one.path == target.path and one.form == target.form]
    alike = [one for one in files if one.fits(target, label=own)]
    return next(iter((*here, *alike)), None)


def source_of(
    api: ImmediateApi,
    target: Target,
    known: Iterable[Kept],
    found: Mapping[str, FileFound],
    *,
    label: str,
    key: str,
) -> Kept | None:
    """
    Return a file that holds what belongs to a place, or of which it can be made; None: there is none.

    The first choice is a part that an apply has left when it died; then the same file elsewhere, and
    for a table the answer itself.
    """
    files = tuple(known)
    wanted = expected(api, target, files, label=label)
    part = part_of(target.path, key)
    if wanted is not None and part in found and found[part].sha256 == wanted.sha256:
        return Kept(part, target.name, target.form, wanted.sha256, wanted.size_bytes)
    own = api.label_of(target, label)
    alike = [one for one in files if one.fits(target, label=own)]
    whole = [one for one in files if own and one.name == "" and one.form == "json"]
    return next(
        (one for one in (*alike, *whole) if one.path in found and _holds(found[one.path], one)),
        None,
    )


def _holds(found: FileFound, kept: Kept) -> bool:
    return found.sha256 == kept.sha256


def known_files(
    own: Iterable[Kept], receipt: Receipt | None, witnesses: Iterable[Receipt]
) -> tuple[Kept, ...]:
    """Return all files that are known to hold something of a run, the address's own first."""
    beside = (kept for one in witnesses for kept in files_of(one))
    return (*own, *beside, *files_of(receipt))


def as_json(places: Places) -> Object:
    """Return places as a change carries them from plan to apply."""
    return {
        "targets": [[one.name, one.path, one.form] for one in places.targets],
        "witness": places.witness,
    }


def places_from(value: Value) -> Places:
    """Read what `as_json` has made."""
    told = cast("dict[str, JsonValue]", value)
    targets = cast("list[list[str]]", told["targets"])
    return Places(tuple(Target(*one) for one in targets), str(told["witness"]))
