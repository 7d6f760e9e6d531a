"""
What `shplan byoc check` found, for people, for programs and for a review.

The same finding about many files is said once, with the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shplan.core.diagnostic import Diagnostic, Severity, has_errors
from shplan.core.value import JsonObject

if TYPE_CHECKING:
    from shplan.cli.byoc_check import Checked
    from shplan.cli.options import Options

_NAMED = 3
_LONGEST = 400


def told(options: Options, checked: Checked, *, texts: Mapping[str, str]) -> int:
    """Say what was found; return the exit code."""
    from shplan.cli.output import say, write_json, write_text  # noqa: PLC0415
    from shplan.views.errors import diagnostics_json  # noqa: PLC0415
    from shplan.views.snippet import render_all  # noqa: PLC0415

    wrong = has_errors(checked.diagnostics)
    if options.output == "json":
        document: JsonObject = {
            "valid": not wrong,
            "tiles": checked.tiles,
            "files": checked.files,
            "diagnostics": diagnostics_json(checked.diagnostics),
        }
        write_json(document)
        return int(wrong)
    grouped = once(checked.diagnostics)
    if options.output == "markdown":
        write_text(_markdown(grouped, _summary(checked)))
        return int(wrong)
    if grouped:
        say(render_all(grouped, texts).rstrip("\n"))
    write_text(_summary(checked))
    return int(wrong)


def _summary(checked: Checked) -> str:
    from shplan.views.values import amount  # noqa: PLC0415

    errors = sum(one.severity is Severity.ERROR for one in checked.diagnostics)
    warnings = len(checked.diagnostics) - errors
    parts = [amount(errors, "error")] * bool(errors) + [amount(warnings, "warning")] * bool(
        warnings
    )
    found = f": {', '.join(parts)}" if parts else ": nothing is wrong with them"
    return f"Checked {amount(checked.files, 'file')} of {amount(checked.tiles, 'tile')}{found}."


def once(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Gather findings that differ in nothing but the file."""
    groups: dict[object, list[Diagnostic]] = {}
    for one in diagnostics:
        file, _, rest = one.what.partition(": ")
        name = file.rpartition("/")[2]
        groups.setdefault((one.code, rest, one.hint.replace(name, "")), []).append(one)
    return [_for_all(group) for group in groups.values()]


def _for_all(group: list[Diagnostic]) -> Diagnostic:
    first, *others = group
    if not others:
        return first
    names = ", ".join(one.what.partition(": ")[0] for one in others[:_NAMED])
    more = ", ..." if len(others) > _NAMED else ""
    return replace(first, what=f"{first.what}\nThe same in {len(others):,} more: {names}{more}")


def _markdown(diagnostics: Sequence[Diagnostic], summary: str) -> str:
    from shplan.views.markdown import code  # noqa: PLC0415 - names in buckets are anybody's

    lines = [f"**{summary}**", ""]
    for one in diagnostics:
        first, *others = one.what.splitlines()
        lines.append(f"- **{one.severity.value}** `{one.code}` {code(first, longest=_LONGEST)}")
        parts = [*(code(other, longest=_LONGEST) for other in others), one.why]
        if one.hint:
            parts.append(code(one.hint, longest=_LONGEST))
        lines += [f"  <br>{part}" for part in parts if part]
    return "\n".join(lines)
