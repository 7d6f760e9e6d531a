"""
The adapters and facts that a command hands to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shplan.engine.ports import Api, Clock, EventSink, Resolver, Storage
    from shplan.providers.base import Provider, Settings


@dataclass(frozen=True, slots=True)
class World:
    """
    The adapters and facts that an apply works with.

    Args:
        deployment: its identity, as the ledger's entries carry it
        storage: the buckets, None where they cannot be read
    """

    api: Api
    clock: Clock
    events: EventSink
    registry: Mapping[str, Provider]
    resolver: Resolver
    settings: Settings
    deployment: str
    parallelism: int = 8
    storage: Storage | None = None
