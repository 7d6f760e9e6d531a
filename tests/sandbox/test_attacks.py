"""
Scripts that want everything, sent to a served sandbox.

Each is answered in the service's own words for what fails in a script, soon after the limit that it met, and
whoever asks next is served.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.served import Served, serving

from . import processing as p
from . import statistical
from .support import BUCKET, COLLECTIONS

LIMIT_S = 1.0
GOOD = p.script("return [samples.B04];", bands='["B04"]')
LOOP = "for (;;) ;"
# Eight by eight pixels of the tile.
CORNER = [p.WEST, p.NORTH - 8 * p.PIXEL, p.WEST + 8 * p.PIXEL, p.NORTH]


def script(evaluate: str, **more: str) -> str:
    return p.script(evaluate, bands='["B04"]', output="{bands: 1}", **more)


def inside(name: str, parameters: str) -> str:
    more = f"function {name}({parameters}) {{ {LOOP} }}"
    return script("return [1];", mosaicking="ORBIT", more=more)


# What they are answered: nothing ends them but the limit of time, or of memory, or they fail by themselves.
TIME = {
    "a loop": script(LOOP),
    "a loop that catches": script("for (;;) { try { null.x; for (;;) ; } catch (e) {} }"),
    "a loop in setup": script("return [1];").replace("{ return {", f"{{ {LOOP} return {{"),
    "a loop at the top": script("return [1];", more=LOOP),
    "a loop in preProcessScenes": inside("preProcessScenes", "collections"),
    "a loop in updateOutput": inside("updateOutput", "outputs, collections"),
    "a loop in updateOutputMetadata": inside("updateOutputMetadata", "s, i, o"),
    "a native sort": script(
        "const a = []; for (let i = 0; i < 5e5; i++) a.push((i * 7919) % 1e6); for (;;) a.sort();"
    ),
    "promises": script("(async () => { for (;;) await 1; })(); return [1];"),
    "a chain of promises": script("const f = () => Promise.resolve().then(f); f(); return [1];"),
    "a regular expression": script('/^(a+)+$/.test("a".repeat(40) + "b"); return [1];'),
    "a getter of what is returned": script("return {get default() { for (;;) ; }};"),
    "a number that is none": script("return [{valueOf() { for (;;) ; }}];"),
    "a text that is none": script("return [{[Symbol.toPrimitive]() { for (;;) ; }}];"),
    "a proxy": script("return new Proxy([1], {get() { for (;;) ; }});"),
    "an element": script("return Object.defineProperty([1], 0, {get() { for (;;) ; }});"),
    "metadata": script("outputMetadata.userData = {toJSON() { for (;;) ; }}; return [1];"),
    "an error": script("throw {get stack() { for (;;) ; }, toString() { for (;;) ; }};"),
    "numbers of any length": script("let n = 2n; for (;;) n = n * n;"),
    "JSON that doubles": script("let o = {}; for (;;) o = JSON.parse(JSON.stringify([o, o]));"),
    "a console": script("for (;;) { try { console.log('x'); } catch (e) {} }"),
}
MEMORY = {
    "arrays": script("const a = []; for (;;) a.push(new Array(1000).fill(0.5));"),
    "strings": script('const a = []; for (;;) a.push("x".repeat(1e6) + a.length);'),
    "one string": script('let s = "x"; for (;;) s += s;'),
    "letters": script('"x".repeat(4e8).split(""); return [1];'),
    "maps": script("const m = new Map(); for (let i = 0; ; i++) m.set(i, {});"),
    "metadata of any size": script("outputMetadata.userData = 'x'.repeat(2e8); return [1];"),
    "too many bands": script(
        "return [1];", more="function updateOutput(o) { o.default.bands = 4096; }"
    ),
}
FAILING = {
    "typed arrays": (script("for (;;) new Float64Array(1e8);"), "Float64Array is not defined"),
    "a buffer": (script("new SharedArrayBuffer(1e9);"), "SharedArrayBuffer is not defined"),
    "recursion": (script("return (function f() { return f(); })();"), "Maximum call stack size"),
    "proxies of proxies": (
        script("let v = []; for (let i = 0; i < 1e5; i++) v = new Proxy(v, {}); return v;"),
        "Maximum call stack size",
    ),
    "files": (script("return [require('fs').readFileSync('/etc/passwd').length];"), "require"),
    "the network": (script("fetch('http://127.0.0.1/'); return [1];"), "fetch is not defined"),
    "processes": (
        script("return [(() => {}).constructor('return process')().pid];"),
        "process is not defined",
    ),
    "a long error": (script("throw new Error('x'.repeat(1e8));"), "Error: xxx"),
    "an endless number of bands": (
        script("return [1];", more="function updateOutput(o) { o.default.bands = Infinity; }"),
        "updateOutput() left Infinity",
    ),
    "no band": (
        script("return [];", more="function updateOutput(o) { o.default.bands = 0; }"),
        "0 bands",
    ),
    "more bands than a file can have": (
        script("return [];", more="function updateOutput(o) { o.default.bands = 70000; }"),
        "70000 bands",
    ),
    "outputs without end": (
        p.script(
            "return {};",
            bands='["B04"]',
            output="Array.from({length: 5000}, (_, i) => ({id: 'o' + i, bands: 9}))",
        ),
        "no output default",
    ),
    "a deep text": ("//VERSION=3\n" + "(" * 200_000, "Maximum call stack size"),
    "the end of our function": (script("return [1]; }}) (function () {"), "Unexpected"),
}
# A second or so each; the others are for `make slow`.
ALWAYS = {"a loop", "a native sort", "promises", "arrays", "a proxy"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = {"script_s": LIMIT_S, "pixels_s": LIMIT_S}
    with serving(tmp_path_factory.mktemp("attacked"), **limits) as served:
        yield served


@pytest.fixture(scope="module")
def http(server: Served) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def one(server: Served, http: httpx.Client) -> str:
    """A collection of one tile."""
    p.write(server.data / "buckets" / BUCKET / "a/B04.tif", p.numbers(1))
    body = {"name": "attacked", "s3Bucket": BUCKET}
    made = http.post(COLLECTIONS, json=body).json()["data"]["id"]
    tile = {"path": "a", "sensingTime": "2025-06-01T10:00:00Z"}
    assert http.post(f"{COLLECTIONS}/{made}/tiles", json=tile).status_code == 201
    server.tick(60)
    return f"byoc-{made}"


def attack(http: httpx.Client, one: str, text: str, *, size: int = 8) -> dict[str, Any]:
    """Send a script; the answer's error. The next request is served."""
    begun = time.monotonic()
    answer = http.post(p.PROCESS, json=p.body(one, text, bbox=CORNER, size=(size, size)))
    # Within its limit and two seconds, on a machine that does nothing else.
    assert time.monotonic() - begun < LIMIT_S + 20
    assert answer.status_code == 400, answer.text[:1000]
    assert len(answer.content) < 2000
    served(http, one)
    error: dict[str, Any] = answer.json()["error"]
    return error


