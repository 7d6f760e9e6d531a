"""
A plan as Markdown, for a comment on a pull request: what matters first, and never too long.

Above the changes stands what a reviewer must not miss (`plan_risks`); below them what to do
next, the plan's digest and the ledger's head, which anchors the ledger outside the machine
that keeps it. What does not fit is counted. How user data is kept from breaking out is the
business of `markdown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shplan.core.change import Action, Change, FieldChange, MemberChange, Reason
from shplan.core.cost import is_over
from shplan.core.plan import Plan
from shplan.views.markdown import (
    LIMIT,
    LONGEST_LINE,
    Room,
    code,
    fenced,
    folded,
    head_and_rest,
    html_code,
)
from shplan.views.plan_risks import groups_of
from shplan.views.plan_text import (
    FACTS,
    MEMBER_SIGNS,
    NAMES_OBJECT,
    QUIET,
    SIGNS,
    action_of,
    answers_lost,
    by_operation,
    counted_actions,
    facts_of,
    is_told,
    jobs_under_way,
    next_command,
    plan_cost,
    reading_costs,
    resources_of,
    sum_of,
    tiles_of,
    total_cost,
)
from shplan.views.values import amount, brief, clip, pairs, pu, sides

# A short plan is read without a click.
_UNFOLDED = 5
_MOST_LINES = 60
_LEAST_LINES = 8
_SHOWN_MEMBERS = 10
_LONGEST_COMMAND = 300
_RISKS = "### Look at this first"
_CHANGES = "### Changes"


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a plan alone does not know.

    Args:
        digest: the plan's name, empty to compute it: a saved plan brings its own
        budget_max_pu: of the environment, None where there is none or nobody knows
        saved_as: the file that the plan was saved to, empty for none
        default_environment: the one that a command without `-e` works on
        drift_of: the whole plan, where only its drift is shown
    """

    digest: str = ""
    budget_max_pu: float | None = None
    saved_as: str = ""
    default_environment: str = "sandbox"
    drift_of: Plan | None = None


def render_markdown(plan: Plan, setting: Setting | None = None, *, limit: int = LIMIT) -> str:
    """
    Return a plan as one document with a final line break, the same bytes for the same plan.

    Args:
        limit: characters that it may have; below 2,000 head and foot alone may take more
    """
    known = setting or Setting()
    told = [change for change in plan.changes if is_told(change)]
    head = "\n".join(_head(plan, known))
    foot = "\n\n".join(_foot(plan, known))
    room = Room(limit - len(head) - len(foot) - len(_RISKS) - len(_CHANGES) - 7)
    risks = [*_risks(plan, room, keep=len(_left_out(told)) + 2)]
    changes = [*_changes(told, room)]
    middle = [*([_RISKS] if risks else []), *risks, *([_CHANGES] if changes else []), *changes]
    return "\n\n".join([head, *middle, foot]) + "\n"


def _head(plan: Plan, known: Setting) -> Iterator[str]:
    inputs = plan.inputs
    what = "Plan to destroy" if inputs.destroy else "Plan for"
    what = "Drift of" if known.drift_of else what
    changing = len({change.address for change in plan.pending})
    of = amount(resources_of(known.drift_of or plan), "resource")
    quiet = not plan.pending and not plan.blocked and not plan.refusals
    verb = "changed" if known.drift_of else "change"
    result = "no changes" if quiet else f"{changing} of {of} {verb}"
    yield f"## {what} {code(inputs.project, longest=40)}: {result}\n"
    place = f"{code(inputs.environment, longest=40)} on {code(inputs.deployment, longest=60)}"
    commit = f", commit {code(inputs.commit[:12])}" if inputs.commit else ""
    yield f"- **Environment**: {place}{commit}"
    declared = sum_of((known.drift_of or plan).changes, "declared")
    if quiet and known.drift_of:
        yield f"- **Drifted**: 0 of {of}"
    elif quiet:
        tiles = f" and {amount(declared, 'tile')}" if declared else ""
        yield f"- **As declared**: {of}{tiles}"
    else:
        yield f"- **Resources**: {', '.join(counted_actions(plan))}; {changing} of {of} {verb}"
        tiles = tiles_of(plan.pending)
        if tiles:
            yield f"- **Tiles**: {tiles}{f', of {declared:,} declared' if declared else ''}"
        yield f"- **Cost**: {plan_cost(plan)}{_of_budget(plan, known)}"
    for name, told in FACTS.items():
        number = sum_of([one for one in plan.changes if one.action in QUIET], name)
        if number:
            yield f"- {amount(number, 'tile')} {told}"
    yield from (f"- {line}" for line in reading_costs(plan))
    yield from (f"- {line}" for line in jobs_under_way(plan))
    yield from (f"- {line}" for line in answers_lost(plan))


