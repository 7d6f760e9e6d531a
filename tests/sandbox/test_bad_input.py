"""
Whatever is sent: no 500, no long wait, and the sandbox serves on.

The operations are those of the published description that the sandbox serves, found by asking it, so
that a family that is added is covered without a line here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from shplan.schema.store import Operation, operations
from tests.support import geopackages
from tests.support.bounded import bounded
from tests.support.samples import some

from . import batches
from .fuzz import JUNK, RAW, Maker, with_bodies
from .pixel_requests import FIELD, requests_of
from .support import BUCKET, COLLECTIONS, TOKEN, Driver, sandbox, violations, write_cog

# Of the processor's time: the machine that runs the tests may be busy with others.
NOBODY = "00000000-0000-4000-8000-000000000000"
JSON = {"content-type": "application/json"}
# A body that passes, where the schema alone makes none that comes far.
KNOWN: dict[str, Any] = {
    "createByocCollection": {"name": "n", "s3Bucket": BUCKET, "noData": 0},
    "createByocCollectionTile": {"path": "a/(BAND).tif", "sensingTime": "2024-01-01T00:00:00Z"},
    "createNewBatchV2ProcessingRequest": batches.body(),
}


class Target:
    """
    A sandbox with something of everything in it.

    Args:
        known: a body that passes, by operation
    """

    def __init__(self, api: Driver, known: dict[str, Any]) -> None:
        self.api = api
        self.known = known
        api.lenient = True
        self.ids: dict[str, str] = {}

    def path(self, operation: Operation, rng: Random | None = None) -> str:
        """The operation's path; each parameter an identifier that a list tells, or junk."""
        path = ""
        for step in operation.path.strip("/").split("/"):
            if not step.startswith("{"):
                path += f"/{step}"
            elif rng is not None and rng.random() < 0.5:
                path += "/" + rng.choice(PATH_JUNK)
            else:
                path += f"/{self._first(path)}"
        return path

    def _first(self, listing: str) -> str:
        if listing not in self.ids:
            answer = self.api.get(listing)
            found: Any = answer.json() if answer.status_code == 200 else {}
            listed = [found] if isinstance(found, list) else found.values()
            first = next((v for v in listed if isinstance(v, list) and v), [{}])[0]
            # Files are listed by their keys alone.
            self.ids[listing] = first if isinstance(first, str) else str(first.get("id", NOBODY))
        return self.ids[listing]

    def serves(self, operation: Operation) -> bool:
        answer = self.api.send(operation.method, self.path(operation))
        return not (answer.status_code == 405 or b"is not served here" in answer.content)

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        with bounded(f"{method} {path}"):
            answer = self.api.send(method, path, **request)
        assert answer.status_code < 500, f"{method} {path}: {answer.text[:500]}"
        return answer

    def is_well(self) -> None:
        """Time passes, and everything can be listed: nothing that was accepted is a trap."""
        self.api.tick(3600)
        self.api.login()
        for operation in operations().values():
            if operation.method == "GET" and not operation.path.endswith("}"):
                self.send("GET", self.path(operation))


PATH_JUNK = [
    "x", "0", "-1", "%00", "%ff", "%2e%2e", "%2e%2e%2f%2e%2e", "..%2f..%2fx", "%", "%zz", "a" * 3000, "%F0%9F%9B%B0",
    "%E2%80%AE", "'", "*", "null", "١", "1e3", "00000000-0000-0000-0000-000000000000", "%5c..%5c", " ", "+", ";",
]  # fmt: skip
QUERY_JUNK = [
    "count=0", "count=-1", "count=101", "count=1e3", "count=%D9%A1", "count=1_0", "count=+1", "count=%201",
    "count=" + "9" * 5000, "count=", "count=1&count=x", "limit=0", "limit=-1", "limit=x", "limit=1.5", "viewtoken=x",
    "viewtoken=%00", "viewtoken=W10", "viewtoken=" + "A" * 4000, "sort=x", "sort=%00", "sort=created:asc,created:asc",
    "status=%22", "path=%00", "path=../../x", "path=%ff", "ids=,,,", "ids=%00", "search=" + "a|" * 99, "search=%25_%00",
    "toCollection=x", "toCollection=%00", "userid=%ff", "bbox=1,2", "bbox=nan,nan,nan,nan", "bbox=a,b,c,d",
    "datetime=x", "datetime=../..", "datetime=9999-12-31T23:59:59Z/..", "collections=x", "intersects=%7B", "filter=%28",
    "filter=" + "%28" * 2000, "fields=%00", "next=-1", "next=x", "%00=%00", "&&&", "=", "a" * 5000, "%",
]  # fmt: skip


