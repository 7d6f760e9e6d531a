"""
Waiting until the tiles of a set are ingested, and telling which of them failed and why.
"""

from __future__ import annotations

from shplan.core.value import JsonValue
from shplan.providers.base import ChangeFailedError, Fault
from shplan.providers.steps import Flow, Progress, Scan, Wait
from shplan.providers.tile_requests import CAUSE, IN_PROGRESS, list_tiles
from shplan.providers.tile_work import TileWork, place_of, values_of

INGESTION_FAILED = "ingestion failed"


def wait_for_ingestion(work: TileWork) -> Flow[None]:
    """
    Wait until no tile of ours is on its way, then collect the failures.

    Dependents of the set wait for this: a tile that is not ingested has no pixels.
    """
    ours = set(work.awaited) | {
        str(tile) for tile in values_of(work.change.current.get("ingesting"))
    }
    if not ours:
        return
    if work.settings.list_lag_s and work.awaited:
        yield Wait(work.settings.list_lag_s, "new tiles may not be listed yet", looks=True)
    waited = 0.0
    while True:
        remaining = yield from _on_their_way(work, ours)
        yield Progress(len(ours) - remaining, len(ours), "tiles ingested")
        if not remaining:
            break
        if waited >= work.settings.timeout_s:
            message = f"{remaining} tiles are still being ingested; the same command resumes"
            raise ChangeFailedError(message)
        pause = work.settings.poll_s
        yield Wait(pause, f"{remaining} tiles are being ingested", looks=True)
        waited += pause
    yield from _collect_failures(work, ours)


def _on_their_way(work: TileWork, ours: set[str]) -> Flow[int]:
    counted = 0

    def take(rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        nonlocal counted
        counted += sum(1 for (tile,) in rows if tile in ours)

    # One after the other, in the order in which a tile passes through: side by side, one that
    # moves on between two lists could be missing from both.
    for status in IN_PROGRESS:
        yield Scan(list_tiles(work.collection, ("id",), status=status), take)
    return counted


def _collect_failures(work: TileWork, ours: set[str]) -> Flow[None]:
    failed: list[tuple[str, str, str]] = []

    def take(rows: tuple[tuple[JsonValue, ...], ...]) -> None:
        failed.extend(
            (str(tile), str(path), str(cause or "no cause given"))
            for tile, path, cause in rows
            if tile in ours
        )

    yield Scan(list_tiles(work.collection, ("id", "path", CAUSE), status="FAILED"), take)
    for tile, path, cause in sorted(failed, key=lambda one: one[1]):
        place = place_of(work.awaited.get(tile))
        work.faults.append(Fault(place, f"{path}: {INGESTION_FAILED}: {cause}"))
