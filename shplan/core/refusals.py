"""
Why a planned change may not be carried out, in words: what is protected, and what only a person can tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from shplan.core.address import Address
from shplan.core.change import Refusal, RefusalKind
from shplan.core.diagnostic import Diagnostic


def import_command(address: Address, what: str) -> str:
    """Return the command that confirms something, as it is typed: keys of instances hold signs of shells."""
    from shlex import quote  # noqa: PLC0415

    return f"shplan import {quote(str(address))} {quote(what)}"


def protected(address: Address, verb: str) -> Refusal:
    """Say that a protection forbids a change (exit 5)."""
    return Refusal(
        RefusalKind.PROTECTED,
        Diagnostic(
            code="plan/prevent-destroy",
            summary="Protected by preventDestroy",
            what=f"{address} would be {verb}, and it was applied with `preventDestroy: true`.",
            why="The protection outlives the manifest, so that removing a file cannot remove data.",
            hint=(
                "declare it with `lifecycle: {preventDestroy: false}`, apply that, and then delete;"
                f" or keep the object and list {address} under `forget` in shplan.yaml"
            ),
            address=str(address),
        ),
    )


def ambiguous(address: Address, candidates: Iterable[str], *, what: str, hint: str = "") -> Refusal:
    """
    Say that several objects fit and a person must choose (exit 7).

    Args:
        hint: how to choose, where an import is not the way
    """
    ids = list(candidates)
    return Refusal(
        RefusalKind.UNDECIDED,
        Diagnostic(
            code="plan/ambiguous",
            summary="Several objects fit",
            what=f"{address}: {len(ids)} {what}: {', '.join(ids)}.",
            why="Names are not unique on the service, and nothing tells which of them is meant.",
            hint=hint or import_command(address, ids[0]),
            address=str(address),
        ),
    )


def same_key(address: Address, others: Iterable[Address]) -> Refusal:
    """Say that several resources name the same object, so that none of them is told apart."""
    names = ", ".join(str(other) for other in others)
    return Refusal(
        RefusalKind.PROTECTED,
        Diagnostic(
            code="plan/same-key",
            summary="Two resources name the same object",
            what=f"{address} and {names} have the same natural key, and no ids yet.",
            why="Objects are found by it where no id is known, so both would bind the same one.",
            hint="give one of them another name",
            address=str(address),
        ),
    )


def not_moved(old: Address, new: Address) -> Refusal:
    """Say that `moved` names an address that has an object already (exit 5)."""
    return Refusal(
        RefusalKind.PROTECTED,
        Diagnostic(
            code="plan/moved-onto",
            summary="Moved onto something that exists",
            what=f"`moved` says that {old} is {new} now, and each of them has an object of its own.",
            why=f"The object of {old} cannot become the other, and deleting it is not what was said.",
            hint=(
                f"remove the entry to delete the object of {old};"
                f" or list {new} under `forget`, apply that, and then move"
            ),
            address=str(old),
        ),
    )


def probable_rename(old: Address, new: Address) -> Refusal:
    """Say that a delete and a create describe one object, with the entry to paste (exit 5)."""
    return Refusal(
        RefusalKind.PROTECTED,
        Diagnostic(
            code="plan/probable-rename",
            summary="Probably a rename",
            what=f"{old} would be deleted and {new} created, and they describe the same object.",
            why="Deleting and creating again would lose what the object holds.",
            hint=f"moved: [{{from: {old}, to: {new}}}]",
            address=str(old),
        ),
    )
