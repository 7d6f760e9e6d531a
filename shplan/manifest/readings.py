"""
What data kinds have given so far, while manifests are loaded: pinned, published, or just read.

Loading is a pure function of the files and of these answers. It is called again with the answers to what
it asked for, until it asks for no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic, Severity, SourceSpan
from shplan.core.reading import Reading
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Value, digest, is_known, printable, unknowns
from shplan.manifest.geodata import sentence
from shplan.manifest.pins import LOCK_FILE, Lock, LockError, Pin, parse_lock, sentence_of
from shplan.manifest.source import FileError, Files
from shplan.providers.data import PIN, DataProvider

Specs = Callable[[Address], tuple[DataProvider, Object] | None]


@dataclass(frozen=True, slots=True)
class Question:
    """
    What a data kind is asked.

    Args:
        desired: the resource, with unknowns where it needs what only the server knows
        reading: the answer, None while there is none
        pin: what of it would be pinned, None where something of it is not known
    """

    desired: Desired
    reading: Reading | None
    pin: JsonObject | None = None

    @property
    def address(self) -> Address:
        """Whose question it is."""
        return self.desired.address

    @property
    def digest(self) -> str:
        """The digest of the question, holes included."""
        return question_digest(self.desired.spec)

    @property
    def can_be_asked(self) -> bool:
        """The service is to say: it has no answer yet, and none is pinned."""
        return self.reading is None and self.desired.spec.get(PIN) is not True

    @property
    def is_asked(self) -> bool:
        """It can be asked now: nothing of it is unknown, and nothing has to be done first."""
        is_ready = is_known(self.desired.spec) and not self.desired.depends_on
        return self.can_be_asked and is_ready


def question_digest(spec: Object) -> str:
    """Return the digest of a question, unknowns by what they wait for."""
    return digest(cast("Value", printable(spec)))


class Readings:
    """
    The answers that one load works with.

    Args:
        given: what was read after earlier loads
        environment: the pins of which count
        pulling: what is pinned of this address, or of all its instances, does not count
        specs: the kind and the evaluated `spec` of a data resource, None where there is none
        tables: published tables of the service
    """

    def __init__(
        self,
        given: Mapping[Address, Reading],
        files: Files,
        *,
        environment: str,
        pulling: str,
        specs: Specs,
        tables: Mapping[str, JsonObject],
    ) -> None:
        self._given = given
        self._files = files
        self._environment = environment
        self._pulling = pulling
        self._specs = specs
        self._tables = tables
        self._lock: Lock | None = None
        self._known: dict[Address, tuple[Reading | None, Object | None]] = {}
        self.problem: Diagnostic | None = None

    def seen(self, address: Address) -> Object | None:
        """Return what a reference sees of a data resource, None while it is not read."""
        return self._both(address)[1]

    def reading(self, address: Address) -> Reading | None:
        """Return the answer itself."""
        return self._both(address)[0]

    def _both(self, address: Address) -> tuple[Reading | None, Object | None]:
        if address not in self._known:
            # Whoever asks for itself while it is evaluated is told later that this is a cycle.
            self._known[address] = (None, None)
            found = self._specs(address)
            if found is not None:
                kind, spec = found
                reading = self._reading(kind, address, spec)
                seen = None if reading is None else kind.seen(reading.content)
                self._known[address] = (reading, seen)
        return self._known[address]

    def _reading(self, kind: DataProvider, address: Address, spec: Object) -> Reading | None:
        asked = question_digest(spec)
        if kind.can_be_pinned and spec.get(PIN) is True:
            if self._pulling in (str(address), str(address.base)):
                return None
            pin = self.pin(address)
            if pin is None or not pin.is_whole or self.waits(spec):
                return None
            if pin.question != one_form(kind, spec):
                return None
            return Reading(asked, pin.content, asked=False)
        if is_known(spec):
            published = kind.offline(spec, self._tables)
            if published is not None:
                return Reading(asked, published, asked=False)
        given = self._given.get(address)
        return given if given is not None and given.question == asked else None

    def waits(self, value: Value) -> bool:
        """Tell whether something of a value is known when another data kind has been read."""
        addresses = {one.address for hole in unknowns(value) for one in hole.references}
        return any(self._specs(address) is not None for address in addresses)

    def pin(self, address: Address) -> Pin | None:
        """Return what the lock holds of an address; a lock that cannot be used is remembered."""
        return self.lock.pin(self._environment, address)

    @property
    def lock(self) -> Lock:
        """The lock of the project, empty where it has none; it is read when it is needed."""
        if self._lock is None:
            self._lock = Lock()
            try:
                self._lock = read_lock(self._files)
            except FileError as error:
                self._complain(sentence(error), 1, "")
            except LockError as error:
                self._complain(sentence_of(error), error.line, error.hint)
        return self._lock

    def _complain(self, what: str, line: int, hint: str) -> None:
        self.problem = Diagnostic(
            "manifest/lock",
            "Lock cannot be used",
            f"{LOCK_FILE} {what}",
            why="It holds what data kinds have found, so that the same manifests give the same plan.",
            hint=hint or f"take {LOCK_FILE} from the last good commit",
            span=SourceSpan(LOCK_FILE, line, 1, 2),
        )


def read_lock(files: Files) -> Lock:
    """
    Read the lock of a project, an empty one where there is none.

    Raises:
        FileError: it cannot be read
        LockError: it is none
    """
    path = files.root / LOCK_FILE
    if not path.exists():
        return Lock()
    return parse_lock(files.read_text(files.locate(LOCK_FILE, base=files.root)))


def one_form(kind: DataProvider, spec: Object) -> JsonObject:
    """Return a question in the form that a pin holds."""
    return cast("JsonObject", printable(cast("Value", kind.question(spec))))


def missing_pin(
    question: Question, pin: Pin | None, place: SourceSpan, *, environment: str
) -> Diagnostic:
    """Say that a pin is not there, or that of another question, and how to make it."""
    address = question.address
    command = f"shplan pull '{address}'" if address.key is not None else f"shplan pull {address}"
    summary = "Nothing is pinned"
    if pin is None:
        what = f"{address} says `pin: true`, and {LOCK_FILE} has no entry of it for environment {environment}."
        why = "A pin is taken on purpose, and committed: nothing else may choose what it holds."
    elif not pin.is_whole:
        summary = "Pin was edited"
        what = f"the entry of {address} in {LOCK_FILE} is not what was pulled: its digest differs."
        why = "What is pinned is what the service once said, and nothing else."
    else:
        summary = "Something else is pinned"
        names = _differing(pin.question, question.pin or {})
        what = f"{LOCK_FILE} holds what {address} has found for another question: {names} changed since."
        why = "What was found for one question is no answer to another."
    return Diagnostic(
        "manifest/pin",
        summary,
        what,
        why=why,
        hint=command,
        span=place,
        address=str(address.base),
    )


def known_later(address: Address, waits_for: tuple[Address, ...], place: SourceSpan) -> Diagnostic:
    """Say that instances are known only to who asks the service."""
    names = ", ".join(map(str, waits_for))
    return Diagnostic(
        "manifest/known-later",
        "Instances known while planning",
        f"the instances of {address} depend on {names}, which is read while planning.",
        why="What each of them says is checked then.",
        hint="shplan plan",
        span=place,
        address=str(address),
        severity=Severity.WARNING,
    )


def _differing(before: JsonObject, after: JsonObject) -> str:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return ", ".join(f"`{name}`" for name in names) or "it"
