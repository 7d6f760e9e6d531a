"""
The adapters and facts that a command hands to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shplan.core.value import JsonObject

if TYPE_CHECKING:
    from shplan.core.request import Answer
    from shplan.engine.ports import (
        Api,
        Clock,
        EventSink,
        ProjectFiles,
        Resolver,
        Storage,
    )
    from shplan.engine.receipts import ReceiptFiles
    from shplan.providers.base import Provider, Settings


@dataclass(frozen=True, slots=True)
class World:
    """
    The adapters and facts that an apply works with.

    Args:
        deployment: its identity, as the ledger's entries carry it
        storage: the buckets, None where they cannot be read
        tables: published tables of the service by name, as data
        files: those of the project, None where answers go nowhere
        receipts: receipt files of this environment, None where the project keeps none
        paid: answers to what is asked once in a command, by the digest of the request
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
    tables: Mapping[str, JsonObject] = field(default_factory=dict)
    files: ProjectFiles | None = None
    receipts: ReceiptFiles | None = None
    paid: dict[str, Answer] = field(default_factory=dict)

    @property
    def asked_pu(self) -> float:
        """What the service has billed for what is asked once, as it said itself."""
        return sum(answer.spent_pu or 0.0 for answer in self.paid.values())
