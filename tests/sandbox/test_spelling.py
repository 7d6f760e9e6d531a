"""Settings and faults as they are typed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import spelling
from shplan.sandbox.faults import KINDS, Fault, FaultError
from shplan.sandbox.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", 0.5), ("20s", 20), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), ("7", 7)],
)
def test_durations(text: str, expected: float) -> None:
    assert spelling.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "1w", "-1s", "1e3", "٣s", "1s2s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        spelling.seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("503", Fault("503")),
        ("503:share=0.1", Fault("503", share=0.1, count=None)),
        ("duplicate:method=POST", Fault("duplicate", method="POST")),
        (
            "429:every=2,retry-after=500ms,path=/byoc/.*",
            Fault("429", every=2, count=None, retry_after_ms=500, path="/byoc/.*"),
        ),
        ("500:count=all,nth=3", Fault("500", count=None, nth=3)),
        ("latency:after=100ms..2s", Fault("latency", seconds=0.1, most_seconds=2)),
        ("504:served=true", Fault("504", served=True)),
        ("503:path=123", Fault("503", path="123")),
        ('{"kind": "503", "path": "/a{1,2}"}', Fault("503", path="/a{1,2}")),
    ],
)
def test_faults(text: str, expected: Fault) -> None:
    assert spelling.fault(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "{", "[]", "503:every", "503:every=x", "503:retry-after=x", "503:after=2s..1s"]
)  # fmt: skip
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(FaultError):
        spelling.fault(text)


def test_latency_is_for_every_request() -> None:
    assert spelling.latency("1s..2s") == Fault("latency", count=None, seconds=1, most_seconds=2)


@pytest.mark.parametrize(
    ("assignment", "name", "expected"),
    [
        ("waiting_s=500ms", "waiting_s", 0.5),
        ("batch-processing-s=2m", "batch_processing_s", 120),
        ("second_delete=204", "second_delete", 204),
        ("retry_after=false", "retry_after", False),
        ("account_pu=null", "account_pu", None),
        ("seed=7", "seed", "7"),
        ("location=aws-us-west-2", "location", "aws-us-west-2"),
        ("tile_put_path=honour", "tile_put_path", "honour"),
    ],
)
def test_settings(assignment: str, name: str, expected: Any) -> None:
    assert getattr(spelling.changed(Settings(), [assignment]), name) == expected


@pytest.mark.parametrize(
    "assignment",
    ["", "waiting_s", "waiting_s=x", "nothing=1", "speed=0", "speed=1e9", "clients=[]"],
)
def test_what_is_no_setting(assignment: str) -> None:
    with pytest.raises(SettingsError):
        spelling.changed(Settings(), [assignment])


@given(
    st.text() | st.sampled_from(KINDS).flatmap(lambda kind: st.text().map(lambda t: f"{kind}:{t}"))
)
def test_no_text_breaks_the_reading(text: str) -> None:
    with contextlib.suppress(FaultError):
        spelling.fault(text)
    with contextlib.suppress(SettingsError):
        spelling.changed(Settings(), [text])
