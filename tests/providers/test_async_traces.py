"""What buckets tell of asynchronous requests, wherever the sandbox writes their files."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from shplan.core.address import Address
from shplan.core.key_format import put_key
from shplan.core.marker import make_marker, script_with_marker
from shplan.core.run_key import RunInput, RunKey, run_key
from shplan.providers.async_traces import trace_of, witnesses_of
from shplan.providers.job import Phase, belongs
from shplan.sandbox.async_paths import ERROR, REQUEST, delivery
from shplan.sandbox.batch_paths import DeliveryError
from tests.providers.support import driven
from tests.support.delivered import async_body

ID = "0c9f1d0e-7a53-4b5e-9d3f-2f0e6a1b4c77"
OTHER = "11111111-7a53-4b5e-9d3f-2f0e6a1b4c77"
NAMES = {"red": "red.tif", "mask": "mask.png", "userdata": "userdata.json"}
PART = st.sampled_from(["a", "b.c", "<REQUEST_ID>", "<OUTPUT>", "{{ run.key }}", "x-"])
STEP = st.lists(PART, min_size=1, max_size=2).map("".join)
URLS = st.lists(STEP, max_size=4).map(lambda steps: "/".join(["s3://results", *steps]))


def asked(url: str) -> tuple[RunInput, RunKey]:
    responses = [{"identifier": name} for name in NAMES]
    request = async_body(url=url, responses=responses)
    made = RunInput("AsyncProcess", "v1", "sandbox", request)
    return made, run_key(made)


def written(url: str, task: str = ID, *, over: str = "done") -> dict[str, bytes]:
    """The files of a request as the sandbox writes them."""
    made, key = asked(url)
    try:
        place = delivery(put_key(url, key.short), request_id=task, names=tuple(NAMES.values()))
    except DeliveryError:
        assume(False)
    marker = make_marker(
        project="p", address=Address("AsyncProcess", "a"), key=key.short, attempt=1
    )
    sent: Any = {**async_body(url=put_key(url, key.short)), "output": made.request["output"]}
    sent["output"] = {**sent["output"], "delivery": {"s3": {"url": put_key(url, key.short)}}}
    sent["evalscript"] = script_with_marker(sent["evalscript"], marker)
    copy: Any = {"id": task, "request": sent}
    files = {}
    if over == "done":
        copy["costPU"] = 12.5
        files = {place.output(name).key: b"pixels" for name in NAMES.values()}
    if over == "failed":
        files[place.beside(ERROR).key] = json.dumps(
            {"id": task, "error": {"message": "no"}}
        ).encode()
    return {**files, place.beside(REQUEST).key: json.dumps(copy).encode()}


@given(URLS)
def test_how_a_request_ended_is_told_by_what_it_left(url: str) -> None:
    made, key = asked(url)
    done = driven(trace_of(made, key, ID), written(url))
    assert (done.phase, done.cost_pu) == (Phase.DONE, 12.5)
    failed = driven(trace_of(made, key, ID), written(url, over="failed"))
    assert (failed.phase, failed.cause) == (Phase.ENDED, "no")
    assert driven(trace_of(made, key, ID), written(url, over="")).phase is Phase.RUNNING
    assert driven(trace_of(made, key, ID), {}) is None


@given(URLS)
def test_another_request_of_the_same_place_tells_nothing(url: str) -> None:
    """The copy and the error of a later one lie over those of the first where its id is no folder."""
    made, key = asked(url)
    failed = driven(trace_of(made, key, ID), written(url, OTHER, over="failed"))
    assert failed is None or failed.phase is Phase.RUNNING


@given(URLS, st.sampled_from(["done", "failed", ""]))
def test_a_request_of_which_nobody_knows_the_id_is_found(url: str, over: str) -> None:
    made, key = asked(url)
    files = written(url, over=over)
    found = driven(witnesses_of(made, key, frozenset()), files)
    (one,) = found.tasks
    assert one.id == ID
    assert found.is_complete or belongs(one, made, key)
    again = driven(witnesses_of(made, key, frozenset({ID})), files)
    assert ID not in {task.id for task in again.tasks}


@given(URLS)
def test_only_a_folder_of_the_keys_own_proves_that_nothing_was_sent(url: str) -> None:
    made, key = asked(url)
    written(url)
    found = driven(witnesses_of(made, key, frozenset()), {})
    assert found.tasks == ()
    head = url.removeprefix("s3://results/").split("<")[0]
    assert found.is_complete == ("{{ run.key }}" in head.rpartition("/")[0])


@given(URLS, st.sampled_from(["done", "failed", ""]))
def test_whatever_lies_in_the_keys_folder_is_no_proof_of_absence(url: str, over: str) -> None:
    """Also with a copy that is not written to its end."""
    made, key = asked(url)
    files = {name: content[:7] for name, content in written(url, over=over).items()}
    found = driven(witnesses_of(made, key, frozenset()), files)
    assert found.tasks or not found.is_complete
