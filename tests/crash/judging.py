"""
Whether a run that was killed came to the same end as one that was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.crash.stand import EndState

_SHOWN = 240


def differences(
    calm: EndState, found: EndState, *, lost: bool, further_pu: float = 0.0
) -> Iterator[str]:
    """
    Say what is not as it would be had nothing happened.

    Args:
        calm: the end of the undisturbed run
        lost: the ledger was lost. Then a task that was made, and not yet started, may lie beside the
            one that ran: to make one is free, and nobody knows any more whose it was.
        further_pu: what kinds whose answer is the product may have paid once more
    """
    yield from _of("objects", calm.objects, found.objects)
    if not lost:
        yield from _of("tasks that were never started", calm.unstarted, found.unstarted)
    twice = {run: count for run, count in found.starts.items() if count != 1}
    if twice:
        yield f"not one START for each run key and attempt: {twice}"
    if len(found.starts) != len(calm.starts):
        yield f"{len(found.starts)} runs were started; undisturbed {len(calm.starts)}"
    if found.accepted_starts != calm.accepted_starts:
        yield (f"{found.accepted_starts} STARTs were accepted; undisturbed {calm.accepted_starts}")
    if not calm.pu <= found.pu <= calm.pu + further_pu:
        yield f"{found.pu} PU were paid; undisturbed {calm.pu}, and {further_pu} more may be"


def _of(what: str, calm: Counter[str], found: Counter[str]) -> Iterator[str]:
    if calm == found:
        return
    yield f"other {what}\n  missing: {_shown(calm - found)}\n  too many: {_shown(found - calm)}"


def _shown(objects: Counter[str]) -> str:
    return "; ".join(f"{n} x {text[:_SHOWN]}" for text, n in objects.items()) or "nothing"
