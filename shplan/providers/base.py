"""
What a kind is: a provider, and what it may know while it decides and acts.

A provider is pure. Where it needs the server it is a generator of `steps`, so that
reading, deciding and acting stand in one place while all I/O, every intent and every
outcome belong to the engine. What it finds is an `observation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.errors import ShplanError
from shplan.core.fields import FieldRules
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.resource import Desired, Recorded
from shplan.core.runs import RunRecord
from shplan.core.value import JsonObject, Object, Path
from shplan.providers.observation import Observation
from shplan.providers.steps import Flow

if TYPE_CHECKING:
    from shplan.core.places import TakenPlaces
    from shplan.core.reading import Reading


class Nature(Enum):
    """How a kind lives: reconciled until equal, run once, read while planning, or only here."""

    RECONCILED = "reconciled"
    JOB = "job"
    DATA = "data"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    One address of a refresh.

    Args:
        desired: with everything filled that is known by now; None: to be deleted
        recorded: None when the ledger has no entry
        priced: its price is wanted, and what decides about it may be asked for
    """

    address: Address
    desired: Desired | None
    recorded: Recorded | None
    priced: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What an apply needs to know of its environment.

    Args:
        list_lag_s: how long a new object may be missing from lists, in seconds
        private_ledger: only this machine can see the ledger, so others may create the same
        reads_buckets: files in buckets can be looked at
        poll_s: the pause between two looks at something that takes time
        timeout_s: how long a wait may take before it is given up (exit 3)
        deployment: as run keys name it: the built-in name, else scheme, host and port
        project: the project's name, for markers
        waits_for_jobs: False with `--no-wait`: a job that was started is left running
        new_ledger: nothing is recorded yet, or any more: what an earlier run made is not known
        asks_catalogue: how many acquisitions a request reads is asked of the catalogue
    """

    deployment: str = "sandbox"
    project: str = ""
    waits_for_jobs: bool = True
    new_ledger: bool = False
    asks_catalogue: bool = False
    list_lag_s: float = 20.0
    private_ledger: bool = True
    reads_buckets: bool = False
    poll_s: float = 2.0
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a decision about one resource may know of the others.

    Args:
        bound_ids: objects that the ledger binds to an address; never candidates for another
        recorded_ids: what the ledger binds to the addresses of every kind
        own_members: ids of the members that are ours, by the id of what holds them
        left_members: what of ours a set has left in what this plan or an earlier one deletes
        doomed: ids of objects that this plan deletes, with everything they hold
        unconfirmed: ids of objects that were adopted, now or earlier, and never confirmed as ours
        objects: what was observed so far, by id
        declared: everything that the manifests declare, references unfilled
        attributes: what references see so far
        list_lag_s: how long a new object may be missing from lists
        runs: what the ledger knows of runs, by key
        changed: number of the ledger's entry of each address's last change
        places: where those have delivered to that have a receipt; None where there are none
        deployment: as run keys name it
        tables: published tables of the service by name, as data: `tiling-grids`
        now: the server's `Date`, ISO 8601 in UTC, empty before its first answer
        asks_catalogue: how many acquisitions a request reads may be asked of the catalogue
        readings: what data kinds gave while the manifests were loaded
        compares: what was known while loading, a pin for instance, is compared with the service
        changing: addresses that this plan changes, of those that were decided so far
    """

    bound_ids: Mapping[str, Address] = field(default_factory=dict)
    recorded_ids: Mapping[Address, str] = field(default_factory=dict)
    own_members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    left_members: Mapping[str, Fingerprint] = field(default_factory=dict)
    doomed: frozenset[str] = frozenset()
    unconfirmed: frozenset[str] = frozenset()
    objects: Mapping[str, Object] = field(default_factory=dict)
    declared: Sequence[Desired] = ()
    attributes: Mapping[Address, Object] = field(default_factory=dict)
    list_lag_s: float = 0.0
    runs: Mapping[str, RunRecord] = field(default_factory=dict)
    changed: Mapping[Address, int] = field(default_factory=dict)
    places: TakenPlaces | None = None
    deployment: str = "sandbox"
    tables: Mapping[str, JsonObject] = field(default_factory=dict)
    now: str = ""
    asks_catalogue: bool = False
    readings: Mapping[Address, Reading] = field(default_factory=dict)
    compares: bool = True
    changing: AbstractSet[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that the server refused, and where the manifest says it.

    Args:
        path: from the root of the manifest, e.g. `("spec", "tiles", 3, "sensingTime")`
        what: the server's words, without secrets
    """

    path: Path
    what: str


class ChangeFailedError(ShplanError):
    """A change could not be carried out, or not wholly; what was done is in the ledger."""

    def __init__(self, message: str, *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class StillRunningError(ShplanError):
    """What a change has started runs on, and this apply does not wait for it: no failure."""


class Provider(Protocol):
    """One kind. Everything here is pure; see the module's docstring for flows."""

    @property
    def kind(self) -> str:
        """The name in manifests and addresses."""
        ...

    @property
    def nature(self) -> Nature:
        """How it lives."""
        ...

    @property
    def rules(self) -> FieldRules:
        """The rules of its fields."""
        ...

    @property
    def natural_key(self) -> tuple[str, ...]:
        """The fields that name an object where no id is known."""
        ...

    @property
    def members_field(self) -> str | None:
        """The field below `spec` that holds a set's members, None for single objects."""
        ...

    @property
    def script_path(self) -> Path | None:
        """Where below `spec` an evalscript stands, None for a kind without one."""
        ...

    @property
    def text_field(self) -> str | None:
        """The field of `spec` that names the file which references to it stand for."""
        ...

    secret_fields: frozenset[str]

    def check(self, desired: Desired, tables: Mapping[str, JsonObject]) -> list[Diagnostic]:
        """
        Say what a schema cannot: rules between fields, offline.

        Args:
            tables: published tables of the service by name, as data: `tiling-grids`
        """
        ...

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Find the objects of all these addresses with the fewest requests that can answer."""
        ...

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """
        Compare three ways and plan: one change, and one for each object that an earlier
        replacement left behind.
        """
        ...

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see while planning; None while nothing is known."""
        ...

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Carry the change out; return the attributes that references see afterwards."""
        ...

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """
        Read the object that a person says is ours (`shplan import ADDRESS ID`).

        It sends nothing; what it notes beside is written before what it returns.

        Raises:
            ChangeFailedError: there is no such object
        """
        ...
