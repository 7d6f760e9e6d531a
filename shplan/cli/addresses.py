"""
Addresses that nobody has: the refusal says which one was probably meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shplan.core.errors import PlanError

# Of those that there are, so many are named where none is near.
_NAMED = 5


def no_such(
    address: str, known: Iterable[str], *, what: str, summary: str = "No such address"
) -> PlanError:
    """
    The refusal of an address.

    Args:
        known: the addresses that could have been meant
        what: why it is refused, in a sentence
    """
    import difflib  # noqa: PLC0415 - only who mistypes pays for it

    from shplan.core.diagnostic import Diagnostic  # noqa: PLC0415
    from shplan.core.errors import PlanError  # noqa: PLC0415

    names = sorted(set(known))
    near = difflib.get_close_matches(address, names, n=1, cutoff=0.4)
    others = f"known: {', '.join(names[:_NAMED]) or 'none'}"
    diagnostic = Diagnostic(
        code="cli/address",
        summary=summary,
        what=what,
        hint=f"did you mean {near[0]}?" if near else others,
    )
    return PlanError(what, diagnostics=(diagnostic,))
