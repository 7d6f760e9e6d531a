"""
The default parts of data kinds: read while planning, or during apply where that is too early.

A data kind sends only requests without effect and the ledger knows nothing of it. What it gave while
manifests were loaded is handed back in the surroundings, so that one plan never sees two answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from typing import Any, ClassVar, TypeAlias, cast

from shplan.core.address import Address
from shplan.core.catalog_items import Difference
from shplan.core.change import Action, Change, Reason
from shplan.core.cost import Cost
from shplan.core.diagnostic import Diagnostic
from shplan.core.entry import Settlement
from shplan.core.errors import ApiError
from shplan.core.fields import FieldRules
from shplan.core.frozen import dataclass
from shplan.core.planner import dependencies
from shplan.core.reading import Reading
from shplan.core.resource import Desired
from shplan.core.value import JsonObject, Object, Path, Value, digest, is_known
from shplan.providers.base import ChangeFailedError, Nature, Settings, Surroundings, Wanted
from shplan.providers.observation import Absent, Binding, Observation, Observed
from shplan.providers.steps import Flow, Read, Step, Together

PIN = "pin"
Tables: TypeAlias = Mapping[str, JsonObject]
Outcome: TypeAlias = JsonObject | ApiError | ChangeFailedError


@dataclass(frozen=True, slots=True)
class Held:
    """What a plan goes on with, and how the service's answer differs from it."""

    content: JsonObject
    differs: tuple[str, ...] = ()


class DataProvider(ABC):
    """A kind that is only read. A subclass says how, and what references see of the answer."""

    kind: ClassVar[str]
    nature = Nature.DATA
    natural_key: tuple[str, ...] = ()
    members_field: str | None = None
    script_path: Path | None = None
    text_field: str | None = None
    secret_fields: frozenset[str] = frozenset()
    rules = FieldRules()
    # A manifest may say `pin: true`, and then `shplan.lock` has the answer.
    can_be_pinned: ClassVar[bool] = False
    # The attributes that references can see; None: whatever the service says.
    names: ClassVar[frozenset[str] | None] = None
    # The published tables that it reads.
    tables: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def check(self, desired: Desired, tables: Tables) -> list[Diagnostic]:
        """Say what a schema cannot: rules between fields, offline."""

    @abstractmethod
    def read(self, spec: Object, tables: Tables) -> Flow[JsonObject]:
        """
        Ask the service, with requests without effect.

        Args:
            spec: without unknowns

        Returns:
            the answer in its one form, which is what can be pinned

        Raises:
            ChangeFailedError: there is no such thing, or too much of it
        """

    @abstractmethod
    def seen(self, content: JsonObject) -> Object:
        """Return what references see of an answer."""

    def offline(self, spec: Object, tables: Tables) -> JsonObject | None:
        """Return the answer where it is known without asking anybody, else None."""
        del spec, tables
        return None

    def question(self, spec: Object) -> JsonObject:
        """Return what decides about the answer, in one form: two equal ones have one answer."""
        return cast("JsonObject", {name: spec[name] for name in sorted(spec) if name != PIN})

    def compared(self, known: JsonObject, answer: JsonObject) -> tuple[str, ...]:
        """Say how the service's answer differs from what is pinned, or published."""
        del known, answer
        return ()

    def body(self, spec: Object) -> Object:
        """Return what is sent, for people who want to see it."""
        return {name: value for name, value in spec.items() if name != PIN}

    def difference(self, before: JsonObject, after: JsonObject) -> Difference:
        """Return what one answer has and another has not."""
        del before, after
        return Difference()

    def count(self, content: JsonObject) -> int:
        """Return of how many things an answer is made."""
        del content
        return 1

    def told(self, content: JsonObject) -> tuple[str, ...]:
        """Say what an answer comes to, in a few words."""
        del content
        return ()

    def price(self, spec: Object, content: JsonObject) -> Cost:
        """Return what it costs to read an answer, which every command that does so pays."""
        del spec, content
        return Cost()

    # --- the provider ------------------------------------------------------------------------

    def refresh(
        self, wanted: tuple[Wanted, ...], surroundings: Surroundings
    ) -> Flow[dict[Address, Observation]]:
        """Read what was not read while loading, and look whether what is known still holds."""
        asked = {
            one.address: self.read(one.desired.spec, surroundings.tables)
            for one in wanted
            if one.desired is not None and _is_asked(one.desired, surroundings)
        }
        answers = yield from side_by_side(asked)
        found: dict[Address, Observation] = {}
        for one in wanted:
            held = self._held(surroundings.readings.get(one.address), answers.get(one.address))
            found[one.address] = (
                Absent()
                if held is None
                else Observed("", self.seen(held.content), Binding.DECLARED, detail=held)
            )
        return found

    def _held(self, known: Reading | None, answer: Outcome | None) -> Held | None:
        if known is not None:
            if answer is None:
                return Held(known.content)
            if isinstance(answer, Exception):
                return Held(known.content, (f"the service could not be asked: {answer}",))
            return Held(known.content, self.compared(known.content, answer))
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else Held(answer)

    def decide(
        self, wanted: Wanted, observation: Observation, surroundings: Surroundings
    ) -> tuple[Change, ...]:
        """Say that it was read, or that it is read during apply."""
        desired = wanted.desired
        if desired is None:
            return (Change(wanted.address, Action.NOOP, Reason.READ),)
        needs = dependencies(desired)
        if isinstance(observation, Observed) and isinstance(observation.detail, Held):
            held = observation.detail
            reason = Reason.ANSWER_DIFFERS if held.differs else Reason.READ
            notes = (*held.differs, *self.told(held.content))
            cost = self.price(desired.spec, held.content)
            seen = digest(cast("Value", held.content))
            return (
                Change(
                    desired.address,
                    Action.READ,
                    reason,
                    depends_on=needs,
                    cost=cost,
                    notes=notes,
                    observed=seen,
                ),
            )
        current: Object = {
            "spec": desired.spec,
            "tables": cast("Object", {name: surroundings.tables[name] for name in self.tables}),
        }
        return (
            Change(
                desired.address,
                Action.READ,
                Reason.READ_LATER,
                depends_on=needs,
                current=current,
                waits=True,
            ),
        )

    def attributes(self, change: Change, observation: Observation) -> Object | None:
        """Return what references see; nothing before it is read."""
        del change
        return observation.attributes if isinstance(observation, Observed) else None

    def apply(self, change: Change, settings: Settings) -> Flow[Object]:
        """Read now what could not be read while planning; the ledger learns nothing of it."""
        del settings
        spec, tables = change.current["spec"], change.current["tables"]
        assert isinstance(spec, dict)
        return self._answered(spec, cast("Tables", tables))

    def _answered(self, spec: Object, tables: Tables) -> Flow[Object]:
        return self.seen((yield from self.read(spec, tables)))

    def confirm(
        self, desired: Desired, confirmed: str, surroundings: Surroundings
    ) -> Flow[Settlement]:
        """
        Refuse: there is no object.

        Raises:
            ChangeFailedError: always
        """
        del surroundings
        yield from ()
        message = f"{desired.address} is only read; {confirmed} cannot be its object"
        raise ChangeFailedError(message)


