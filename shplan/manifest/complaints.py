"""
What is wrong with the files of a project, gathered instead of stopping at the first.

The same fault is told once, and what follows from another is not told at all. A text that may be a secret is
blanked out of what messages show.
"""

from __future__ import annotations

from collections.abc import Sequence

from shplan.core.diagnostic import Diagnostic, SourceSpan, of_all_instances, ordered
from shplan.core.value import JsonObject, JsonValue
from shplan.core.value import Path as ValuePath
from shplan.manifest.expression_errors import ExpressionError
from shplan.manifest.origin import Origin
from shplan.manifest.resolve import FOLLOWS, diagnostic
from shplan.manifest.scanner import holds_expression
from shplan.manifest.source import Files, Texts
from shplan.manifest.violation import Violation


class Complaints:
    """
    The faults of one load.

    Args:
        files: whose texts messages show
    """

    def __init__(self, files: Files) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.told: set[Diagnostic] = set()
        self.masks: dict[str, list[tuple[int, int]]] = {}
        self.texts = Texts(files, self.masks)

    def ordered(self) -> tuple[Diagnostic, ...]:
        """Return everything, sorted by place, without what follows from something else."""
        told = (one for one in dict.fromkeys(self.diagnostics) if one.code != FOLLOWS)
        return of_all_instances(ordered(told))

    def complain(
        self,
        code: str,
        summary: str,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        span: SourceSpan | None = None,
        address: str = "",
        related: tuple[SourceSpan, ...] = (),
    ) -> None:
        """Say that something is wrong; `code` is the rule of this area."""
        self.diagnostics.append(
            Diagnostic(f"manifest/{code}", summary, what, why, hint, span, address, related=related)
        )

    def expression(
        self, origin: Origin, path: ValuePath, error: ExpressionError, address: str
    ) -> None:
        """Say that an expression fails, with the part of it that is at fault underlined."""
        if error.code == FOLLOWS:
            return
        span = origin.span(path)
        first, last = origin.stretch(path)
        if error.secret:
            self.masks.setdefault(span.file, []).append((first, last))
            span = origin.key(path)
        elif error.fragment:
            at = origin.text.text.find(error.fragment, first, last)
            if at >= 0:
                span = origin.text.at(at, len(error.fragment))
        found = diagnostic(error, span, address=address)
        if found not in self.told:
            self.told.add(found)
            self.diagnostics.append(found)

    def add(self, found: list[Diagnostic]) -> None:
        """Take over what others have found, each once."""
        fresh = [one for one in dict.fromkeys(found) if one not in self.told]
        self.told.update(fresh)
        self.diagnostics += fresh

    def tell(
        self,
        wrong: Sequence[Violation],
        origin: Origin,
        address: str,
        *,
        raw: JsonObject | None = None,
    ) -> None:
        """Say what a schema finds wrong with a document."""
        for one in wrong:
            span = origin.key(one.path) if one.at_key else origin.span(one.path)
            hint = one.hint
            if one.code == "manifest/type" and _is_expression(raw, one.path):
                hint = (
                    "add `| string` inside the braces"
                    if "must be a text" in one.what
                    else "add `| int`, or `| float`"
                )
            found = Diagnostic(one.code, one.summary, one.what, one.why, hint, span, address)
            if found not in self.told:
                self.told.add(found)
                self.diagnostics.append(found)


def _is_expression(raw: JsonObject | None, path: ValuePath) -> bool:
    node: JsonValue = raw
    for step in path:
        if isinstance(node, dict) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return False
    return isinstance(node, str) and holds_expression(node)
