"""
Benchmarks of scripts over pixels: how fast the loop is, and what a whole request of a worker takes.

    python benchmarks/pixels.py [--rounds 7] [--engine v8]

The loop is measured where it runs, in a fresh engine each time, compilation included, as a request meets it;
what is wanted is said beside.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from measuring import median

from shplan.script import Limits, Worker
from shplan.script.child import ENGINES, Child
from shplan.script.engine import Budget
from shplan.script.loop import OutputShape, SourceShape, loop_source
from shplan.script.rendering import Collection

SIZE = 512
SCENES = 12
LIMITS = Limits(time_s=60, pixels_s=120)
MASKED = '["B04", "B08", "dataMask"]'
SCRIPT = """//VERSION=3
{top}
function setup() {{ return {{input: {input}, output: {{bands: {bands}}}, mosaicking: "{mosaicking}"}}; }}
function evaluatePixel(samples) {{ {evaluate} }}
"""
NDVI = SCRIPT.format(
    top="",
    input='["B04", "B08"]',
    bands=1,
    mosaicking="SIMPLE",
    evaluate="return [(samples.B08 - samples.B04) / (samples.B08 + samples.B04)];",
)
STOPS = ", ".join(f"[{number / 13}, {number * 0x0F0F0F}]" for number in range(14))
RAMP = SCRIPT.format(
    top=f"const viz = new ColorRampVisualizer([{STOPS}]);",
    input='["B04", "B08"]',
    bands=3,
    mosaicking="SIMPLE",
    evaluate="return viz.process(index(samples.B08, samples.B04));",
)
GREATEST = SCRIPT.format(
    top="",
    input=MASKED,
    bands=1,
    mosaicking="ORBIT",
    evaluate="let best = -1; for (let i = 0; i < samples.length; i++) { const s = samples[i];"
    " if (s.dataMask) { const v = (s.B08 - s.B04) / (s.B08 + s.B04); if (v > best) best = v; } }"
    " return [best];",
)
DAYS = tuple({"dateFrom": f"2025-06-{day:02d}T00:00:00Z"} for day in range(SCENES, 0, -1))
ORBITS = Collection("", "ORBIT", DAYS)


def bands(scenes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    values = {name: rng.random((scenes, SIZE, SIZE), np.float32) for name in ("B04", "B08")}
    return values | {"dataMask": np.ones((scenes, SIZE, SIZE), np.uint8)}


def milliseconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def loop_ms(engine: str, text: str, outputs: int, scenes: int | None) -> float:
    """Return what the loop takes in a fresh engine, with the message and the jobs around it."""
    module, name = ENGINES[engine]
    make = getattr(__import__(module, fromlist=[name]), name)
    child = Child(partial(make, Budget(60.0, 256)), 60.0, _nothing)
    given = bands(scenes or 1)
    if scenes is None:
        del given["dataMask"]
    told = [
        {"type": f"{one.dtype.kind}{one.itemsize}", "size": one.itemsize, "scenes": scenes or 1}
        for one in given.values()
    ]
    source = loop_source(
        [SourceShape("", tuple(given), scenes)], [OutputShape("default", outputs)], fused=False
    )
    data = b"".join(one.tobytes() for one in given.values())
    no_bytes = partial(_write, b"")
    child.answer({"operation": "load", "text": text}, no_bytes)
    child.answer({"operation": "setup"}, no_bytes)
    collection = {"id": "", "mosaicking": "ORBIT" if scenes else "SIMPLE", "from": None, "to": None}
    child.answer(
        {
            "operation": "scenes",
            "fused": False,
            "sources": [{**collection, "scenes": list(DAYS) if scenes else []}],
            "inputMetadata": {},
            "customData": {},
            "declared": [{"id": "default", "bands": outputs}],
        },
        no_bytes,
    )
    request: dict[str, object] = {
        "operation": "block",
        "pixels": SIZE * SIZE,
        "size": len(data),
        "doubles": 8 * outputs * SIZE * SIZE,
        "room": len(data) + 8 * outputs * SIZE * SIZE,
        "last": True,
        "layout": {
            "source": source,
            "planes": told,
            "outputs": [{"id": "default", "bands": outputs}],
            "main": 0,
        },
    }
    taken: list[float] = []

    def write(memory: memoryview) -> None:
        _write(data, memory)
        taken.append(time.perf_counter())

    child.answer(request, write)
    taken.append(time.perf_counter())
    child.rest({"operation": "close"})
    return (taken[1] - taken[0]) * 1000


def _nothing(size: int) -> None:
    """Let memory be as it is: there is no limit to raise."""


def _write(data: bytes, memory: memoryview) -> None:
    memory[: len(data)] = data


def request_ms(worker: Worker, text: str, scenes: int | None) -> float:
    given = bands(scenes or 1)
    if scenes is None:
        del given["dataMask"]

    def act() -> None:
        with worker.begin(text) as rendering:
            rendering.scenes([ORBITS if scenes else Collection()])
            rendering.render([given], height=SIZE, width=SIZE)

    # The next world is made while nobody waits.
    time.sleep(0.05)
    return milliseconds(act)


def bench_pixels(rounds: int, engine: str) -> None:
    cases: list[tuple[str, str, int, int | None, str]] = [
        ("NDVI", NDVI, 1, None, "loop at least 15 Mpx/s; request about 15 ms"),
        ("ramp of 14 colours", RAMP, 3, None, ""),
        (f"greatest of {SCENES} scenes", GREATEST, 1, SCENES, "at most 300 ms"),
    ]
    with Worker(limits=LIMITS, engine=engine) as worker:
        worker.facts(NDVI)
        for name, text, outputs, scenes, wanted in cases:
            loops = [loop_ms(engine, text, outputs, scenes) for _ in range(rounds)]
            requests = [request_ms(worker, text, scenes) for _ in range(rounds)]
            speed = SIZE * SIZE / median(loops) / 1000
            print(
                f"{engine} {SIZE} x {SIZE} {name}: loop {median(loops):.1f} ms = {speed:.1f} Mpx/s"
                f" (best {min(loops):.1f}), request {median(requests):.1f} ms (best"
                f" {min(requests):.1f}){f'; wanted: {wanted}' if wanted else ''}"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="v8")
    given = parser.parse_args()
    bench_pixels(given.rounds, given.engine)


if __name__ == "__main__":
    main()