def _of_budget(plan: Plan, known: Setting) -> str:
    limit = known.budget_max_pu
    if limit is None:
        return ""
    over = " (**over**)" if is_over(plan.cost.maximum_pu, limit) else ""
    return f", of a budget of {pu(limit)}{over}"


def _risks(plan: Plan, room: Room, *, keep: int) -> Iterator[str]:
    """
    Yield the groups of risks, as far as they fit; the last line of each counts the rest.

    Args:
        keep: characters that are not for them
    """
    groups = groups_of(plan)
    room.characters -= keep + sum(len(_rest(group.words, group.number)) + 2 for group in groups)
    bullets: list[str] = []
    for group in groups:
        shown: list[str] = []
        for entry in group.entries:
            if not room.takes(entry):
                break
            shown.append(entry)
        left = group.number - len(shown)
        shown += [_rest(group.words, left)] if left else []
        if group.fenced:
            yield "\n\n".join(shown)
        else:
            bullets += shown
    room.characters += keep
    if bullets:
        yield "\n".join(bullets)


def _rest(words: str, number: int) -> str:
    return f"- and {number:,} more {words}"


def _changes(told: Sequence[Change], room: Room) -> Iterator[str]:
    """Yield the changes that fit in the order of the plan, the gravest chosen first."""
    room.characters -= len(_left_out(told)) + 2
    opened = len(told) <= _UNFOLDED
    chosen: dict[int, str] = {}
    for at in sorted(range(len(told)), key=lambda index: (_weight(told[index]), index)):
        block = _fitting(told[at], room, opened=opened)
        if not block:
            break
        chosen[at] = block
    yield from (chosen[at] for at in sorted(chosen))
    left = [change for at, change in enumerate(told) if at not in chosen]
    if left:
        yield _left_out(left)


def _weight(change: Change) -> int:
    if change.refusals or change.action in (Action.DELETE, Action.REPLACE, Action.BLOCKED):
        return 0
    return 1 if change.action is not Action.CREATE else 2


def _fitting(change: Change, room: Room, *, opened: bool) -> str:
    for most in (_MOST_LINES, _LEAST_LINES):
        block = _change(change, most=most, opened=opened)
        if room.takes(block):
            return block
    return ""


def _left_out(changes: Sequence[Change]) -> str:
    """Count what is not shown, by action; longer for more of them."""
    if not changes:
        return ""
    counted = Counter(change.action for change in changes)
    words = [
        f"{counted[action]:,} {_VERBS.get(action, f'to {action.value}')}"
        for action in Action
        if counted[action]
    ]
    return f"Not shown, because this would be too long: {', '.join(words)}."


_VERBS = {Action.BLOCKED: "blocked"}


def _change(change: Change, *, most: int, opened: bool) -> str:
    left = " (left behind)" if change.deposed else ""
    refused = ", <b>refused</b>" if change.refusals else ""
    address = html_code(f"{SIGNS[change.action].strip()} {change.address}")
    # Reasons are ours, and some of them hold code: here Markdown is not read.
    reason = change.reason.value.replace("`", "")
    summary = f"{address}{left} {action_of(change)}: {reason}{refused}"
    lines = [clip(line, longest=LONGEST_LINE) for line in _lines(change)]
    body = fenced(head_and_rest(lines, most=most) or ["  nothing is sent"], "diff")
    return folded(summary, body, opened=opened)


