"""
The sandbox before Schemathesis, which reads the service's document and sends what it allows and forbids.

No answer is a 500, a status or a body outside the document; what is wrong is refused, methods that are
not there are too, and so is whoever has no token. That valid requests are accepted is for the clients
to show: the document's schemas know neither buckets nor evalscripts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, BaseSchema, Case, CheckContext, GenerationMode, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

from shplan.schema import store
from tests.support.samples import some
from tests.support.served import Served

from .document import OPEN, document, operations
from .existing import existing, existing_data, fill_bucket, names, sensible

CHECKS = {
    name: {"enabled": False} for name in ("positive_data_acceptance", "negative_data_rejection")
}
UNCOMMON = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
LABELS = [f"{method} {path}" for method, path, _ in operations()]
# Bodies of many kinds within each other: the first case takes seconds of thought.
THOUGHTFUL = ("POST /batch/v2/process", "POST /statistics/batch/v1", "POST /async/v1/process")


@cache
def schema() -> BaseSchema:
    # Tokens are tested below; here every case has one. What a query says beside, nobody reads.
    generation = {"with-security-parameters": False, "allow-extra-parameters": False}
    config = SchemathesisConfig.from_dict({"seed": 1, "checks": CHECKS, "generation": generation})
    return schemathesis.openapi.from_dict(document(), config=config)


@pytest.fixture(scope="module")
def http(server: Served) -> Iterator[httpx.Client]:
    fill_bucket(server)
    with server.client() as client:
        yield client


def judge(case: Case, server: Served, token: str) -> None:
    case.call_and_validate(
        base_url=server.base, headers={"Authorization": token}, additional_checks=[refuses]
    )


def refuses(context: CheckContext, response: Response, case: Case) -> bool | None:
    """
    What is wrong is refused, but for what clients send and the service overlooks.

    That is: explicit nulls, and members that only the server sets (see the schemas' provenance).
    """
    if _holds_null(case.body) or _said_in_vain(case):
        return None
    return negative_data_rejection(context, response, case)


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None


def _said_in_vain(case: Case) -> bool:
    name = case.operation.definition.raw["operationId"]
    members = {path.split(".")[0] for path in store.operations()[name].read_only}
    return isinstance(case.body, dict) and bool(members & set(case.body))


def examine(label: str, server: Served, http: httpx.Client, *, planned: int, drawn: int) -> None:
    """
    Send an operation the cases that Schemathesis plans, and some that it draws.

    Args:
        planned: how many of the plan
        drawn: how many of each kind, those that fit the document and those that do not; drawing
            the first takes longest
    """
    method, path = label.split(" ")
    operation = schema()[path][method]
    token = str(http.headers["authorization"])
    named = existing(http, server, path)
    data = existing_data(http, server, path)
    plan = schema().iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=schema().config.generation_for(operation=operation),
    )
    for number, case in enumerate(itertools.islice(plan, planned)):
        # Every other case is about something that exists.
        if number % 2 and case.method == method and set(named) <= set(case.path_parameters or {}):
            case.path_parameters = {**case.path_parameters, **named}
        if number % 2 and data and _is_right(case):
            case.body = sensible(case.body, data)
        judge(case, server, token)
    for mode, values in _draws(operation, named) if drawn else ():

        @_bounded(drawn)
        @given(case=operation.as_strategy(generation_mode=mode, path_parameters=values or None))
        def draw(case: Case) -> None:
            if data and _is_right(case):
                case.body = sensible(case.body, data)
            judge(case, server, token)

        # Of some parameters any text is right, so that none is wrong.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            draw()


def _is_right(case: Case) -> bool:
    """Whether it was made to fit the document."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def _draws(
    operation: APIOperation, named: dict[str, Any]
) -> Iterator[tuple[GenerationMode, dict[str, Any]]]:
    """Right and wrong requests about anything and about what exists, as far as there are such."""
    beside = bool(len(operation.query) or len(operation.body))
    yield GenerationMode.POSITIVE, {}
    if beside or len(operation.path_parameters):
        yield GenerationMode.NEGATIVE, {}
    if named:
        yield GenerationMode.POSITIVE, named
    if named and beside:
        yield GenerationMode.NEGATIVE, named


@pytest.mark.parametrize("label", [one for one in LABELS if one not in THOUGHTFUL])
def test_every_operation(label: str, server: Served, http: httpx.Client) -> None:
    examine(label, server, http, planned=4, drawn=0)


@pytest.mark.slow
@pytest.mark.parametrize("label", LABELS)
def test_every_operation_at_length(label: str, server: Served, http: httpx.Client) -> None:
    """The first forty cases of the plan and a few drawn ones; in `make slow` a hundred, and more."""
    planned, drawn = some(40, thorough=100), some(3, thorough=6)
    examine(label, server, http, planned=planned, drawn=drawn)


def test_created_objects_are_followed(server: Served, http: httpx.Client) -> None:
    """What a create answers names something, until it is deleted."""
    follow(server, http, examples=2, steps=8)


@pytest.mark.slow
def test_created_objects_are_followed_at_length(server: Served, http: httpx.Client) -> None:
    follow(server, http, examples=some(5, thorough=10), steps=20)


def follow(server: Served, http: httpx.Client, *, examples: int, steps: int) -> None:
    # The same requests find the same server: its time stands nearly still, and what it draws is
    # known beforehand.
    server.configure(seed="followed", speed=1e-6)

    class Machine(schema().as_state_machine()):
        def setup(self) -> None:
            server.control("reset")
            self.headers = {"Authorization": f"Bearer {server.token()}"}

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": server.base, "headers": self.headers}

    try:
        Machine.run(settings=_bounded(examples, stateful_step_count=steps))
    finally:
        server.fresh()
        http.headers["authorization"] = f"Bearer {server.token()}"


def _bounded(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        **more,
    )


@pytest.mark.parametrize("path", list(document()["paths"]))
def test_methods_that_are_not_there(path: str, server: Served, http: httpx.Client) -> None:
    known = {method.upper() for method in document()["paths"][path]}
    address = path.format_map({**dict.fromkeys(names(path), "x"), **existing(http, server, path)})
    for method in UNCOMMON:
        if method in known:
            continue
        answer = http.request(method, address)
        assert answer.status_code == 405, (method, answer.text)
        assert set(answer.headers["allow"].split(", ")) >= known
        assert http.request(method, address, headers={"Authorization": ""}).status_code in (
            401,
            405,
        )


@pytest.mark.parametrize("label", LABELS)
def test_who_has_no_token(label: str, server: Served, http: httpx.Client) -> None:
    method, path = label.split(" ")
    entry = document()["paths"][path][method.lower()]
    address = path.format_map({**dict.fromkeys(names(path), "x"), **existing(http, server, path)})
    token = str(http.headers["authorization"])
    for wrong in (
        "",
        "Bearer",
        "Bearer x",
        "Bearer x.y.z",
        token[:-1],
        token.swapcase(),
        "Basic eDp5",
    ):
        answer = http.request(method, address, headers={"Authorization": wrong})
        expected = 200 if entry["operationId"] in OPEN else 401
        assert answer.status_code == expected, (wrong, answer.text)
