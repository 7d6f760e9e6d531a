"""Which files of a place are the results of a batch statistical task, and what they tell of its features."""

from __future__ import annotations

import json

import pytest

from shplan.providers import statistics_results
from shplan.providers.statistics_results import results_of
from tests.providers.support import driven

TASK = "0c9f1d0e-7a53-4b5e-9d3f-2f0e6a1b4c77"


def result(number: int, identifier: str, error: str = "") -> bytes:
    told = {"error": {"message": error}} if error else {"response": {"data": []}}
    return json.dumps({"id": number, "identifier": identifier, **told}).encode()


@pytest.mark.parametrize("template", ["<IDENTIFIER>", "<REQUEST_ID>/<ID>-<IDENTIFIER>"])
def test_an_identifier_with_a_slash_fails_where_everybody_sees_it(template: str) -> None:
    def at(number: int, identifier: str) -> str:
        step = template.replace("<REQUEST_ID>", TASK).replace("<ID>", str(number))
        return f"fields/{step.replace('<IDENTIFIER>', identifier)}.json"

    files = {
        at(1, "north"): result(1, "north"),
        at(2, "south/2"): result(2, "south/2", "no imagery"),
        # Of another task, which delivers into a folder below.
        at(3, "other/3"): result(3, "3", "not ours"),
        at(4, "other/4"): b"no JSON",
        at(5, "other/5"): b"[]",
    }
    found = driven(results_of(f"s3://results/fields/{template}.json", TASK), files)
    assert (found.total, found.failed) == (2, {"south/2": "no imagery"})


def test_numbers_have_no_slashes() -> None:
    files = {"fields/1.json": result(1, "a"), "fields/2/3.json": result(3, "b", "not ours")}
    found = driven(results_of("s3://results/fields/<ID>.json", TASK), files)
    assert (found.total, found.failed) == (1, {})


def test_what_is_too_much_to_read_still_counts_and_failures_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics_results, "MOST_READ", 2)
    files = {f"fields/a/{number}.json": result(number, f"a/{number}") for number in range(4)}
    files["fields/z/9.json"] = json.dumps({"identifier": "z/9", "error": "no"}).encode()
    found = driven(results_of("s3://results/fields/<IDENTIFIER>.json", TASK), files)
    assert found.total == 5
    assert found.failed == {"z/9": "no", "...": "only the 2 smallest of 5 files were read"}
