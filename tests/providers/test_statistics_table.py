"""Answers of the Statistical API as tables: nothing is lost, whatever its numbers are."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.providers.answers import BadAnswerError
from shplan.providers.parquet_table import parquet_bytes
from shplan.providers.statistics_table import csv_text, read_numbers, table_of

MAY = {"from": "2025-05-01T00:00:00Z", "to": "2025-05-11T00:00:00Z"}
JUNE = {"from": "2025-06-01T00:00:00Z", "to": "2025-06-11T00:00:00Z"}


def band(**more: Any) -> dict[str, Any]:
    stats = {"min": 0.1, "max": 0.9, "mean": 0.5, "stDev": 0.2, "sampleCount": 9, "noDataCount": 1}
    return {"stats": {**stats, **more.pop("stats", {})}, **more}


def content(*data: dict[str, Any], status: str | None = "OK") -> bytes:
    body: dict[str, Any] = {"data": list(data)}
    return json.dumps(body if status is None else {**body, "status": status}).encode()


def rows(answer: bytes, calculations: Any = None) -> list[dict[str, str]]:
    text = csv_text(table_of(read_numbers(answer), calculations, label="field 7"))
    return list(csv.DictReader(io.StringIO(text.decode())))


def interval(at: dict[str, str] = MAY, **bands: Any) -> dict[str, Any]:
    return {"interval": at, "outputs": {"ndvi": {"bands": bands}}}


def test_a_row_for_each_interval_output_and_band() -> None:
    two = {
        "interval": JUNE,
        "outputs": {"a": {"bands": {"B0": band(), "B1": band()}}, "b": {"bands": {"B0": band()}}},
    }
    found = rows(content(interval(B0=band()), two))
    assert [(row["from"][:7], row["output"], row["band"]) for row in found] == [
        ("2025-05", "ndvi", "B0"),
        ("2025-06", "a", "B0"),
        ("2025-06", "a", "B1"),
        ("2025-06", "b", "B0"),
    ]
    assert {row["feature"] for row in found} == {"field 7"}
    assert found[0]["sampleCount"] == "9"


def test_percentiles_are_columns_by_size_whatever_their_keys() -> None:
    told = {"percentiles": {"95.0": 3.0, "5.0": 1.0, "50.0": 2.0, "2.5": 0.5}}
    (row,) = rows(content(interval(B0=band(stats=told))))
    assert [name for name in row if name[0] == "p"] == ["p2.5", "p5", "p50", "p95"]


def test_an_answer_without_data_has_the_columns_that_were_asked_for() -> None:
    asked = {
        "default": {
            "statistics": {"default": {"percentiles": {"k": [10, 90]}}},
            "histograms": {"B0": {"nBins": 2}},
        }
    }
    text = csv_text(table_of(read_numbers(content()), asked, label="x")).decode()
    assert "p10,p90,histogram,underflow,overflow,error" in text
    assert text.count("\n") == 1


def test_numbers_that_are_none_are_told_from_what_is_absent() -> None:
    nothing = dict.fromkeys(("min", "max", "mean", "stDev"), "NaN")
    (row,) = rows(content(interval(B0=band(stats={**nothing, "percentiles": {"50.0": "NaN"}}))))
    assert (row["mean"], row["p50"], row["error"]) == ("NaN", "NaN", "")
    (other,) = rows(content(interval(B0={"stats": {"mean": 1.0}})))
    assert (other["mean"], other["min"]) == ("1.0", "")


@pytest.mark.parametrize("spelling", ["overflow", "overflowCount"])
def test_histograms_are_kept_under_both_spellings(spelling: str) -> None:
    bins = [
        {"lowEdge": 0.0, "highEdge": 0.5, "count": 3},
        {"lowEdge": 0.5, "highEdge": 1, "count": 4},
    ]
    told = {"bins": bins, spelling: 2, spelling.replace("over", "under"): 1}
    (row,) = rows(content(interval(B0=band(histogram=told))))
    assert json.loads(row["histogram"]) == [[0.0, 0.5, 3], [0.5, 1.0, 4]]
    assert (row["underflow"], row["overflow"]) == ("1", "2")


def test_failed_intervals_are_rows_with_their_causes() -> None:
    failed = {"interval": JUNE, "error": {"type": "TIMEOUT", "message": "too\nslow"}}
    answer = content(interval(B0=band()), failed, status="PARTIAL")
    assert read_numbers(answer).failed == {f"{JUNE['from']}/{JUNE['to']}": "TIMEOUT: too slow"}
    first, second = rows(answer)
    assert (first["error"], second["error"], second["output"]) == ("", "TIMEOUT: too slow", "")


@pytest.mark.parametrize("claimed", ["OK", None])
@pytest.mark.parametrize("others", [0, 1])
def test_an_answer_is_not_taken_at_its_word(claimed: str | None, others: int) -> None:
    failed = {"interval": JUNE, "error": {}}
    answer = content(failed, *[interval(B0=band())] * others, status=claimed)
    assert read_numbers(answer).status == ("PARTIAL" if others else "FAILED")


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"data": {}}', b'{"data": [{}]}', b'{"data": [{"interval": {}}]}']
)
def test_what_is_no_answer_of_the_statistical_api_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswerError):
        read_numbers(body)


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just("NaN"))


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 2**40), st.text(max_size=5)), max_size=5))
def test_both_forms_hold_the_same_numbers_and_the_same_bytes(
    cells: list[tuple[Any, int, str]],
) -> None:
    data = [
        interval(**{name: band(stats={"mean": mean, "sampleCount": count})})
        for mean, count, name in cells
    ]
    answer = content(*data)
    table = table_of(read_numbers(answer), {}, label='é,\n"x"')
    content_bytes = parquet_bytes(table)
    assert content_bytes == parquet_bytes(table)
    assert csv_text(table) == csv_text(table)
    read = pq.read_table(io.BytesIO(content_bytes)).to_pylist()
    told = list(csv.DictReader(io.StringIO(csv_text(table).decode(), newline="")))
    assert len(read) == len(told) == len(cells)
    for row, text, (mean, count, name) in zip(read, told, cells, strict=True):
        assert (row["band"], text["band"]) == (name, name)
        assert row["sampleCount"] == int(text["sampleCount"]) == count
        assert row["from"].isoformat() == "2025-05-01T00:00:00+00:00"
        if mean == "NaN":
            assert math.isnan(row["mean"])
            assert text["mean"] == "NaN"
        else:
            assert row["mean"] == float(text["mean"]) == mean


def test_parquet_has_instants_and_bins_of_their_own() -> None:
    told = {"bins": [{"lowEdge": 0, "highEdge": 1, "count": 3}], "overflow": 0, "underflow": 0}
    answer = content(interval(B0=band(histogram=told)))
    table = pq.read_table(io.BytesIO(parquet_bytes(table_of(read_numbers(answer), {}, label="x"))))
    assert str(table.schema.field("from").type) == "timestamp[ms, tz=UTC]"
    assert table.to_pylist()[0]["histogram"] == [{"lowEdge": 0.0, "highEdge": 1.0, "count": 3}]
