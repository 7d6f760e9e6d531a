"""
The states of a batch statistical task: those of batch processing, but for who ran out of units.

Pure. Source: the pages on batch statistics: such a task cannot be started again for an hour; PARTIAL stands in the
schema alone, so that it is a setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shplan.sandbox import batch_states

if TYPE_CHECKING:
    from shplan.sandbox.batch_states import Move, Standing
    from shplan.sandbox.settings import Settings


def act(standing: Standing, wanted: str, *, settings: Settings, now_ms: int) -> Move | None:
    """
    What an action does to a task.

    Returns:
        none if it is accepted without any effect

    Raises:
        IllegalActionError: it is not allowed now
    """
    is_poor = (standing.status, standing.reason) == (batch_states.STOPPED, batch_states.OUT_OF_PU)
    until_ms = standing.since_ms + round(settings.statistics_restart_after_s * 1000)
    if wanted == batch_states.START and is_poor and now_ms < until_ms:
        raise batch_states.illegal(standing, wanted)
    return batch_states.act(standing, wanted, settings=settings, now_ms=now_ms)