def _lines(change: Change) -> Iterator[str]:
    """Yield what stands in the block: only what begins with `+`, `-` or `!` is coloured."""
    former = change.current.get("from")
    if change.action is Action.MOVE and isinstance(former, str):
        yield f"- {former}"
        yield f"+ {change.address}"
    if change.source is not None:
        yield f"  {change.source}"
    if change.id and change.action in NAMES_OBJECT:
        yield f"  id on the server: {change.id}"
    if change.reason is Reason.PROTECTION_CHANGED:
        yield f"- preventDestroy: {'false' if change.prevent_destroy else 'true'}"
        yield f"+ preventDestroy: {'true' if change.prevent_destroy else 'false'}"
    for field in change.fields:
        yield from _field(field)
    for operation, group in by_operation(change.members).items():
        yield from _members(operation, group)
    yield from (f"  {line}" for line in facts_of(change))
    yield from (f"! {note}" for note in change.notes)
    if change.action.changes and change.cost.maximum_pu:
        yield f"  costs {total_cost(change.cost)}"


def _field(field: FieldChange, indent: str = "") -> Iterator[str]:
    for path, before, after in pairs(field.before, field.after, field.dotted):
        room = max(LONGEST_LINE - len(path) - len(indent) - 4, 40)
        if before is None or after is None:
            sign, value = ("+", after) if before is None else ("-", before)
            yield f"{sign} {indent}{path}: {brief(value, longest=room)}"
            continue
        left, right = sides(before, after, longest=2 * room)
        yield f"- {indent}{path}: {left}"
        yield f"+ {indent}{path}: {right}"
    if field.forces:
        yield f"! {indent}forces replacement: {field.forces}"


def _members(operation: str, group: Sequence[MemberChange]) -> Iterator[str]:
    yield f"  {amount(len(group), 'tile')} to {operation}"
    for member in group[:_SHOWN_MEMBERS]:
        told = member.detail or ("" if member.fields else member.reason.value)
        shown = f": {told}" if told and operation in ("reingest", "adopt") else ""
        sign = MEMBER_SIGNS[operation].replace("~", "!").replace("*", " ")
        yield f"{sign}   {member.key}{shown}"
        for field in () if operation == "create" else member.fields:
            yield from _field(field, indent="    ")
    if len(group) > _SHOWN_MEMBERS:
        yield f"  ... and {len(group) - _SHOWN_MEMBERS:,} more to {operation}"


def _foot(plan: Plan, known: Setting) -> Iterator[str]:
    yield "### What to do next"
    if plan.refusals:
        yield "Nothing can be applied until what is refused above is settled."
    elif plan.pending:
        rest = " (what is blocked stays as it is)" if plan.blocked else ""
        said = "To delete all this" if plan.inputs.destroy else "To make it so"
        said = "To undo this, with all else that is planned" if known.drift_of else said
        yield f"{said}{', exactly as reviewed' if known.saved_as else ''}{rest}:"
        yield fenced([_command(plan, known)], "sh")
    elif plan.blocked:
        yield "What is blocked says above what unblocks it."
    else:
        yield "Nothing."
    head = plan.inputs.ledger_head
    anchor = f"the ledger at {code(head, longest=90)}" if head else "an empty ledger"
    name = code(known.digest or (known.drift_of or plan).digest, longest=90)
    yield f"Plan {name}, made from {anchor} by shplan {code(plan.inputs.version, longest=20)}."


def _command(plan: Plan, known: Setting) -> str:
    from shlex import quote  # noqa: PLC0415

    command = next_command(plan, known.default_environment)
    if known.saved_as:
        command = f"shplan apply {quote(known.saved_as)}"
    if len(command) <= _LONGEST_COMMAND:
        return clip(command, longest=_LONGEST_COMMAND)
    # Half a command would do something else.
    verb = "destroy" if plan.inputs.destroy else "apply"
    return f"shplan {verb}   # with the environment and the selection of this plan"
