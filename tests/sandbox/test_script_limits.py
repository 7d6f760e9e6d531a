"""The limits of evalscripts are settings, and count from the next script on."""

from __future__ import annotations

import pytest

from shplan.sandbox.scripts import ScriptFailedError, WorkerScripts
from shplan.script import Limits, ScriptError
from tests.script.pixels import planes, render, v3

LOOP = v3("return [1];").replace("return {input", "for (;;) ; return {input")
HERE = planes(1, 1, B04=1, B08=1)


def test_other_limits_are_kept_from_then_on() -> None:
    now = [Limits(time_s=0.2, pixels_s=0.2)]
    scripts = WorkerScripts(lambda: now[0])
    try:
        with pytest.raises(ScriptFailedError, match="within 0.2 s"):
            scripts.facts(LOOP)
        with scripts.worker() as worker, pytest.raises(ScriptError, match="within 0.2 s"):
            render(worker, v3("for (;;) ;"), HERE)
        now[0] = Limits(time_s=0.3, pixels_s=0.4)
        with pytest.raises(ScriptFailedError, match="within 0.3 s"):
            scripts.facts(LOOP)
        with scripts.worker() as worker, pytest.raises(ScriptError, match="within 0.4 s"):
            render(worker, v3("for (;;) ;"), HERE)
    finally:
        scripts.close()


def test_a_worker_that_is_used_outlives_a_change_of_limits() -> None:
    now = [Limits(time_s=20, pixels_s=20)]
    scripts = WorkerScripts(lambda: now[0])
    try:
        with scripts.worker() as mine, mine.begin(v3("return [samples.B04];")) as rendering:
            now[0] = Limits(time_s=19, pixels_s=19)
            with scripts.worker() as other:
                assert other is not mine
            rendered = rendering.render([HERE], height=1, width=1)
        assert rendered.outputs[0].pixels[0, 0, 0] == 1
    finally:
        scripts.close()
