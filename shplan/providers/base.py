"""
What a kind is, and how a provider asks for things without doing them.

A provider is pure. Where it needs the server it is a generator: it yields a
step (read, act, wait, note) and is sent the reply, so that reading, deciding
and acting stand in one place while all I/O, every intent and every outcome
belong to the engine. A refusal is thrown into the generator as an `ApiError`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from shplan.core.address import Address
from shplan.core.change import Change
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Event, Settlement
from shplan.core.errors import ApiError, ShplanError
from shplan.core.fields import FieldRules
from shplan.core.files import Inspect, Prepare, Write
from shplan.core.fingerprint import Fingerprint
from shplan.core.frozen import dataclass
from shplan.core.request import Answer, ApiRequest
from shplan.core.resource import Desired, Recorded
from shplan.core.runs import RunRecord
from shplan.core.value import JsonObject, JsonValue, Object, Path

if TYPE_CHECKING:
    from shplan.core.places import TakenPlaces
    from shplan.core.reading import Reading


class Nature(Enum):
    """How a kind lives: reconciled until equal, run once, read while planning, or only here."""

    RECONCILED = "reconciled"
    JOB = "job"
    DATA = "data"
    LOCAL = "local"


Row: TypeAlias = tuple[JsonValue, ...]
Rows: TypeAlias = tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """
    Send a request without effect. Reply: the `Answer`.

    Args:
        once: it is paid, so that planning again in one command is content with the first answer
    """

    request: ApiRequest
    once: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """
    Read all pages of a list, in pages of a hundred. Reply: the number of rows.

    Args:
        request: the list request, with `columns`, without paging parameters
        sink: is handed the rows of each page as it arrives
    """

    request: ApiRequest
    sink: Callable[[Rows], None]


@dataclass(frozen=True, slots=True)
class Survey:
    """
    Read a list that many ask for at once. Reply: what `index` made of its rows.

    All that ask the same may be answered by one reading that begins after all of them have asked:
    a thousand that watch read the list once, and understand it once.

    Args:
        request: the list request, with `columns`, without paging parameters
        index: makes of all rows what is looked up in them; of equal ones one is called
    """

    request: ApiRequest
    index: Callable[[Rows], object]


@dataclass(frozen=True, slots=True)
class Look:
    """
    List a bucket. Reply: a tuple of `File`, or None where the bucket cannot be read.

    Args:
        prefix: only keys that begin with it
    """

    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True)
class File:
    """One file in a bucket."""

    key: str
    size_bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read a file of a bucket. Reply: its bytes, or None where it is not there or not readable."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Have a run key for oneself until the change ends. Reply: the `RunRecord` of now, or None.

    Two addresses of one apply may turn out to be one run: the second waits, and then sees what the
    first has recorded.
    """

    key: str


@dataclass(frozen=True, slots=True)
class Together:
    """Read and scan side by side. Reply: the tuple of replies, an `ApiError` where one failed."""

    steps: tuple[Read | Scan, ...]


Reply: TypeAlias = Answer | ApiError


@dataclass(frozen=True, slots=True)
class Act:
    """
    Send requests with an effect, as one intent. Reply: a tuple of `Reply`, one a request.

    The engine writes the intent, sends, calls `settle` and writes the outcome; a process that
    dies in between leaves an intent that the next run looks up.

    Args:
        operation: `create`, `update`, `delete`, ...
        requests: at most a hundred
        settle: what the replies teach the ledger (pure)
        keys: natural keys of the members concerned, for a set
        data: what finds the object again after a crash
        run: the run key and the attempt, for a job
        writes: the files that the replies are, written before the outcome is: whoever dies in
            between finds them
    """

    operation: str
    requests: tuple[ApiRequest, ...]
    settle: Callable[[tuple[Reply, ...]], Settlement]
    keys: tuple[str, ...] = ()
    data: JsonObject = field(default_factory=dict)
    run: RunMark | None = None
    writes: Callable[[tuple[Reply, ...]], Write | None] | None = None


@dataclass(frozen=True, slots=True)
class RunMark:
    """Which run, and which attempt of it."""

    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Note:
    """
    Write an entry without sending anything. Reply: None.

    Args:
        event: ADOPT, RECEIPT, PROTECT, MOVE, FORGET, or OUTCOME to settle `intent`
        settlement: what is learnt
        intent: the intent that is settled, for OUTCOME; None: the flow's latest
        operation: which operation of a run it is about; `start` with ADOPT: it was started
        run: the run key and the attempt, for a job
    """

    event: Event
    settlement: Settlement | None = None
    intent: int | None = None
    data: JsonObject = field(default_factory=dict)
    operation: str = ""
    run: RunMark | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Let time pass. Reply: None.

    The ledger is let go of meanwhile. Others may act, and what they have done is read before
    anything is sent.

    Args:
        looks: what follows only looks how far something is, so that the ledger is not needed
            again before there is something to write
    """

    seconds: float
    reason: str
    looks: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Say how far the work is. Reply: None."""

    done: int
    total: int
    what: str


Step: TypeAlias = (
    Read
    | Scan
    | Survey
    | Look
    | Fetch
    | Inspect
    | Claim
    | Together
    | Act
    | Prepare
    | Write
    | Note
    | Wait
    | Progress
)
T = TypeVar("T")
# The reply's type follows the step's; each provider narrows it where it receives it.
Flow: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Observed:
    """
    What the server says of one address.

    Args:
        id: the server's id, empty for a set
        attributes: the object as answered, secret fields removed
        binding: how it was found
        members: number of members, None where nobody asked
        foreign_members: members that are not ours, None where nobody asked
        held: the fingerprint of the members, empty where there are none or nobody asked
        left: what a replacement left behind
        others: ids of other objects that have the wanted natural key
        users: ids of what refers to it and keeps it from being deleted, as far as anybody asked
        detail: what only this kind understands (the joined tiles of a set)
    """

    id: str
    attributes: Object
    binding: Binding
    members: int | None = None
    foreign_members: int | None = None
    held: str = ""
    left: LeftBehind | None = None
    others: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    detail: object = None


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """
    The object that a replacement replaced, which is still to be deleted.

    Args:
        id: the server's id
        exists: the server still has it
        members: how many it holds
        foreign_members: members that came after the replacement was planned
        held: the fingerprint of the members
        users: ids of what refers to it and keeps it from being deleted
    """

    id: str
    exists: bool
    members: int = 0
    foreign_members: int = 0
    held: str = ""
    users: tuple[str, ...] = ()


class Binding(Enum):
    """How an object was found: by the ledger, by an intent of ours, by its natural key, by hand."""

    RECORDED = "recorded"
    INTENT = "intent"
    NATURAL_KEY = "natural key"
    DECLARED = "declared"


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """
    Several objects fit and nothing tells which is ours: a person must decide.

    Args:
        rivals: other addresses without an id that name the same object
    """

    candidates: tuple[JsonObject, ...]
    rivals: tuple[Address, ...] = ()
    left: LeftBehind | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """
    No object fits.

    Args:
        gone: the ledger knew one and the server no longer has it
        others: ids of objects that have the natural key and belong to other addresses
    """

    gone: bool = False
    left: LeftBehind | None = None
    others: tuple[str, ...] = ()


Observation: TypeAlias = Observed | Absent | Ambiguous


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
