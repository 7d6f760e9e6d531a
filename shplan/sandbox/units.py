"""
Processing units that an account can still spend, where a setting says how many it has.

Whatever charges or reserves asks here, so that no API spends what another one holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shplan.sandbox import batch_v1_rows
from shplan.sandbox.errors import INSUFFICIENT_PROCESSING_UNITS, ApiError

if TYPE_CHECKING:
    from shplan.sandbox.world import World


def left(world: World, account: str, *, beside: int = 0) -> float:
    """
    The units that are neither spent nor reserved; infinite without a limit.

    Args:
        beside: number of the batch request of version 1 whose own reserve does not count
    """
    limit = world.settings.account_pu
    if limit is None:
        return math.inf
    held = batch_v1_rows.reserved(world.store, account, beside=beside)
    return limit - world.store.charged(account) - held


def insufficient() -> ApiError:
    """403: the account has too few of them."""
    msg = "There are insufficient processing units available in your account."
    return ApiError(403, INSUFFICIENT_PROCESSING_UNITS, msg)
