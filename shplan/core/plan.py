"""
The plan: all changes in order, with what they were computed from.

The digest names a plan: it covers every change and every input that decides one,
and nothing that only informs (times, commit, progress).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import cast

from shplan.core.address import Address
from shplan.core.change import Action, Change, FieldChange, MemberChange, Refusal, RefusalKind
from shplan.core.cost import Cost, total
from shplan.core.cost_form import cost_json
from shplan.core.frozen import dataclass
from shplan.core.value import JsonObject, JsonValue, Value, digest, printable

PLAN_FORMAT = 1


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """
    What a plan was computed from.

    Args:
        project: name of the project
        environment: name of the environment
        deployment: identity of the deployment
        ledger_head: hash of the ledger's last entry
        version: of shplan
        commit: of the repository, empty where there is none
        variables: by name; secrets never are variables' values
        files: SHA-256 of every file that was read, by path
        select, exclude: the selection as given
        destroy: everything is to be deleted
        data: digest of what each data kind gave while the manifests were loaded, by address
    """

    project: str
    environment: str
    deployment: str
    ledger_head: str
    version: str
    commit: str = ""
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    destroy: bool = False
    data: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """Return the inputs as a saved plan holds them."""
        shown: JsonObject = {
            "project": self.project,
            "environment": self.environment,
            "deployment": self.deployment,
            "ledgerHead": self.ledger_head,
            "version": self.version,
            "commit": self.commit,
            "variables": {**self.variables},
            "files": {**self.files},
            "select": [*self.select],
            "exclude": [*self.exclude],
            "destroy": self.destroy,
        }
        # Of a project without data nobody asks.
        return {**shown, "data": {**self.data}} if self.data else shown


@dataclass(frozen=True, slots=True)
class Plan:
    """Every change in the order of applying, quiet ones included."""

    inputs: PlanInputs
    changes: tuple[Change, ...]

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that would send or record something, blocked ones not among them."""
        return tuple(change for change in self.changes if change.action.changes)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Everything that forbids applying this plan."""
        return tuple(refusal for change in self.changes for refusal in change.refusals)

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The changes that a person has to unblock."""
        return tuple(change for change in self.changes if change.action is Action.BLOCKED)

    @property
    def cost(self) -> Cost:
        """Processing units of all pending changes."""
        return total(change.cost for change in self.pending)

    @property
    def counts(self) -> Counter[Action]:
        """How many changes of each action."""
        return Counter(change.action for change in self.changes)

    @property
    def digest(self) -> str:
        """The name of this plan: what would be done, to what, from which record."""
        essence: dict[str, Value] = {
            "format": PLAN_FORMAT,
            "environment": self.inputs.environment,
            "deployment": self.inputs.deployment,
            "changes": [cast("Value", change_essence(change)) for change in self.pending],
            "ledgerHead": self.inputs.ledger_head,
        }
        return digest(essence)

    def can_apply(self) -> bool:
        """Tell whether nothing forbids applying it and there is something to do."""
        return not self.refusals and any(
            change.action.changes or change.records or change.waits for change in self.changes
        )

    @property
    def reading_cost(self) -> Cost:
        """What the data kinds pay each time that a command reads them; no part of `cost`."""
        return total(change.cost for change in self.changes if change.action is Action.READ)

    def exit_code(self) -> int:
        """Return 7 for a question only a person answers, 5 for a protection, else 0."""
        kinds = {refusal.kind for refusal in self.refusals}
        if RefusalKind.UNDECIDED in kinds:
            return 7
        return 5 if RefusalKind.PROTECTED in kinds else 0


def change_essence(change: Change) -> JsonObject:
    """
    Return what decides whether two changes are the same change (design, "Planning").

    An adoption sends nothing that would name its object, so the id stands for it.
    """
    essence: JsonObject = {
        "address": str(change.address),
        "adopts": change.id if change.action is Action.ADOPT else "",
        "action": change.action.value,
        "deposed": change.deposed,
        "attempt": change.attempt if change.action is Action.RUN else 0,
        "preventDestroy": change.prevent_destroy,
        "requests": [request.as_json() for request in change.requests],
        "members": [member_essence(member) for member in change.members],
    }
    # What goes with an object is as much of a delete as its request.
    return {**essence, "held": change.held} if change.held else essence


def member_essence(member: MemberChange) -> JsonObject:
    """The same for one member of a set."""
    return {
        "key": member.key,
        "operation": member.operation,
        "adopts": member.id if member.action is Action.ADOPT else "",
        "request": None if member.request is None else member.request.as_json(),
    }


def plan_json(plan: Plan) -> JsonObject:
    """Return the plan as one JSON document: what is saved, and what programs read."""
    return {
        "format": PLAN_FORMAT,
        "digest": plan.digest,
        "inputs": plan.inputs.as_json(),
        "summary": summary_json(plan),
        "changes": [change_json(change) for change in plan.changes if _is_told(change)],
        "unchanged": [*sorted(str(c.address) for c in plan.changes if c.action is Action.NOOP)],
    }


def summary_json(plan: Plan) -> JsonObject:
    """Return the counts, with the number of resources that they are taken from."""
    counts: JsonObject = {action.value: plan.counts[action] for action in Action}
    return {
        "resources": len({change.address for change in plan.changes}),
        "counts": counts,
        "costPU": cost_json(plan.cost),
        "refusals": [
            {
                "kind": refusal.kind.value,
                "code": refusal.diagnostic.code,
                "what": refusal.diagnostic.what,
                "hint": refusal.diagnostic.hint,
            }
            for refusal in plan.refusals
        ],
    }


def change_json(change: Change) -> JsonObject:
    """Return one change with its reason, its cost and its place in the manifests."""
    return {
        **change_essence(change),
        "reason": {"code": change.reason.name.lower(), "text": change.reason.value},
        "fields": [field_json(one) for one in change.fields],
        "members": [_member_json(member) for member in change.members],
        "cost": cost_json(change.cost),
        "counts": {**change.counts},
        "notes": [*change.notes],
        "dependsOn": [str(address) for address in change.depends_on],
        "source": None if change.source is None else str(change.source),
        "id": change.id,
        "key": change.key,
        "observed": change.observed,
    }


def field_json(change: FieldChange) -> JsonObject:
    """Return one field that differs."""
    return {
        "path": change.dotted,
        "before": printable(change.before),
        "after": printable(change.after),
        "reason": change.reason.name.lower(),
        "forces": change.forces,
    }


def addresses(plan: Plan) -> tuple[Address, ...]:
    """Return every address of the plan, once, in order."""
    return tuple(dict.fromkeys(change.address for change in plan.changes))


def _member_json(member: MemberChange) -> JsonObject:
    return {
        **member_essence(member),
        "action": member.action.value,
        "reason": member.reason.name.lower(),
        "detail": member.detail,
        "fields": [field_json(one) for one in member.fields],
    }


def _is_told(change: Change) -> bool:
    return change.action is not Action.NOOP or bool(change.refusals)
