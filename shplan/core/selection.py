"""
Selections: which addresses a command is about.

    Kind/name, Kind/name[key]   one resource, or all instances of it
    Kind/*                      a kind; `*` stands for anything in any part
    label:k=v                   resources with a label
    path:manifests/a.yaml       resources declared in a file, or below a directory
    state:changed               resources that the plan would change
    +EXPR, EXPR+                with what it depends on, with what depends on it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from fnmatch import fnmatchcase

from shplan.core.address import Address
from shplan.core.diagnostic import Diagnostic
from shplan.core.errors import PlanError
from shplan.core.frozen import dataclass
from shplan.core.graph import closure, reverse


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    What a selection may know of one address.

    Args:
        file: where it is declared, empty for what is no longer declared
        changed: the plan would send or record something
    """

    depends_on: tuple[Address, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """What `--select` and `--exclude` say, as typed."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.select or self.exclude)

    def addresses(self, candidates: Mapping[Address, Candidate]) -> frozenset[Address]:
        """
        Return the selected addresses.

        Raises:
            PlanError: an expression matches nothing, with the nearest name
        """
        chosen = _union(self.select, candidates) if self.select else set(candidates)
        return frozenset(chosen - _union(self.exclude, candidates))


def _union(expressions: Iterable[str], candidates: Mapping[Address, Candidate]) -> set[Address]:
    chosen: set[Address] = set()
    for expression in expressions:
        chosen |= _matching(expression, candidates)
    return chosen


def _matching(expression: str, candidates: Mapping[Address, Candidate]) -> set[Address]:
    body = expression.removeprefix("+").removesuffix("+")
    found = {one for one, facts in candidates.items() if _fits(body, one, facts)}
    if not found:
        raise _nothing(expression, body, candidates)
    edges = {address: facts.depends_on for address, facts in candidates.items()}
    chosen = set(found)
    if expression.startswith("+"):
        chosen |= closure(found, edges) & candidates.keys()
    if expression.endswith("+"):
        chosen |= closure(found, reverse(edges)) & candidates.keys()
    return chosen


def _fits(body: str, address: Address, facts: Candidate) -> bool:
    head, colon, rest = body.partition(":")
    if colon and head == "label":
        name, _, value = rest.partition("=")
        return facts.labels.get(name) == value
    if colon and head == "path":
        return facts.file == rest or facts.file.startswith(rest.rstrip("/") + "/")
    if colon and head == "state":
        return rest == "changed" and facts.changed
    # Brackets are part of an address, not a set of characters.
    pattern = body.replace("[", "[[]")
    return fnmatchcase(str(address), pattern) or fnmatchcase(str(address.base), pattern)


def _nothing(expression: str, body: str, candidates: Mapping[Address, Candidate]) -> PlanError:
    import difflib  # noqa: PLC0415 - only who mistypes pays for it

    names = sorted({str(address) for address in candidates})
    near = difflib.get_close_matches(body, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names[:5]) or 'nothing'}"
    diagnostic = Diagnostic(
        code="cli/selection",
        summary="Selection matches nothing",
        what=f"`{expression}` matches no resource.",
        why="A selection that matches nothing is nearly always a typing error.",
        hint=hint,
    )
    return PlanError(diagnostic.what, diagnostics=(diagnostic,))
