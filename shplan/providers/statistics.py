"""
`Statistics`: numbers about an area and intervals of time, written as JSON, CSV or Parquet.

Facts: operation `submitStatisticalRequest` of the API description, and the statistics pages. JSON is
the answer as it came; the tables have one row for each interval, output, band and feature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shplan.core.prices import statistics_cost
from shplan.core.request import Answer, ApiRequest, Effect
from shplan.core.value import Object, Value
from shplan.providers.answer_places import (
    PlaceError,
    Places,
    Target,
    form_of_path,
    places,
    project_path,
)
from shplan.providers.answers import BadAnswerError, one_file
from shplan.providers.delivery_checks import check_numbers
from shplan.providers.immediate import ImmediateApi, Judged
from shplan.providers.immediate_kind import ImmediateKind
from shplan.providers.statistics_table import (
    FAILED,
    PARTIAL,
    csv_text,
    read_numbers,
    table_of,
)

PATH: Final = "/statistics/v1"
FORMS: Final = ("json", "csv", "parquet")
_JSON: Final = "application/json"


def _places(spec: Object, output: Value, directory: str) -> Places:
    del spec
    stated = output.get("file") if isinstance(output, dict) else output
    at = ("file",) if isinstance(output, dict) else ()
    form = output.get("format") if isinstance(output, dict) else None
    path = project_path(stated, directory=directory, at=at)
    told = form_of_path(path)
    if form is not None and told in FORMS and told != form:
        message = f"{path} would hold {form}, and its name says {told}."
        raise PlaceError(message, path=("format",), hint=f"write `format: {told}`, or rename it")
    chosen = str(form) if form is not None else told
    if chosen not in FORMS:
        message = f"{path} does not say in which form the numbers are written."
        hint = "end it with .csv, .parquet or .json, or write `output: {file: ..., format: csv}`"
        raise PlaceError(message, path=at, hint=hint)
    return places([Target("", path, chosen)], beside=path)


def _ask(body: Object, wanted: Places) -> ApiRequest:
    del wanted
    # An action, although it changes nothing: each time that it is asked is paid.
    return ApiRequest(
        "submitStatisticalRequest", "POST", PATH, Effect.ACTION, body=body, accept=_JSON
    )


def _judge(answer: Answer, spec: Object, wanted: Places) -> Judged:
    """
    Read an answer; some intervals may have failed, but not all of them.

    Raises:
        BadAnswerError: it is none, or all of it failed
    """
    del spec, wanted
    content = one_file(answer, form="json")
    numbers = read_numbers(content)
    if numbers.status == FAILED:
        cause = next(iter(numbers.failed.values()), "no cause given")
        message = f"all {len(numbers.failed)} intervals failed: {cause}"
        raise BadAnswerError(message)
    status = "PARTIAL" if numbers.status == PARTIAL else "DONE"
    return Judged({"": content}, status, numbers.failed)


def _content(contents: Mapping[str, bytes], target: Target, spec: Object, label: str) -> bytes:
    answer = contents[""]
    if target.form == "json":
        return answer
    table = table_of(read_numbers(answer), spec.get("calculations"), label=label)
    if target.form == "csv":
        return csv_text(table)
    from shplan.providers.parquet_table import parquet_bytes  # noqa: PLC0415 - rarely needed

    return parquet_bytes(table)


API: Final = ImmediateApi(
    kind="Statistics",
    places=_places,
    ask=_ask,
    judge=_judge,
    content=_content,
    check=check_numbers,
    price=statistics_cost,
    # A table says of which feature its rows are.
    is_labelled=lambda target: target.form != "json",
)


def provider() -> ImmediateKind:
    """Return the provider of the kind."""
    return ImmediateKind(API, script_path=("aggregation", "evalscript"))
