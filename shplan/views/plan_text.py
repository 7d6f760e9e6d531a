"""
A plan as text: what changes, why, what it costs, what to type next.

    +  create, run    ~  update, resume    -  delete    -/+  replace    *  adopt
    >  move           x  forget            !  blocked

What nothing is done with (unchanged, only read) is counted and not listed. A diagnostic is
worded by `snippet`; here it only finds its place between the changes and the summary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from shplan.core.change import Action, Change, FieldChange, MemberChange, Reason
from shplan.core.cost import Cost, range_text
from shplan.core.plan import Plan
from shplan.core.value import Value
from shplan.views.snippet import render
from shplan.views.values import Paint, amount, brief, clip, contrast, pairs, safe

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.DELETE: "-",
    Action.REPLACE: "-/+",
    Action.ADOPT: "*",
    Action.MOVE: ">",
    Action.FORGET: "x",
    Action.BLOCKED: "!",
    Action.READ: "=",
    Action.NOOP: " ",
    Action.RUN: "+",
    Action.RESUME: "~",
}
COLORS = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.DELETE: "red",
    Action.REPLACE: "red",
    Action.ADOPT: "cyan",
    Action.MOVE: "cyan",
    Action.BLOCKED: "magenta",
    Action.RUN: "green",
    Action.RESUME: "yellow",
}
SHOWN_MEMBERS = 5
SHOWN_FIELDS = 30
_INDENT = " " * 6
QUIET = (Action.NOOP, Action.READ)
MEMBER_SIGNS = {"create": "+", "update": "~", "reingest": "~", "delete": "-", "adopt": "*"}
# Whoever loses or keeps an object on the server wants to know which one.
NAMES_OBJECT = (Action.ADOPT, Action.DELETE, Action.REPLACE)


def render_plan(
    plan: Plan,
    *,
    width: int,
    color: bool,
    next_step: bool = True,
    default_environment: str = "sandbox",
    texts: Mapping[str, str] | None = None,
) -> str:
    """
    Return a plan as text with a final line break.

    Args:
        width: columns to keep within where a value can be shortened
        color: with ANSI colours
        next_step: end with what to type next
        default_environment: the one that a command without `-e` works on
        texts: the files that refusals point to, by path, to show the line
    """
    paint = Paint(color=color)
    told = [change for change in plan.changes if is_told(change)]
    blocks = ["\n".join(_change(change, paint, width=width)) for change in told]
    blocks += [render(refusal.diagnostic, texts or {}) for refusal in plan.refusals]
    last = [*_summary(plan, paint)]
    if next_step:
        last += _next_step(plan, default_environment)
    return "\n\n".join([*blocks, "\n".join(last)]) + "\n"


def is_told(change: Change) -> bool:
    """
    Tell whether a change has lines of its own.

    What is lost has them, also if it is left so; data where its answer matters to somebody.
    """
    is_data = change.action is Action.READ
    is_news = is_data and change.reason in (Reason.ANSWER_DIFFERS, Reason.READ_LATER)
    return is_news or change.drifted or change.action not in QUIET


def prose(text: str, *, width: int, indent: str = _INDENT) -> list[str]:
    """Wrap a sentence to a width; words, and so commands' names, stay whole."""
    import textwrap  # noqa: PLC0415

    return textwrap.wrap(
        safe(text),
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _change(change: Change, paint: Paint, *, width: int) -> Iterator[str]:
    sign = paint(f"{SIGNS[change.action]:>3}", COLORS.get(change.action, ""))
    left = " (left behind)" if change.deposed else ""
    refused = f"   {paint('refused, see below', 'red')}" if change.refusals else ""
    address = paint(safe(str(change.address)), "bold")
    yield f"{sign} {address}{left}   {_headline(change)}{refused}"
    if change.source is not None:
        yield paint(f"{_INDENT}{safe(str(change.source))}", "dim")
    if change.id and change.action in NAMES_OBJECT:
        yield f"{_INDENT}id on the server: {safe(change.id)}"
    if change.reason is Reason.PROTECTION_CHANGED:
        yield f"{_INDENT}preventDestroy: {_protection(change)}"
    yield from _fields(change, paint, width=width)
    yield from _members(change.members, paint, width=width)
    yield from (f"{_INDENT}{line}" for line in facts_of(change))
    for note in change.notes:
        yield from prose(note, width=width)
    if change.action.changes and change.cost.maximum_pu:
        yield paint(f"{_INDENT}costs {total_cost(change.cost)}", "dim")


def _headline(change: Change) -> str:
    former = change.current.get("from")
    if change.action is Action.MOVE and isinstance(former, str):
        return safe(f"was {former}")
    return f"{action_of(change)}: {change.reason.value}"


def action_of(change: Change) -> str:
    """Name what is done, and which attempt it is where there was one before."""
    if stops_task(change):
        return "stop"
    again = change.action is Action.RUN and change.attempt > 1
    return f"run (attempt {change.attempt})" if again else change.action.value


def stops_task(change: Change) -> bool:
    """Tell whether a removal stops what runs: a task cannot be deleted."""
    return change.action is Action.DELETE and bool(change.key)


def _protection(change: Change) -> str:
    return "false -> true" if change.prevent_destroy else "true -> false"


def _fields(change: Change, paint: Paint, *, width: int) -> Iterator[str]:
    lines = (
        line for field in change.fields for line in _field(field, change.action, paint, width=width)
    )
    yield from islice(lines, SHOWN_FIELDS)
    more = sum(1 for _ in lines)
    if more:
        yield paint(f"{_INDENT}... and {amount(more, 'more line')}", "dim")


def _field(field: FieldChange, action: Action, paint: Paint, *, width: int) -> Iterator[str]:
    for path, before, after in pairs(field.before, field.after, field.dotted):
        yield f"{_INDENT}{safe(path)}: {_values(before, after, path, action, width=width)}"
    if field.forces:
        yield f"{_INDENT}  {paint('forces replacement', 'red')}: {safe(field.forces)}"


def _values(before: Value, after: Value, path: str, action: Action, *, width: int) -> str:
    room = max(40, width - len(_INDENT) - len(path) - 2)
    if action is Action.CREATE and before is None:
        return brief(after, longest=room)
    return contrast(before, after, longest=room)


def _members(members: tuple[MemberChange, ...], paint: Paint, *, width: int) -> Iterator[str]:
    for operation, group in by_operation(members).items():
        yield f"{_INDENT}{amount(len(group), 'tile')} to {operation}"
        for member in group[:SHOWN_MEMBERS]:
            yield from _member(member, width=width)
        if len(group) > SHOWN_MEMBERS:
            yield paint(f"{_INDENT}  ... and {len(group) - SHOWN_MEMBERS:,} more", "dim")


def _member(member: MemberChange, *, width: int) -> Iterator[str]:
    line = f"{_INDENT}  {MEMBER_SIGNS[member.operation]} {safe(member.key)}"
    fields = () if member.operation == "create" else member.fields
    changed = [
        f"{safe(path)}: {_values(before, after, path, member.action, width=width - 8)}"
        for one in fields
        for path, before, after in pairs(one.before, one.after, one.dotted)
    ]
    if member.detail:
        told = member.detail
    elif not changed and member.operation in ("reingest", "adopt"):
        told = member.reason.value
    else:
        told = ""
    if len(changed) == 1 and not told and len(line) + len(changed[0]) + 3 <= width:
        told = changed.pop()
    yield f"{line}   {clip(told, longest=max(width - len(line) - 3, 40))}" if told else line
    yield from (f"{_INDENT}      {one}" for one in changed)


def by_operation(members: Iterable[MemberChange]) -> dict[str, list[MemberChange]]:
    """Group what is done with members; what only the ledger notes is not worth a line."""
    groups: dict[str, list[MemberChange]] = {}
    for member in members:
        if member.operation in MEMBER_SIGNS:
            groups.setdefault(member.operation, []).append(member)
    return groups


_OWN_LINES = frozenset({"create", "update", "reingest", "delete", "adopt", "declared"})
FACTS = {
    "unmanaged": "declared by nobody: left alone",
    "ingesting": "still being ingested: waited for",
    "not confirmed": "no longer declared, adopted and never confirmed: left alone",
}


def facts_of(change: Change) -> Iterator[str]:
    """Yield what is counted beside the changes themselves, one sentence each."""
    for name, number in change.counts.items():
        if name not in _OWN_LINES and isinstance(number, int) and number:
            told = FACTS.get(name, name.removeprefix("tiles "))
            yield f"{amount(number, 'tile')} {told}"


def _summary(plan: Plan, paint: Paint) -> Iterator[str]:
    changes = plan.changes
    declared = sum_of(changes, "declared")
    if not plan.pending and not plan.blocked and not plan.refusals:
        lost = any(change.drifted for change in changes)
        yield paint("No changes.", "bold") + ("" if lost else _as_declared(plan, declared))
    else:
        counted = ", ".join(counted_actions(plan))
        changing = len({change.address for change in plan.pending})
        of = amount(resources_of(plan), "resource")
        yield paint("Plan:", "bold") + f" {counted}; {changing} of {of} change."
        tiles = tiles_of(plan.pending)
        if tiles:
            yield f"Tiles: {tiles}{f' of {declared:,} declared' if declared else ''}."
        yield f"Costs {plan_cost(plan)}."
    yield from (f"{line}." for line in reading_costs(plan))
    quiet = [change for change in changes if change.action in QUIET]
    for name, told in FACTS.items():
        number = sum_of(quiet, name)
        if number:
            yield f"{amount(number, 'tile')} {told}."
    yield from (f"{line}." for line in jobs_under_way(plan))
    yield from (f"{line}." for line in answers_lost(plan))


def jobs_under_way(plan: Plan) -> Iterator[str]:
    """Yield what is unchanged and not at its end: jobs that run or nobody starts, and imports."""
    quiet = Counter(change.reason for change in plan.changes if change.action is Action.NOOP)
    if number := quiet[Reason.RUNNING]:
        verb, them = ("is", "it") if number == 1 else ("are", "them")
        yield f"{amount(number, 'job')} {verb} running: apply waits for {them}"
    if number := quiet[Reason.START_WAITS]:
        verb = "has" if number == 1 else "have"
        yield f"{amount(number, 'job')} {verb} a task that `start` leaves for somebody to start"
    if number := quiet[Reason.IMPORTING]:
        verb, them = ("is", "it") if number == 1 else ("are", "them")
        yield f"{amount(number, 'import')} {verb} under way: apply waits for {them}"


def reading_costs(plan: Plan) -> Iterator[str]:
    """Yield what it costs to read data, which is no part of what the plan costs."""
    if plan.reading_cost.maximum_pu:
        yield f"Reading its data costs {total_cost(plan.reading_cost)} each time a command does so"


def answers_lost(plan: Plan) -> Iterator[str]:
    """Yield what is left as it is although its files are not there any more."""
    quiet = (change for change in plan.changes if change.action is Action.NOOP and change.drifted)
    if number := sum(1 for _ in quiet):
        verb = "has an answer that is" if number == 1 else "have answers that are"
        yield f"{amount(number, 'job')} {verb} gone or changed: left alone"


def _as_declared(plan: Plan, declared: int) -> str:
    resources = resources_of(plan)
    if not resources:
        return ""
    tiles = f" and {amount(declared, 'tile')}" if declared else ""
    verb = "is" if resources == 1 and not tiles else "are"
    return f" {amount(resources, 'resource')}{tiles} {verb} as declared."


def resources_of(plan: Plan) -> int:
    """Count the resources that a plan speaks of."""
    return len({change.address for change in plan.changes})


def counted_actions(plan: Plan) -> Iterator[str]:
    """Yield `2 to create` for every action; the three that people look for also when none."""
    always = (Action.CREATE, Action.UPDATE, Action.DELETE)
    for action in Action:
        number = plan.counts[action]
        if action in always or (number and action is not Action.NOOP):
            verb = "blocked" if action is Action.BLOCKED else f"to {action.value}"
            yield f"{number:,} {verb}"


def tiles_of(changes: Iterable[Change]) -> str:
    """Count what is done with tiles: `2 to create, 1 to delete`, empty for nothing."""
    counted: Counter[str] = Counter()
    for change in changes:
        counted.update({name: len(group) for name, group in by_operation(change.members).items()})
    return ", ".join(f"{number:,} to {name}" for name, number in sorted(counted.items()))


def sum_of(changes: Iterable[Change], name: str) -> int:
    """Add up one count of several changes."""
    found = (change.counts.get(name) for change in changes)
    return sum(number for number in found if isinstance(number, int))


def total_cost(cost: Cost) -> str:
    """Word what something costs, at least, at most and as expected."""
    return range_text(cost.levels)


def plan_cost(plan: Plan) -> str:
    """Word what a plan costs, and that nobody can say it of some changes."""
    unknown = sum(1 for change in plan.pending if change.unpriced)
    if not unknown:
        return total_cost(plan.cost)
    if not plan.cost.maximum_pu:
        return f"nobody can say how much, for {amount(unknown, 'change')}"
    return f"{total_cost(plan.cost)}, and nobody can say how much for {amount(unknown, 'change')}"


def _next_step(plan: Plan, default_environment: str) -> Iterator[str]:
    if plan.refusals:
        yield "Nothing can be applied until what is refused above is settled."
        return
    if plan.blocked:
        yield "What is blocked says above what unblocks it."
    if not plan.pending:
        return
    said = "To delete all this" if plan.inputs.destroy else "To make it so"
    rest = " without what is blocked" if plan.blocked else ""
    yield f"{said}{rest}:\n  {next_command(plan, default_environment)}"


def next_command(plan: Plan, default_environment: str) -> str:
    """Return the command that carries out what the plan shows."""
    verb = "destroy" if plan.inputs.destroy else "apply"
    return f"shplan {' '.join([verb, *_options(plan, default_environment)])}"


def _options(plan: Plan, default_environment: str) -> Iterator[str]:
    """Yield what makes a command work on what this plan was made of, and on nothing else."""
    from shlex import quote  # noqa: PLC0415

    inputs = plan.inputs
    if inputs.environment != default_environment:
        yield f"-e {quote(safe(inputs.environment))}"
    yield from (f"--select {quote(safe(one))}" for one in inputs.select)
    yield from (f"--exclude {quote(safe(one))}" for one in inputs.exclude)