def forged() -> list[str]:
    """Page tokens that nobody gave out."""
    contents: list[Any] = [
        [None, True], [0, False], [-1, False], [2**62, True], [2**63, False], [10**30, False], ["", True],
        ["\0", False], ["x", False], ["9" * 5000, True], [True, False], [[], True], {}, [1.5, False], ["a/b", True],
        ["1/1/1", False], None, "x", [[["x"]]],
    ]  # fmt: skip
    texts = [base64.urlsafe_b64encode(json.dumps(one).encode()).decode() for one in contents]
    return [*texts, "=", "é", "_" * 9, base64.b64encode(b"[" * 5000).decode()]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    data = tmp_path_factory.mktemp("bad-input")
    bucket = data / "buckets" / BUCKET
    write_cog(bucket / "a" / "B1.tif")
    geopackages.write(bucket / "fields.gpkg", [FIELD])
    with sandbox(data) as driver:
        driver.login().configure(second_delete=204, foreign_objects=404)
        one = driver.collection()["id"]
        driver.tile(one, "a")
        batches.create(driver)
        driver.tick(60)
        yield Target(driver, {**KNOWN, **requests_of(f"byoc-{one}")})


@pytest.fixture(scope="module")
def served(target: Target) -> list[tuple[str, Operation]]:
    found = [(n, one) for n, one in with_bodies().items() if target.serves(one)]
    assert "createByocCollection" in dict(found)
    return found


def mutate(target: Target, served: list[tuple[str, Operation]], numbers: range) -> None:
    for name, operation in served:
        maker = Maker(name)
        for number in numbers:
            known = target.known.get(name) if number % 2 else None
            path = target.path(operation)
            content = maker.body(number, known)
            answer = target.send(operation.method, path, content=content, headers=JSON)
            if answer.status_code == 201:
                act(target, operation, path, answer.json())
        target.is_well()


def act(target: Target, operation: Operation, path: str, made: Any) -> None:
    """Everything that can be asked of what was made from a damaged body: analyse, start, reingest."""
    identifier = made.get("data", made).get("id", "x")
    for one in operations().values():
        inner = one.path.removeprefix(operation.path + "/{").partition("}")[2]
        if not one.path.startswith(operation.path + "/{") or "{" in inner:
            continue
        if one.method == "GET" or (one.method == "POST" and not one.request_media_types):
            target.send(one.method, f"{path}/{identifier}{inner}")
            target.api.tick(7)


def test_known_bodies_pass(target: Target) -> None:
    """What is damaged below was whole before."""
    for name, body in target.known.items():
        operation = operations()[name]
        answer = target.send(operation.method, target.path(operation), json=body)
        # The tile is there already, after its ingestion under this very path.
        allowed = (409,) if name == "createByocCollectionTile" else ()
        assert answer.status_code in (200, 201, *allowed), answer.text


@pytest.mark.sampled
def test_damaged_bodies(target: Target, served: list[tuple[str, Operation]]) -> None:
    """Of each operation some forty of them; `make slow` tries five hundred."""
    mutate(target, served, range(some(40, thorough=120)))


@pytest.mark.slow
@pytest.mark.sampled
@pytest.mark.timeout(600)
def test_many_damaged_bodies(target: Target, served: list[tuple[str, Operation]]) -> None:
    mutate(target, served, range(120, some(220, thorough=500)))


