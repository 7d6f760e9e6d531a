"""Progress: plain lines that do not flood, JSON lines, a live line; none of them ever raises."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from shplan.core.change import Action
from shplan.core.events import (
    BucketUnreadable,
    ChangeFinished,
    ChangeProgress,
    ChangeStarted,
    Event,
    ReceiptFileNotice,
    Retrying,
    Waiting,
)
from shplan.views.progress import (
    JsonLines,
    Live,
    PlainLines,
    Progress,
    make_progress,
    sentence,
)
from tests.views.plans import FIELDS, TILES

EVENTS: list[tuple[Event, str]] = [
    (ChangeStarted(FIELDS, Action.CREATE), "ByocCollection/fields: creating"),
    (ChangeStarted(TILES, Action.UPDATE, 1), "ByocTiles/fields: updating (1 tile)"),
    (ChangeStarted(TILES, Action.DELETE, 1200), "ByocTiles/fields: deleting (1,200 tiles)"),
    (
        ChangeProgress(TILES, 100, 1200, "create tiles"),
        "ByocTiles/fields: 100 of 1,200: create tiles",
    ),
    (ChangeProgress(TILES, 40, 100, "percent processed"), "ByocTiles/fields: 40 % processed"),
    (ChangeStarted(TILES, Action.RUN), "ByocTiles/fields: running"),
    (
        Waiting(TILES, "for the list to show it", 20.0),
        "ByocTiles/fields: waiting: for the list to show it",
    ),
    (
        Retrying("getTiles", "status 429", 1.25),
        "getTiles: status 429; again in 1.2 s",
    ),
    (
        BucketUnreadable("results", "s3://results/a cannot be read: no permission"),
        "s3://results/a cannot be read: no permission",
    ),
    (
        ReceiptFileNotice("receipts/a.json", "receipts/a.json is no receipt file"),
        "receipts/a.json is no receipt file",
    ),
    (
        ChangeFinished(TILES, Action.CREATE, "done", cost_pu=1200, seconds=61.04),
        "ByocTiles/fields: done in 61.0 s, 1,200 PU",
    ),
    (
        ChangeFinished(FIELDS, Action.CREATE, "failed", "the bucket\nis not there", seconds=0.2),
        "ByocCollection/fields: failed in 0.2 s: the bucket is not there",
    ),
]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Gone(io.StringIO):
    """A terminal or a pipe whose other end has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(("event", "told"), EVENTS)
def test_every_event_has_its_sentence(event: Event, told: str) -> None:
    assert sentence(event) == told


def test_progress_is_told_every_five_seconds_and_for_each_change() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    for step in range(100):
        clock.now = step / 10
        lines.emit(ChangeProgress(TILES, step, 100, "create tiles"))
        lines.emit(ChangeProgress(FIELDS, step, 100, "look"))
    assert stream.getvalue().splitlines() == [
        "ByocTiles/fields: 0 of 100: create tiles",
        "ByocCollection/fields: 0 of 100: look",
        "ByocTiles/fields: 50 of 100: create tiles",
        "ByocCollection/fields: 50 of 100: look",
    ]


def test_beginnings_and_ends_are_always_told() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream, Clock())
    for _ in range(3):
        lines.emit(ChangeStarted(FIELDS, Action.CREATE))
        lines.emit(ChangeFinished(FIELDS, Action.CREATE, "done"))
    assert len(stream.getvalue().splitlines()) == 6


def test_a_thousand_requests_that_wait_for_one_limit_say_so_once() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream, Clock())
    for _ in range(1000):
        lines.emit(Retrying("getTiles", "status 429", 1.0))
    lines.emit(Retrying("createTile", "status 429", 1.0))
    assert len(stream.getvalue().splitlines()) == 2


def test_json_lines_are_one_object_each() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    for event, _ in EVENTS:
        lines.emit(event)
    shown = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in shown] == [type(event).__name__ for event, _ in EVENTS]
    assert shown[1] == {
        "event": "ChangeStarted",
        "address": "ByocTiles/fields",
        "action": "update",
        "members": 1,
    }


def test_the_live_line_leaves_what_is_finished_above_it() -> None:
    stream = io.StringIO()
    live = Live(stream, color=False)
    for event, _ in EVENTS:
        live.emit(event)
    live.close()
    assert "ByocTiles/fields: done in 61.0 s, 1,200 PU\n" in stream.getvalue()
    assert "s3://results/a cannot be read: no permission\n" in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()


@pytest.mark.parametrize(
    ("live", "as_json", "kind"),
    [(True, False, Live), (False, False, PlainLines), (False, True, JsonLines)],
)
def test_the_stream_decides_how_progress_is_shown(
    live: bool, as_json: bool, kind: type[Progress]
) -> None:
    made = make_progress(io.StringIO(), live=live, as_json=as_json, color=False)
    assert isinstance(made, kind)
    made.close()


SINKS: list[Callable[[io.StringIO], Progress]] = [
    JsonLines,
    lambda stream: PlainLines(stream, Clock()),
    lambda stream: Live(stream, color=False),
]


@pytest.mark.parametrize("make", SINKS)
def test_nobody_who_listens_is_no_error(make: Callable[[io.StringIO], Progress]) -> None:
    """An event is told between an intent and its outcome: nothing may be raised there."""
    closed = io.StringIO()
    closed.close()
    for stream in (Gone(), closed):
        sink = make(stream)
        for event, _ in EVENTS:
            sink.emit(event)
        sink.close()