def served(http: httpx.Client, one: str) -> None:
    answer = http.post(p.PROCESS, json=p.body(one, GOOD, size=(p.SIZE, p.SIZE)))
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(p.image(answer.content)[0], p.numbers(1))


def seldom(names: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", seldom(TIME))
def test_what_does_not_end_is_ended(
    name: str, server: Served, http: httpx.Client, one: str
) -> None:
    error = attack(http, one, TIME[name])
    assert error["code"] == "RENDERER_EXCEPTION"
    # What grows as well may meet the other limit first.
    assert "did not end within 1 s" in error["message"] or "MiB" in error["message"]


@pytest.mark.parametrize("name", seldom(MEMORY))
def test_what_grows_is_ended(name: str, http: httpx.Client, one: str) -> None:
    error = attack(http, one, MEMORY[name], size=2500 if name == "too many bands" else 8)
    assert error["code"] == "RENDERER_EXCEPTION"
    told = error["message"]
    assert any(one in told for one in ("MiB of memory", "did not end", "too many bands"))


@pytest.mark.parametrize("name", FAILING)
def test_what_cannot_be_had_is_said(name: str, http: httpx.Client, one: str) -> None:
    text, told = FAILING[name]
    assert told in attack(http, one, text)["message"]


def test_statistics_of_a_script_that_does_not_end_end(
    server: Served, http: httpx.Client, one: str
) -> None:
    """Each interval says why it has no values; not each of thirty gets the time of one."""
    text = statistical.script(LOOP, bands='["B04", "dataMask"]')
    month = ("2025-05-01T00:00:00Z", "2025-06-02T00:00:00Z")
    place = {"bbox": CORNER, "properties": {"crs": p.EPSG.format(32633)}}
    days = [f"d{day}" for day in range(5)]
    for number, path in enumerate(days):
        p.write(server.data / "buckets" / BUCKET / path / "B04.tif", p.numbers(number))
        tile = {"path": path, "sensingTime": f"2025-05-1{number}T10:00:00Z"}
        assert http.post(f"{COLLECTIONS}/{one[5:]}/tiles", json=tile).status_code == 201
    server.tick(60)
    body = statistical.body(one, text, time=month, bounds=place, size=(8, 8))
    begun = time.monotonic()
    answer = http.post(statistical.STATISTICS, json=body)
    assert answer.status_code == 200, answer.text
    assert time.monotonic() - begun < 5 * LIMIT_S + 20
    found = answer.json()
    assert found["status"] == "FAILED"
    assert len(found["data"]) == 6
    assert {one["error"]["type"] for one in found["data"]} == {"TIMEOUT"}
    good = {**body["aggregation"], "evalscript": statistical.RAW}
    answer = http.post(statistical.STATISTICS, json={**body, "aggregation": good})
    assert answer.json()["status"] == "OK"


POLLUTION = """
Object.prototype.default = [7]; Object.prototype.bands = 9; Object.prototype.left = 'left';
Array.prototype.map = null; Array.isArray = () => false; Array.prototype[Symbol.iterator] = null;
JSON.stringify = () => '{}'; Math.max = () => 7; Number.prototype.toString = () => '7';
Function.prototype.call = null; globalThis.left = 'left'; left_behind = 'left';
SampleType.FLOAT32 = 'INT8'; index = () => 7; globalThis.colorBlend = null;
Object.freeze(Object.prototype); Object.defineProperty(globalThis, 'B04', {get() { return 7; }});
"""
LOOKING = """
let seen = [];
for (const name in {}) seen.push(name);
seen.push(typeof left, typeof left_behind, typeof B04, [1].map((v) => v)[0], Math.max(1, 2),
  (5).toString(), JSON.stringify({a: 1}), SampleType.FLOAT32, index(3, 1), [...[1]].length,
  colorBlend.call(null, 0, [0, 1], [[1], [2]])[0], Array.isArray([]));
outputMetadata.userData = {seen};
return [samples.B04];
"""


def test_no_request_leaves_anything_behind(server: Served, one: str) -> None:
    """Another account asks in the same processes, and finds the language as it is."""
    server.configure(
        clients={
            "sandbox": {"secret": "sandbox", "account": "sandbox"},
            "other": {"secret": "other", "account": "other"},
        }
    )
    token = server.token("other", "other")
    looking = p.script(LOOKING, bands='["B04"]', output='{bands: 1, sampleType: "FLOAT32"}')
    polluting = p.script("return [7];", bands='["B04"]', output="{bands: 1}", more=POLLUTION)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/tar"}
    with server.client() as mine, httpx.Client(base_url=server.base, headers=headers) as others:
        body = {"name": "others", "s3Bucket": BUCKET}
        made = others.post(COLLECTIONS, json=body).json()["data"]["id"]
        assert others.post(f"{COLLECTIONS}/{made}/tiles", json={"path": "a"}).status_code == 201
        server.tick(60)
        request = p.body(f"byoc-{made}", looking, formats={"default": p.TIFF, "userdata": p.JSON})
        found = set()
        # More than there are processes, so that each of them was used.
        for _ in range(6):
            mine.post(p.PROCESS, json=p.body(one, polluting, bbox=CORNER, size=(8, 8)))
            answer = others.post(p.PROCESS, json=request, timeout=60)
            assert answer.status_code == 200, answer.text
            files = p.members(answer.content)
            np.testing.assert_array_equal(p.image(files["default.tif"])[0], p.numbers(1))
            found.add(json.dumps(json.loads(files["userdata.json"])["seen"]))
    clean = ["undefined"] * 3 + [1, 2, "5", '{"a":1}', "FLOAT32", 0.5, 1, 1, True]
    assert [json.loads(one) for one in found] == [clean]


def test_attacks_at_once_hold_up_nothing_but_pixels(
    server: Served, http: httpx.Client, one: str
) -> None:
    """While all processes for pixels are busy, everything else is answered."""
    request = p.body(one, TIME["a loop"], bbox=CORNER, size=(8, 8))
    statuses: list[int] = []

    def send() -> None:
        with server.client() as client:
            statuses.append(client.post(p.PROCESS, json=request).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    answered = 0
    while any(thread.is_alive() for thread in threads):
        assert http.get(COLLECTIONS).status_code == 200
        answered += 1
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert statuses == [400] * 4
    assert answered > 1
    served(http, one)