@pytest.mark.sampled
def test_bodies_that_are_none(target: Target, served: list[tuple[str, Operation]]) -> None:
    """Each of them for every third operation, as all are read in one place; in `make slow` for each."""
    step = some(3, thorough=1)
    for number, (_, operation) in enumerate(served):
        for content in RAW[number % step :: step]:
            path = target.path(operation)
            target.send(operation.method, path, content=content, headers=JSON)
    target.is_well()


@pytest.mark.parametrize("path", [TOKEN, "/oauth/token"])
def test_forms_that_are_none(target: Target, path: str) -> None:
    form = b"grant_type=client_credentials&client_id=sandbox&client_secret=sandbox"
    bodies = [
        *RAW, form[:-1] + b"%00", form.replace(b"sandbox", b"%ff%fe"), b"&" * 100_000, b"=" * 1000,
        b"grant_type=%00", b"client_id=" + b"a" * 1_000_000, form.replace(b"=", b"%3D"), form.replace(b"=", b"[]="),
        "grant_type=client_credentials&client_id=é&client_secret=\u202e".encode(),
        b"a=b&" * 200_000,
    ]  # fmt: skip
    for content in bodies:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = target.send("POST", path, content=content, headers=headers)
        assert answer.status_code in (400, 401)
        assert "error" in answer.json()


def test_paths_and_queries(target: Target) -> None:
    for name, operation in operations().items():
        rng = Random(name)
        method = operation.method
        for number in range(12):
            path = target.path(operation, rng)
            query = rng.choice(QUERY_JUNK) if number % 2 else ""
            request = {"content": b"{}", "headers": JSON} if operation.request_media_types else {}
            target.send(method, f"{path}?{query}" if query else path, **request)
    target.is_well()


def lists(target: Target) -> list[str]:
    found = [one for one in operations().values() if one.method == "GET"]
    paths = [target.path(one) for one in found if not one.path.endswith("}")]
    return [path for path in paths if target.send("GET", path).status_code == 200]


def test_forged_page_tokens_and_queries_of_lists(target: Target) -> None:
    assert COLLECTIONS in (paths := lists(target))
    for path in paths:
        for query in QUERY_JUNK:
            target.send("GET", f"{path}?{query}")
        for token in forged():
            answer = target.send("GET", path, params={"viewtoken": token, "next": token})
            assert answer.status_code in (200, 400)


@pytest.mark.parametrize("count", ["١", "1_0", "+1", " 1", "1 ", "0x1", "1.0", "", "9" * 5000])
def test_count_is_written_in_digits(api: Driver, count: str) -> None:
    assert api.get(COLLECTIONS, count=count).status_code == 400


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "FOO", "PROPFIND", "get"])
def test_methods_that_nobody_serves(target: Target, method: str) -> None:
    for operation in operations().values():
        answer = target.send(method, target.path(operation))
        assert answer.status_code in (200, 204, 301, 302, 307, 400, 401, 403, 404, 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json;" + "x" * 5000},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": b"\xff\xfe"},
        {**JSON, "authorization": "Bearer"},
        {**JSON, "authorization": "Bearer " + "a." * 3000},
        {**JSON, "authorization": b"Bearer \xff.\xff.\xff"},
        {**JSON, "authorization": "Basic c2FuZGJveDpzYW5kYm94"},
        {**JSON, "accept": "\t,;q=x"},
        {**JSON, "accept-encoding": "gzip;q=nan", "content-encoding": "gzip"},
        {**JSON, "range": "bytes=99999999999999999999-"},
        {**JSON, "if-none-match": "*", "expect": "200-ok"},
        {**JSON, "host": "["},
        {**JSON, "host": "a:b:c"},
        {**JSON, "host": "x:99999999"},
        {**JSON, "host": ""},
        {**JSON, "host": "evil.example/../x?y#z"},
        {**JSON, "x-forwarded-host": "\x7f", "x-forwarded-for": "a" * 4000},
    ],
)
def test_headers(target: Target, headers: Any) -> None:
    body = {"name": "n", "s3Bucket": "b"}
    for method, path in (("POST", COLLECTIONS), ("GET", COLLECTIONS), ("POST", TOKEN)):
        target.send(method, path, content=json.dumps(body), headers=headers)


