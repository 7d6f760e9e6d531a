"""
A plan as text: what changes, why, what it costs, what to type next.

    +  create    ~  update    -  delete    -/+  replace    *  adopt
    >  move      x  forget    !  blocked
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from shplan.core.change import Action, Change, FieldChange, MemberChange
from shplan.core.diagnostic import Diagnostic
from shplan.core.plan import Plan
from shplan.views.values import amount, brief, pu

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.DELETE: "-",
    Action.REPLACE: "-/+",
    Action.ADOPT: "*",
    Action.MOVE: ">",
    Action.FORGET: "x",
    Action.BLOCKED: "!",
    Action.RUN: "+",
    Action.RESUME: "~",
}
_COLORS = {
    Action.CREATE: "32",
    Action.UPDATE: "33",
    Action.DELETE: "31",
    Action.REPLACE: "31",
    Action.ADOPT: "36",
    Action.BLOCKED: "35",
}
_MEMBER_SIGNS = {"create": "+", "update": "~", "reingest": "~", "delete": "-", "adopt": "*"}
SHOWN_MEMBERS = 5


def render_plan(plan: Plan, *, width: int, color: bool, next_step: bool = True) -> str:
    """
    Return a plan as text with a final line break.

    Args:
        width: columns to keep within where a value can be shortened
        color: with ANSI colours
        next_step: end with what to type next
    """
    paint = _Paint(color=color)
    quiet = (Action.NOOP, Action.READ)
    told = [change for change in plan.changes if change.action not in quiet]
    blocks = ["\n".join(_change(change, paint, width=width)) for change in told]
    blocks += ["\n".join(_refusal(refusal.diagnostic, paint)) for refusal in plan.refusals]
    blocks.append("\n".join((*_summary(plan, paint), *(_next_step(plan) if next_step else ()))))
    return "\n\n".join(blocks) + "\n"


class _Paint:
    """ANSI colours, or none at all."""

    def __init__(self, *, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and code else text


def _change(change: Change, paint: _Paint, *, width: int) -> Iterator[str]:
    sign = paint(f"{SIGNS.get(change.action, '?'):>3}", _COLORS.get(change.action, ""))
    left = " (left behind)" if change.deposed else ""
    yield f"{sign} {paint(str(change.address), '1')}{left}   {_headline(change)}"
    if change.source is not None:
        yield paint(f"      {change.source}", "2")
    for field in change.fields:
        yield from _field(field, change.action, paint, width=width)
    yield from _members(change.members, paint)
    yield from (f"      {line}" for line in _counts(change))
    yield from (f"      {note}" for note in change.notes)
    if change.action.changes and change.cost.maximum_pu:
        yield paint(f"      costs {_cost(change)}", "2")


def _headline(change: Change) -> str:
    said = {
        Action.MOVE: f"was {change.current.get('from')}",
        Action.BLOCKED: f"blocked: {change.reason.value}",
    }
    return said.get(change.action, f"{change.action.value}: {change.reason.value}")


def _cost(change: Change) -> str:
    if change.cost.minimum_pu == change.cost.maximum_pu:
        return pu(change.cost.maximum_pu)
    return f"{pu(change.cost.minimum_pu)} to {pu(change.cost.maximum_pu)}"


def _field(field: FieldChange, action: Action, paint: _Paint, *, width: int) -> Iterator[str]:
    room = max(20, (width - 24 - len(field.dotted)) // 2)
    if action is Action.CREATE:
        yield f"      {field.dotted}: {brief(field.after, longest=2 * room)}"
        return
    before, after = brief(field.before, longest=room), brief(field.after, longest=room)
    forced = f"   {paint('forces replacement', '31')}: {field.forces}" if field.forces else ""
    yield f"      {field.dotted}: {before} -> {after}{forced}"


def _members(members: tuple[MemberChange, ...], paint: _Paint) -> Iterator[str]:
    by_operation: dict[str, list[MemberChange]] = {}
    for member in members:
        by_operation.setdefault(member.operation, []).append(member)
    for operation, group in by_operation.items():
        yield f"      {amount(len(group), 'tile')} to {operation}"
        sign = _MEMBER_SIGNS.get(operation, "?")
        for member in group[:SHOWN_MEMBERS]:
            yield f"        {sign} {member.key}{_member_detail(member)}"
        if len(group) > SHOWN_MEMBERS:
            yield paint(f"        ... and {len(group) - SHOWN_MEMBERS:,} more", "2")


def _member_detail(member: MemberChange) -> str:
    if member.detail:
        return f"   {member.detail}"
    changed = (f"{one.dotted}: {brief(one.before)} -> {brief(one.after)}" for one in member.fields)
    joined = ", ".join(changed)
    if joined:
        return f"   {joined}"
    return f"   {member.reason.value}" if member.operation in ("reingest", "adopt") else ""


_OWN_LINES = frozenset({"create", "update", "reingest", "delete", "adopt", "declared"})


def _counts(change: Change) -> Iterator[str]:
    words = {
        "unmanaged": "that nobody declares, left alone",
        "ingesting": "on their way, waited for",
        "not confirmed": "no longer declared, but adopted and never confirmed: left alone",
    }
    for name, number in change.counts.items():
        if name in _OWN_LINES or not isinstance(number, int) or not number:
            continue
        told = words.get(name, name.removeprefix("tiles "))
        yield f"{amount(number, 'tile')} {told}"


def _refusal(diagnostic: Diagnostic, paint: _Paint) -> Iterator[str]:
    yield f"{paint('refused', '31')}[{diagnostic.code}]: {diagnostic.summary}"
    yield from (f"  {line}" for line in (diagnostic.what, diagnostic.why) if line)
    if diagnostic.hint:
        yield f"  hint: {diagnostic.hint}"


def _summary(plan: Plan, paint: _Paint) -> Iterator[str]:
    resources = len({change.address for change in plan.changes})
    declared = sum(_declared(change) for change in plan.changes)
    pending = plan.pending
    if not pending and not plan.blocked and not plan.refusals:
        tiles = f" and {amount(declared, 'tile')}" if declared else ""
        verb = "is" if resources == 1 and not tiles else "are"
        what = f"{amount(resources, 'resource')}{tiles} {verb} as declared"
        yield paint("No changes.", "1") + f" {what}."
        return
    counted = ", ".join(_counted(plan))
    tiles = _tiles(pending)
    changing = len({change.address for change in pending})
    yield paint("Plan:", "1") + f" {counted}; {changing} of {amount(resources, 'resource')} change."
    if tiles:
        yield f"Tiles: {tiles} of {declared:,} declared."
    yield f"Costs {_total(plan)}."


def _counted(plan: Plan) -> Iterator[str]:
    always = (Action.CREATE, Action.UPDATE, Action.DELETE)
    for action in Action:
        number = plan.counts[action]
        if action in always or (number and action is not Action.NOOP):
            verb = "blocked" if action is Action.BLOCKED else f"to {action.value}"
            yield f"{number} {verb}"


def _tiles(changes: Iterable[Change]) -> str:
    counted = Counter(member.operation for change in changes for member in change.members)
    return ", ".join(f"{number:,} to {name}" for name, number in sorted(counted.items()))


def _declared(change: Change) -> int:
    number = change.counts.get("declared")
    return number if isinstance(number, int) else 0


def _total(plan: Plan) -> str:
    cost = plan.cost
    if cost.minimum_pu == cost.maximum_pu:
        return pu(cost.maximum_pu)
    return f"{pu(cost.minimum_pu)} to {pu(cost.maximum_pu)}, {pu(cost.expected_pu)} expected"


def _next_step(plan: Plan) -> Iterator[str]:
    if plan.refusals:
        yield "Nothing can be applied until the refusals above are settled."
    elif plan.inputs.destroy:
        yield "To delete all this:\n  shplan destroy"
    elif plan.pending:
        yield "To make it so:\n  shplan apply"
