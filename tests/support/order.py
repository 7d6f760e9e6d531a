"""
The tests that take longest begin first, so that at the end nobody works alone.

Workers of `--dist worksteal` begin with equal parts of the list, one after the other, and then take
from the ends of each other's. So the long ones stand at the beginning of every part, those of one
part as long together as those of another; the rest keeps its order. Without workers nothing moves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol, TypeVar

# Seconds of a slow machine, of those that take more than six; with parameters, of each of them.
LONG_S = {
    "cli/test_job_commands.py::test_what_runs_runs_on_where_the_ledger_cannot_be_had_again": 33,
    "cli/test_tampered_plan.py::test_a_changed_leaf_approves_nothing_else": 7,
    "cli/test_two_appliers.py::test_of_two_that_start_in_the_same_second_one_works": 10,
    "cli/test_two_appliers.py::test_while_the_first_waits_for_its_job_the_second_does_what_is_its_own": 12,
    "contract/test_schemathesis.py::test_created_objects_are_followed_at_length": 7,
    "contract/test_sentinelhub_batch_v1.py::test_the_client[check_version]": 12,
    "crash/test_crash_for_real.py::test_killed_and_run_again_it_is_as_if_nothing_had_happened": 10,
    "crash/test_crash_for_real.py::test_so_it_is_whatever_is_killed": 20,
    "crash/test_crash_for_real.py::test_so_it_is_wherever_the_ledger_lies": 25,
    "examples/test_ci.py::test_a_job_shows_its_price_in_the_pull_request_and_runs_once": 8,
    "examples/test_ci.py::test_from_a_branch_to_the_server_and_nothing_is_left": 7,
    "examples/test_examples.py::test_once_applied_nothing_is_left_to_do[08-evalscript-and-batch]": 12,
    "examples/test_examples.py::test_once_applied_nothing_is_left_to_do[10-many-jobs]": 8,
    "laws/test_canary.py::test_no_secret_is_in_any_artefact_of_any_command": 11,
    "laws/test_delivered_canary.py::test_no_key_of_a_bucket_is_in_any_artefact_of_any_command": 8,
    "laws/test_job_canary.py::test_no_key_of_a_bucket_is_in_any_artefact_of_any_command": 10,
    "laws/test_kinds_canary.py::test_no_secret_is_in_any_artefact_of_any_kind": 17,
    "laws/test_malicious_server.py::test_a_malicious_server_is_survived": 8,
    "laws/test_model.py::test_whatever_happens_the_model_holds": 7,
    "laws/test_model_commands.py::test_every_command_ends_as_foretold": 13,
    "laws/test_planning.py::test_every_optional_property_of_every_kind_occurs_set_and_unset": 8,
    "laws/test_planning.py::test_many_sequences_of_edits_end_where_the_last_one_alone_ends": 8,
    "laws/test_secret_places.py::test_a_secret_of_each_place_reaches_the_service_and_nothing_else": 7,
    "laws/test_shared_ledger.py::test_in_many_deaths": 10,
    "laws/test_shared_ledger.py::test_in_many_interleavings": 10,
    "ledger/backends/test_mutations.py::test_a_changed_bit_anywhere_in_a_row_is_reported": 18,
    "ledger/backends/test_postgres.py::test_a_connection_that_breaks_anywhere_loses_nothing_acknowledged": 10,
    "sandbox/test_async_process.py::test_the_largest_image_is_delivered": 8,
    "sandbox/test_bad_input.py::test_damaged_bodies": 7,
    "sandbox/test_bad_input.py::test_many_damaged_bodies": 12,
    "sandbox/test_batch_laws.py::test_nothing_is_paid_twice_and_looking_changes_nothing": 10,
    "sandbox/test_durability.py::test_servers_killed_many_times_keep_what_they_acknowledged": 8,
    "sandbox/test_settling.py::test_a_script_is_read_beside_one_that_has_no_end": 6,
    "sandbox/test_settling.py::test_an_endless_script_fails_its_task": 6,
    "scripts/test_demo.py::test_every_command_is_shown_and_ends_as_promised": 30,
}


class Named(Protocol):
    """What is known of a test."""

    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=Named)


def arranged(tests: Sequence[T], workers: int | None = None) -> list[T]:
    """
    The same tests in the order in which they had better be run.

    Args:
        workers: among whom they are divided; none: as many as there are
    """
    among = _workers() if workers is None else workers
    long = sorted(
        (one for one in tests if seconds(one)), key=lambda one: (-seconds(one), one.nodeid)
    )
    if among < 2 or not long:
        return list(tests)
    rest = [one for one in tests if not seconds(one)]
    parts: list[list[T]] = [[] for _ in range(among)]
    for one in long:
        min(parts, key=lambda part: sum(map(seconds, part))).append(one)
    found: list[T] = []
    # As they are divided: what is left over is for the last.
    size = len(tests) // among
    for part in parts:
        taken = max(size - len(part), 0)
        found += [*part, *rest[:taken]]
        del rest[:taken]
    return found + rest


def seconds(test: Named) -> int:
    """How long it takes; 0 where that is not worth a word."""
    name = test.nodeid.removeprefix("tests/")
    return LONG_S.get(name) or LONG_S.get(name.partition("[")[0], 0)


def _workers() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
