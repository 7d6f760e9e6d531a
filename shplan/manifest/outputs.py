"""
Files that answers go to, looked at together: no two addresses write one file, and none of them one
that the project itself is made of.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from shplan.core.diagnostic import Diagnostic
from shplan.core.frozen import dataclass
from shplan.core.key_format import holds_key
from shplan.core.resource import Desired


class Written(Protocol):
    """Where the answer of one address goes."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path below the project, `{{ run.key }}` still in it."""
        ...


@runtime_checkable
class Writing(Protocol):
    """A kind whose answers are files."""

    def writes(self, desired: Desired) -> Written | None:
        """Return where an answer goes, None while that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class _Claim:
    path: str
    desired: Desired


def check_outputs(
    resources: Iterable[tuple[Desired, object]], *, files: Collection[str]
) -> list[Diagnostic]:
    """
    Return a message for each file that two would write, and for each that the project needs.

    Args:
        resources: each with its kind
        files: what was read while loading, below the project
    """
    claims = [
        _Claim(path, desired)
        for desired, kind in resources
        if isinstance(kind, Writing)
        for path in _paths(kind, desired)
    ]
    return [*_twice(claims), *_occupied(claims, files)]


def _paths(kind: Writing, desired: Desired) -> tuple[str, ...]:
    written = kind.writes(desired)
    return () if written is None else written.paths


def _same(path: str) -> str:
    """Return what some file systems take for the same name."""
    return unicodedata.normalize("NFC", path).casefold()


def _twice(claims: Sequence[_Claim]) -> Iterator[Diagnostic]:
    first: dict[str, _Claim] = {}
    told: set[tuple[object, object]] = set()
    for claim in claims:
        before = first.setdefault(_same(claim.path), claim)
        if before is claim or _are_one_run(before, claim):
            continue
        pair = (before.desired.address.base, claim.desired.address.base)
        if pair not in told:
            told.add(pair)
            yield _shared(before, claim)
    for claim in claims:
        steps = claim.path.split("/")
        for count in range(1, len(steps)):
            above = first.get(_same("/".join(steps[:count])))
            if above is not None:
                yield _below(above, claim)
                break


def _are_one_run(before: _Claim, claim: _Claim) -> bool:
    """With the run key in a path it is another file for each request."""
    return before.path == claim.path and holds_key(claim.path)


def _shared(before: _Claim, claim: _Claim) -> Diagnostic:
    one, other = before.desired, claim.desired
    spelt = "" if before.path == claim.path else f" (there as {before.path})"
    instances = one.address.base == other.address.base and one.address != other.address
    return Diagnostic(
        "run/output-shared",
        "Two answers in one file",
        f"{other.address} writes {claim.path}, and so does {one.address}{spelt}.",
        "Each would write over the other's answer, and both are paid."
        if not spelt
        else "Some file systems take the two names for one.",
        "write {{ each.key }} into the path" if instances else "give each a path of its own",
        other.source.span(("run", "output")),
        address=str(other.address),
        related=() if instances else (one.source.span(("run", "output")),),
    )


def _below(above: _Claim, claim: _Claim) -> Diagnostic:
    return Diagnostic(
        "run/output-shared",
        "A file below a file",
        f"{claim.desired.address} writes {claim.path}, and {above.path} is a file"
        f" that {above.desired.address} writes.",
        hint="give one of them another path",
        span=claim.desired.source.span(("run", "output")),
        address=str(claim.desired.address),
        related=(above.desired.source.span(("run", "output")),),
    )


def _occupied(claims: Sequence[_Claim], files: Collection[str]) -> Iterator[Diagnostic]:
    read = {_same(path): path for path in files}
    parents = {
        "/".join(steps[:count]): path
        for path in files
        for steps in (_same(path).split("/"),)
        for count in range(1, len(steps))
    }
    for claim in claims:
        name = _same(claim.path)
        steps = name.split("/")
        above = next((n for n in range(1, len(steps)) if "/".join(steps[:n]) in read), 0)
        hit = read.get(name) or parents.get(name) or read.get("/".join(steps[:above]), "")
        if hit:
            yield Diagnostic(
                "run/output-occupied",
                "A file of the project is in the way",
                f"{claim.desired.address} would write {claim.path}, and {hit} is read"
                " by this project.",
                "An answer never takes the place of a manifest, a script or an input.",
                "name another path, e.g. below out/",
                claim.desired.source.span(("run", "output")),
                address=str(claim.desired.address),
            )


__all__ = ["Writing", "check_outputs"]
