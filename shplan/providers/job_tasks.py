"""
The tasks of one reading of a list, by what a job knows of its own: id, marker, place of delivery.

A list shows everybody's tasks. A thousand jobs that look into one reading would read every marker
a thousand times; here each task is understood once, and a job sees only what may be its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, cast

from shplan.core.key_format import put_key
from shplan.core.marker import read_marker
from shplan.core.run_key import SHORT_LENGTH

if TYPE_CHECKING:
    from shplan.core.value import JsonValue, Object
    from shplan.providers.job import JobApi, Task


class TaskIndex:
    """Finds the tasks that may belong to a job; whether one does, `belongs` decides."""

    __slots__ = ("_by_id", "_by_key", "_unmarked")

    def __init__(self, api: JobApi, rows: Iterable[tuple[JsonValue, ...]]) -> None:
        self._by_id: dict[str, Task] = {}
        self._by_key: dict[str, list[Task]] = {}
        self._unmarked: dict[str, list[Task]] = {}
        columns = () if api.listing is None else api.listing.columns
        for row in rows:
            task = api.task_of(dict(zip(columns, row, strict=True)))
            self._by_id[task.id] = task
            marker = read_marker(task.description)
            if marker is not None:
                self._by_key.setdefault(marker.key[:SHORT_LENGTH], []).append(task)
            elif task.request is not None:
                self._unmarked.setdefault(api.delivery(cast("Object", task.request)), []).append(
                    task
                )

    def get(self, task: str) -> Task | None:
        """Return the task of an id, None where the list did not show it."""
        return self._by_id.get(task)

    @property
    def ids(self) -> AbstractSet[str]:
        """Every task that the list has shown."""
        return self._by_id.keys()

    def candidates(self, short: str, delivery: str) -> tuple[Task, ...]:
        """
        Return the tasks whose marker names a key, and those without one that deliver where it does.

        Args:
            short: the first digits of the run key, as `RunKey.short`
            delivery: as the manifest states it, perhaps with the key's placeholder
        """
        # Of an address that nobody knows every place may be the one.
        places = dict.fromkeys((delivery, put_key(delivery, short))) if delivery else self._unmarked
        unmarked = [task for place in places for task in self._unmarked.get(place, ())]
        return (*self._by_key.get(short, ()), *unmarked)
