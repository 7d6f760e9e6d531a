"""
The steps of a flow: how a provider asks for things without doing them.

Where a provider needs the server it is a generator: it yields a step and is sent the reply. The
engine carries the steps out, writes every intent and every outcome, and throws a refusal into the
generator as an `ApiError`. `Inspect`, `Prepare` and `Write` are steps about files (`core.files`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import field
from typing import Any, TypeAlias, TypeVar

from shplan.core.entry import Event, Settlement
from shplan.core.errors import ApiError
from shplan.core.files import Inspect, Prepare, Write
from shplan.core.frozen import dataclass
from shplan.core.request import Answer, ApiRequest
from shplan.core.value import JsonObject, JsonValue

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
class PayAgain:
    """
    Be allowed to pay what the plan has not counted: a lost answer that is asked for once more.

    Reply: None, and it is counted from then on; or the budget of this apply that would be passed,
    in processing units.
    """

    pu: float


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
    | PayAgain
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