def test_json_without_end_is_refused_where_it_is_read_in_the_address_too(api: Driver) -> None:
    token = base64.urlsafe_b64encode(b"[" * 40_000).decode()
    assert api.get(COLLECTIONS, viewtoken=token).status_code == 400


@pytest.mark.parametrize("value", [1e308, 10**30, -(10**300), 2**63, 0.1])
def test_number_that_is_large_is_kept(api: Driver, value: float) -> None:
    one = api.collection(noData=value)["id"]
    assert api.read(one)["noData"] == float(value)


def test_last_of_two_equal_names_counts(api: Driver) -> None:
    content = b'{"name": "first", "s3Bucket": "b", "name": "last"}'
    answer = api.send("POST", COLLECTIONS, content=content, headers=JSON)
    assert answer.json()["data"]["name"] == "last"


def test_refusal_of_a_large_body_is_small(api: Driver) -> None:
    bands = {f"b{n}": {"bitDepth": "x" * 1000} for n in range(2000)}
    body = {"name": "n", "s3Bucket": "b", "additionalData": {"bands": bands}}
    answer = api.post(COLLECTIONS, body)
    assert answer.status_code == 400
    assert 0 < len(violations(answer)) <= 100
    assert len(answer.content) < 100_000


# Bodies without end.


def test_body_that_is_too_large_is_refused(api: Driver) -> None:
    api.configure(most_body_mb=0.01)
    content = b'{"name": "' + b"x" * 10_000 + b'", "s3Bucket": "b"}'
    answer = api.send("POST", COLLECTIONS, content=content, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["status"]) == (413, 413)
    assert api.send("POST", TOKEN, content=content, headers=JSON).status_code == 413
    assert api.get(COLLECTIONS).json()["data"] == []


@pytest.mark.parametrize("kind", ["duplicate", "lost-answer", "504"])
def test_body_that_is_too_large_is_refused_under_faults_too(api: Driver, kind: str) -> None:
    api.configure(most_body_mb=0.01)
    api.post("/_sandbox/faults", {"kind": kind, "served": True})
    content = b"x" * 20_000
    try:
        answer = api.send("POST", COLLECTIONS, content=content, headers=JSON)
        assert answer.status_code in (413, 504)
    except ConnectionResetError:
        assert kind == "lost-answer"


def test_body_that_is_too_large_is_not_kept(api: Driver) -> None:
    """Of a body without end nobody holds more than the limit."""
    api.configure(most_body_mb=0.01)
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1_000_000

    answer = api.send("POST", COLLECTIONS, content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert sent < 100


def test_junk_is_junk() -> None:
    """The stock of junk has what matters in it."""
    assert {type(one) for one in JUNK} == {type(None), bool, int, float, str, list, dict}


KEYS_OF_CONTROL: dict[str, list[str]] = {
    "tick": ["seconds"],
    "settings": ["speed", "waiting_s", "clients", "account_pu"],
    "faults": ["kind", "faults"],
    "batch": ["cause", "feature"],
    "populate": ["collection", "paths"],
    "edit": ["path", "method", "change"],
    "reset": [],
    "expire-tokens": [],
}


def test_control_survives_as_well(target: Target, tmp_path: Path) -> None:
    with sandbox(tmp_path) as driver:
        other = Target(driver, {})
        names = [
            "tick",
            "settings",
            "faults",
            "batch",
            "populate",
            "edit",
            "reset",
            "expire-tokens",
        ]
        for name in names:
            for content in RAW:
                other.send("POST", f"/_sandbox/{name}", content=content)
            for junk in JUNK:
                for key in KEYS_OF_CONTROL[name]:
                    body = json.dumps({key: junk}).encode()
                    other.send("POST", f"/_sandbox/{name}", content=body)
        other.api.post("/_sandbox/settings", {"speed": 1})
        other.api.send("DELETE", "/_sandbox/faults")
        other.is_well()
