"""
Features of a batch task delivered: opened in the loop, computed and written in a thread.

What goes wrong with one feature is the failure of that feature, in words for the task's owner. A
process that dies meanwhile leaves whole files only, and the next one writes the same again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shplan.sandbox.objects import ObjectStoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shplan.sandbox.batch_paths import Delivery
    from shplan.sandbox.batch_rows import Feature
    from shplan.sandbox.feature_files import Delivered, FeatureWork
    from shplan.sandbox.result_files import ResultFile
    from shplan.sandbox.scripts import Scripts
    from shplan.sandbox.storage import Storage
    from shplan.sandbox.wire import JsonObject
    from shplan.sandbox.world import World
    from shplan.script.worker import Worker

# What is computed before its outcome is stored, so that little is lost if the process dies, and
# whoever waits sees progress; features are opened in the loop, so they are few at a time.
MOST_FEATURES = 16
MOST_PIXELS = 1 << 22

# Source: the batch pages, "execution database": what an empty feature has for an error.
NO_DATA = "No data"
UNWRITABLE = "The files of the feature cannot be written."
# A bug of the sandbox; the tests look for it.
UNFORESEEN = "The feature is not understood."


@dataclass(frozen=True, slots=True)
class Job:
    """
    What the features of a task have in common.

    Args:
        account: whose it is
        request: as version 2 has it
        created_ms: when it was created
    """

    account: str
    request: JsonObject
    delivery: Delivery
    created_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """
    What became of features, by their numbers.

    Args:
        failed: why
        empty: those that were delivered, and have no pixel with data
    """

    failed: dict[int, str] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Courier:
    """Features that are ready to be computed, by their numbers, and what that takes."""

    scripts: Scripts
    storage: Storage
    delivery: Delivery
    works: Mapping[int, tuple[str, FeatureWork]]

    def deliver(self) -> dict[int, str]:
        """
        Compute all of them and write their files; for a thread.

        Returns:
            why features failed, by their numbers
        """
        return self.told().failed

    def told(self) -> Told:
        """The same, with those among which there was nothing to read."""
        told = Told()
        with self.scripts.worker() as worker:
            for n, (name, work) in self.works.items():
                made = self._delivered(worker, name, work)
                if made.failure is not None:
                    told.failed[n] = made.failure
                elif not made.has_data:
                    told.empty.add(n)
        return told

    def _delivered(self, worker: Worker, name: str, work: FeatureWork) -> Delivered:
        from shplan.sandbox.feature_files import Delivered  # noqa: PLC0415 heavy, as below

        try:
            made = work.files(worker)
            for file in made.files:
                self._write(name, file)
        except ObjectStoreError as error:
            return Delivered(failure=f"{UNWRITABLE[:-1]}: {error}")
        except OSError:
            return Delivered(failure=UNWRITABLE)
        except Exception:  # noqa: BLE001 one bad feature must not keep others from being served
            return Delivered(failure=UNFORESEEN)
        return made

    def _write(self, name: str, file: ResultFile) -> None:
        place = self.delivery.output(tile=name, output=file.identifier, media_type=file.media_type)
        key = f"{place.key}/{file.key}" if file.key else place.key
        self.storage.put(replace(place, key=key), file.content)


def chunk(sizes: Iterable[tuple[int, int]]) -> int:
    """How many features, of these widths and heights in pixels, are handled before it is stored."""
    count = pixels = 0
    for width, height in sizes:
        pixels += width * height
        if count and (count == MOST_FEATURES or pixels > MOST_PIXELS):
            break
        count += 1
    return count


def opened(world: World, job: Job, features: Mapping[int, Feature]) -> Courier:
    """Open what features of a task read; the store is not needed afterwards."""
    # Heavy, and opening a sandbox needs none of it.
    from shplan.sandbox import feature_files  # noqa: PLC0415

    form = feature_files.form_of(job.request, created_ms=job.created_ms)
    process = job.request["processRequest"]
    assert isinstance(process, dict)  # as the schema has it

    def works() -> Iterator[tuple[int, tuple[str, FeatureWork]]]:
        for n, feature in features.items():
            work = feature_files.opened(
                world,
                job.account,
                process,
                epsg=feature.epsg,
                shape=feature.shape,
                width=feature.width,
                height=feature.height,
                form=form,
            )
            yield n, (feature.name, work)

    return Courier(world.scripts, world.storage, job.delivery, dict(works()))


def has_group(job: Job) -> bool:
    """Whether the task's files are a Zarr group."""
    output = job.request["output"]
    return isinstance(output, dict) and output["type"] == "zarr"


def group_failure(storage: Storage, job: Job, *, at_ms: int) -> str | None:
    """
    Write what a Zarr group says of itself, before any of its chunks is there; for a thread.

    Returns:
        why it cannot be written, in words for the task's owner
    """
    from shplan.sandbox import feature_files, zarr_layout  # noqa: PLC0415 as above

    form = feature_files.form_of(job.request, created_ms=job.created_ms)
    assert form.zarr is not None
    try:
        for key, content in zarr_layout.metadata_files(job.request, form.zarr, changed_ms=at_ms):
            storage.put(job.delivery.beside(key), content)
    except ObjectStoreError as error:
        return f"The group cannot be written: {error}"
    except OSError:
        return "The group cannot be written."
    return None