def _is_asked(desired: Desired, surroundings: Surroundings) -> bool:
    if not is_known(desired.spec):
        return False
    known = surroundings.readings.get(desired.address)
    if known is not None:
        return not known.asked and surroundings.compares
    # What this plan changes may be what is asked for: it is read when that is done.
    return surroundings.changing.isdisjoint(desired.depends_on)


def side_by_side(
    flows: Mapping[Address, Flow[JsonObject]],
) -> Generator[Step, Any, dict[Address, Outcome]]:
    """
    Run flows that only read at the same time, one page of each together; say how each ended.
    """
    ended: dict[Address, Outcome] = {}
    steps: dict[Address, Read] = {}
    for address in sorted(flows):
        _advance(address, flows[address], None, steps, ended)
    while steps:
        asking = sorted(steps)
        replies = yield Together(tuple(steps.pop(address) for address in asking))
        for address, reply in zip(asking, replies, strict=True):
            _advance(address, flows[address], reply, steps, ended)
    return ended


def _advance(
    address: Address,
    flow: Flow[JsonObject],
    reply: object,
    steps: dict[Address, Read],
    ended: dict[Address, Outcome],
) -> None:
    try:
        step = flow.throw(reply) if isinstance(reply, ApiError) else flow.send(reply)
    except StopIteration as end:
        ended[address] = end.value
    except (ApiError, ChangeFailedError) as error:
        ended[address] = error
    else:
        assert isinstance(step, Read), "a data kind only reads"
        steps[address] = step
