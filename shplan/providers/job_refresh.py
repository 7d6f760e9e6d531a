"""
What a plan has to know of jobs before it decides: their tasks, their files, what the catalogue says.
"""

from __future__ import annotations

from collections.abc import Mapping

from shplan.core.acquisitions import Catalogue
from shplan.core.address import Address
from shplan.core.prices import PriceInput
from shplan.core.resource import Receipt
from shplan.providers.base import Surroundings, Wanted
from shplan.providers.job import JobApi, JobView, Phase
from shplan.providers.job_files import around_in, feature_files, features_in, file_digests
from shplan.providers.job_find import Sought, find_listed, sought_for
from shplan.providers.observation import Absent, Binding, Observation, Observed
from shplan.providers.steps import Flow


def refresh_jobs(
    api: JobApi, wanted: tuple[Wanted, ...], surroundings: Surroundings
) -> Flow[dict[Address, Observation]]:
    """
    Find the tasks of all these jobs by one list; none is asked for that has its receipt.

    Raises:
        ManifestError: a file that a request refers to can neither be read nor is its digest stated
    """
    digests = yield from file_digests(api, [one.desired for one in wanted])
    seeking: dict[Address, Sought] = {}
    for one in wanted:
        seeking[one.address] = sought_for(api, one, digests, surroundings)
    open_ = [one for one in seeking.values() if one.is_open]
    if open_ and api.listing is None:
        from shplan.providers.job_unlisted import find_unlisted  # noqa: PLC0415 - few kinds

        yield from find_unlisted(api, open_, surroundings)
    elif open_:
        yield from find_listed(api, open_, surroundings)
    priced = [one for one in seeking.values() if one.is_open or one.key is None]
    files = yield from feature_files(api, [one.request for one in priced])
    catalogue = yield from _acquisitions(api, wanted, seeking, surroundings, files)
    found: dict[Address, Observation] = {}
    for address, sought in seeking.items():
        evidence = sought.evidence
        if evidence is None and api.listing is not None:
            evidence = yield from _evidence(api, sought, surroundings)
        view = JobView(
            sought.given,
            sought.key,
            sought.run,
            tuple(sorted(sought.tasks.values(), key=lambda task: task.age)),
            evidence,
            features_in(api, sought.request, files),
            sought.unfinished,
            tuple(sought.lost),
            catalogue,
            sought.files,
            around_in(api, sought.request, files),
        )
        found[address] = Absent() if _is_empty(sought) else _observed(view)
    return found


def _is_empty(sought: Sought) -> bool:
    """Nobody wants it any more, and nothing of it is known."""
    return sought.request is None and sought.run is None and not sought.tasks


def _observed(view: JobView) -> Observed:
    task = view.tasks[0].id if view.tasks else ""
    return Observed(task, {}, Binding.RECORDED if view.run else Binding.NATURAL_KEY, detail=view)


def _acquisitions(
    api: JobApi,
    wanted: tuple[Wanted, ...],
    seeking: Mapping[Address, Sought],
    surroundings: Surroundings,
    files: Mapping[str, bytes],
) -> Flow[Catalogue]:
    """Ask the catalogue about the jobs that may be started, whose price depends on it."""
    if not surroundings.asks_catalogue:
        return Catalogue()
    from shplan.providers.acquisitions import ask_catalogue  # noqa: PLC0415 - not for every plan

    asked = []
    for one in wanted:
        sought, desired = seeking[one.address], one.desired
        started = any(task.phase is not Phase.WAITING for task in sought.tasks.values())
        if desired is None or desired.script is None or started or not one.priced:
            continue
        if sought.is_open or sought.key is None:
            request = api.in_common_words(desired.spec)
            around = around_in(api, sought.request, files)
            asked.append(PriceInput(request, desired.script, surroundings.tables, around=around))
    return (yield from ask_catalogue(asked, now=surroundings.now))


def _evidence(api: JobApi, one: Sought, surroundings: Surroundings) -> Flow[Receipt | None]:
    """
    Read how a task has ended that was started and is gone, from what it left in the bucket.

    A START without a receipt and without a task is never run again on a guess.
    """
    from shplan.providers.job_outcome import receipt_from_bucket  # noqa: PLC0415 - rarely needed
    from shplan.providers.job_parts import most_parts  # noqa: PLC0415

    run = one.run
    if run is None or one.given is None or one.key is None:
        return None
    for number in sorted(run.attempts, reverse=True):
        attempt = run.attempts[number]
        if attempt.ended or run.is_settled(number):
            continue
        for task in sorted(attempt.started - one.tasks.keys()):
            parts = most_parts(api, one.given.request, surroundings.tables)
            found: Receipt | None = yield from receipt_from_bucket(
                api, one.given, one.key, task=task, attempt=number, parts=parts
            )
            if found is not None:
                return found
    return None


__all__ = ["refresh_jobs"]
