"""Asynchronous requests: what is refused, where results go, what they cost, and that they are paid for once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from shplan.sandbox import async_paths, async_rows, feature_files, settling
from shplan.sandbox.batch_paths import DeliveryError
from shplan.sandbox.metering import async_pu
from shplan.sandbox.settings import Settings

from . import processing as p
from .support import Driver, sandbox

ASYNC = "/async/v1/process"
RESULTS = "results"
SAME = p.script("return [samples.B04];", bands='["B04"]', output='{bands: 1, sampleType: "UINT16"}')
SECRET, KEY = "wJalrXUtnFEMI", "AKIAIOSFODNN7"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def one(api: Driver, bucket: Path) -> str:
    """A collection of one tile with two bands."""
    p.write(bucket / "a/B04.tif", p.numbers(4))
    p.write(bucket / "a/B08.tif", p.numbers(8))
    return p.collection(api, {"a": "2025-06-01T10:00:00Z"})


def body(
    kind: str, text: str = SAME, *, url: str = f"s3://{RESULTS}/out", **parts: Any
) -> dict[str, Any]:
    """An asynchronous request that delivers to a URL."""
    made = p.body(kind, text, **parts)
    access = {"url": url, "accessKey": KEY, "secretAccessKey": SECRET, "region": "eu-central-1"}
    made["output"]["delivery"] = {"s3": access}
    return made


def create(api: Driver, request: dict[str, Any]) -> str:
    answer = api.post(ASYNC, request)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"id": answer.json()["id"], "status": "RUNNING"}
    return str(answer.json()["id"])


def refused(api: Driver, request: dict[str, Any], *, status: int = 400) -> Any:
    answer = api.post(ASYNC, request)
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def ran(api: Driver, request: dict[str, Any]) -> str:
    """A request that came to its end."""
    made = create(api, request)
    api.tick(60)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    return made


def delivered(data: Path, bucket: str = RESULTS) -> dict[str, bytes]:
    """Every object of a bucket by its key."""
    base = data / "buckets" / bucket
    return {
        str(path.relative_to(base)): path.read_bytes()
        for path in sorted(base.rglob("*"))
        if path.is_file()
    }


def outcome(api: Driver, made: str) -> Any:
    """What became of a request, as the sandbox's own controls tell."""
    listed = api.get("/_sandbox/async").json()["requests"]
    return next(entry for entry in listed if entry["id"] == made)


def meter(api: Driver) -> float:
    return float(api.get("/_sandbox/meter").json()["pu"])


# The life of a request.


@pytest.mark.parametrize("path", [ASYNC, "/api/v1/async/process"])
def test_a_request_runs_and_then_is_not_found(api: Driver, one: str, path: str) -> None:
    answer = api.post(path, body(one))
    assert answer.status_code == 200
    made = answer.json()["id"]
    for _ in range(3):
        assert api.get(f"{path}/{made}").json() == {"id": made, "status": "RUNNING"}
        api.tick(1)
    api.tick(60)
    gone = api.get(f"{path}/{made}")
    assert gone.status_code == 404
    assert gone.json()["error"]["code"] == "COMMON_NOT_FOUND"


def test_the_pixels_are_those_of_process(api: Driver, one: str, tmp_path: Path) -> None:
    made = ran(api, body(one))
    found = delivered(tmp_path)
    assert list(found) == [f"out/{made}/default.tif", f"out/{made}/request.json"]
    content = found[f"out/{made}/default.tif"]
    assert np.array_equal(p.image(content)[0], p.numbers(4))
    assert content == p.processed(api, p.body(one, SAME))


def test_nothing_but_the_copy_is_there_while_it_runs(api: Driver, one: str, tmp_path: Path) -> None:
    request = body(one)
    made = create(api, request)
    found = delivered(tmp_path)
    assert list(found) == [f"out/{made}/request.json"]
    told = json.loads(found[f"out/{made}/request.json"])
    assert told["id"] == made
    assert told["request"]["input"] == request["input"]
    assert told["request"]["evalscript"] == SAME
    assert "costPU" not in told
    api.tick(60)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    told = json.loads(delivered(tmp_path)[f"out/{made}/request.json"])
    assert told["costPU"] == outcome(api, made)["costPU"] == 10


def test_every_output_is_a_file(api: Driver, one: str, tmp_path: Path) -> None:
    text = """//VERSION=3
function setup() { return {input: ["B04"], output: [{id: "default", bands: 1, sampleType: "UINT16"},
  {id: "picture", bands: 3}, {id: "photo", bands: 3}]}; }
function evaluatePixel(s, scenes, inputMetadata, customData, outputMetadata) {
  outputMetadata.userData = {done: true};
  return {default: [s.B04], picture: [1, 0.5, 0], photo: [0, 0, 0]}; }"""
    kinds = {"default": p.TIFF, "picture": p.PNG, "photo": p.JPEG, "userdata": p.JSON}
    made = ran(api, body(one, text, size=(16, 16), formats=kinds))
    found = delivered(tmp_path)
    names = ["default.tif", "photo.jpg", "picture.png", "request.json", "userdata.json"]
    assert list(found) == [f"out/{made}/{name}" for name in names]
    assert json.loads(found[f"out/{made}/userdata.json"]) == {"done": True}
    assert p.image(found[f"out/{made}/picture.png"])[:, 0, 0].tolist() == [255, 128, 0]


def test_larger_images_than_at_once_are_delivered(api: Driver, one: str, tmp_path: Path) -> None:
    request = body(one, size=(2501, 20))
    made = ran(api, request)
    content = delivered(tmp_path)[f"out/{made}/default.tif"]
    assert p.image(content).shape == (1, 20, 2501)
    del request["output"]["delivery"]
    assert p.refused(api, request)["code"] == "COMMON_BAD_PAYLOAD"


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        (f"s3://{RESULTS}", ["{}/default.tif", "{}/request.json"]),
        (f"s3://{RESULTS}/", ["{}/default.tif", "{}/request.json"]),
        (f"s3://{RESULTS}/a/b/", ["a/b/{}/default.tif", "a/b/{}/request.json"]),
        (f"s3://{RESULTS}/a/<OUTPUT>", ["a/default.tif", "a/request.json"]),
        (f"s3://{RESULTS}/a/<OUTPUT>.tiff", ["a/default.tiff", "a/request.json"]),
        (f"s3://{RESULTS}/<OUTPUT>/<REQUEST_ID>", ["default.tif/{}", "request.json"]),
        (f"s3://{RESULTS}/x<REQUEST_ID>/y-<OUTPUT>", ["x{}/request.json", "x{}/y-default.tif"]),
        (f"gs://{RESULTS}/g", ["g/{}/default.tif", "g/{}/request.json"]),
    ],
)
def test_a_template_says_where(
    api: Driver, one: str, tmp_path: Path, url: str, keys: list[str]
) -> None:
    request = body(one, size=(16, 16), url=url)
    if url.startswith("gs:"):
        request["output"]["delivery"] = {"gs": {"url": url, "credentials": SECRET}}
    made = ran(api, request)
    assert list(delivered(tmp_path)) == [key.format(made) for key in keys]


@given(
    st.lists(
        st.sampled_from(("<REQUEST_ID>", "<OUTPUT>", "a", "/", ".", "b c", "é")), max_size=8
    ).map("".join),
    st.lists(st.sampled_from(("default.tif", "x.png", "x.jpg", "userdata.json")), unique=True),
)
def test_no_two_files_have_one_place(template: str, names: list[str]) -> None:
    """Whatever the template: it is refused, or every file lies in the bucket by itself."""
    try:
        made = async_paths.delivery(f"s3://b/{template}", request_id="id", names=tuple(names))
    except DeliveryError:
        return
    keys = [made.output(name).key for name in names]
    keys += [made.beside(name).key for name in (async_paths.REQUEST, async_paths.ERROR)]
    assert len(set(keys)) == len(keys)
    assert all(step not in ("", ".", "..") for key in keys for step in key.split("/"))


def test_a_script_may_lie_in_a_bucket(api: Driver, one: str, tmp_path: Path) -> None:
    place = tmp_path / "buckets" / "scripts" / "same.js"
    place.parent.mkdir(parents=True)
    place.write_text(SAME)
    request = body(one, size=(16, 16))
    del request["evalscript"]
    keys = {"accessKey": KEY, "secretAccessKey": SECRET}
    request["evalscriptReference"] = {"s3": {"url": "s3://scripts/same.js", **keys}}
    made = ran(api, request)
    assert f"out/{made}/default.tif" in delivered(tmp_path)
    place.unlink()
    made = ran(api, request)
    told = json.loads(delivered(tmp_path)[f"out/{made}/error.json"])
    assert "s3://scripts/same.js" in told["error"]["message"]


# Refusals.


def _without(*steps: str) -> Any:
    def change(request: dict[str, Any]) -> None:
        inner: Any = request
        for step in steps[:-1]:
            inner = inner[step]
        del inner[steps[-1]]

    return change


def _with(value: Any, *steps: str) -> Any:
    def change(request: dict[str, Any]) -> None:
        inner: Any = request
        for step in steps[:-1]:
            inner = inner[step]
        inner[steps[-1]] = value

    return change


DELIVERY = ("output", "delivery", "s3")


REFUSED: tuple[tuple[Any, str | None], ...] = (
    (_without("evalscript"), "evalscript"),
    (_with({"s3": {"url": "s3://b/x.js"}}, "evalscriptReference"), "evalscript"),
    (_without("input"), "input"),
    (_without("output"), "output"),
    (_without("output", "delivery"), "output->delivery"),
    (_with({}, "output", "delivery"), "output->delivery"),
    (_without(*DELIVERY, "url"), "output->delivery->s3->url"),
    (_without(*DELIVERY, "accessKey"), "output->delivery->s3"),
    (_without(*DELIVERY, "secretAccessKey"), "output->delivery->s3"),
    (_with("arn:aws:iam::1:role/x", *DELIVERY, "iamRoleARN"), "output->delivery->s3"),
    (_with({"url": f"s3://{RESULTS}"}, *DELIVERY), "output->delivery->s3"),
    (_with("https://x/y", *DELIVERY, "url"), "output->delivery->s3->url"),
    (_with("s3://", *DELIVERY, "url"), "output->delivery->url"),
    (_with("s3://b/../c", *DELIVERY, "url"), "output->delivery->url"),
    (_with("s3://b/<tileName>", *DELIVERY, "url"), "output->delivery->url"),
    (_with("s3://b/request.json/../x", *DELIVERY, "url"), "output->delivery->url"),
    (_with("s3://b/" + "x" * 1100, *DELIVERY, "url"), "output->delivery->url"),
    (_with(10_001, "output", "width"), "output->width"),
    (_with(0, "output", "height"), "output->height"),
    (_without("output", "height"), "output"),
    (_with(10, "output", "resx"), "output"),
    (_with("sentinel-99", "input", "data", 0, "type"), None),
    (_with(f"byoc-{UNKNOWN}", "input", "data", 0, "type"), None),
    (
        _with([{"identifier": "default", "format": {"type": p.JSON}}], "output", "responses"),
        "output->responses",
    ),
    (_with([0, 0, 0, 0], "input", "bounds", "bbox"), "input->bounds->bbox"),
)


def test_what_is_wrong_is_refused_at_creation(api: Driver, one: str, tmp_path: Path) -> None:
    for change, place in REFUSED:
        request = body(one)
        change(request)
        error = refused(api, request)
        assert error["code"] == "COMMON_BAD_PAYLOAD"
        assert place is None or place in error["errors"]
    assert not (tmp_path / "buckets" / RESULTS).exists()
    assert api.get("/_sandbox/async").json() == {"requests": []}


def test_two_outputs_need_two_names(api: Driver, one: str) -> None:
    kinds = {"default": p.TIFF, "other": p.TIFF}
    url = f"s3://{RESULTS}/<REQUEST_ID>"
    assert "output->delivery->url" in refused(api, body(one, url=url, formats=kinds))["errors"]
    kinds = {"a/b": p.TIFF, "a_b": p.TIFF}
    assert "output->delivery->url" in refused(api, body(one, formats=kinds))["errors"]


def test_a_resolution_makes_at_most_ten_thousand_pixels(api: Driver, one: str) -> None:
    create(api, body(one, size=None, resx=0.512, resy=10))
    error = refused(api, body(one, size=None, resx=0.5119, resy=10))
    assert "10000" in error["errors"]["output->resx"]


def test_pixels_may_not_be_too_coarse(api: Driver, one: str) -> None:
    api.tick(120)
    far = [p.WEST, p.NORTH - 100_000, p.WEST + 100_000, p.NORTH]
    assert "meters per pixel" in refused(api, body(one, bbox=far, size=(200, 199)))["message"]


def test_a_bucket_that_is_not_there_is_made_or_refused(api: Driver, one: str) -> None:
    api.configure(missing_bucket="refuse")
    assert "output->delivery" in refused(api, body(one))["errors"]
    assert api.get("/_sandbox/async").json() == {"requests": []}


def test_a_role_gives_access_too(api: Driver, one: str) -> None:
    request = body(one, size=(16, 16))
    url = request["output"]["delivery"]["s3"]["url"]
    request["output"]["delivery"]["s3"] = {"url": url, "iamRoleARN": "arn:aws:iam::1:role/x"}
    ran(api, request)


def test_methods_that_there_are_not(api: Driver, one: str) -> None:
    made = create(api, body(one))
    assert api.get(ASYNC).status_code == 405
    for method in ("PUT", "DELETE", "POST"):
        assert api.send(method, f"{ASYNC}/{made}").status_code == 405
    assert api.get(f"{ASYNC}/{UNKNOWN}").status_code == 404
    assert api.send("GET", f"{ASYNC}/{made}", headers={"authorization": ""}).status_code == 401


# Failures.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (p.script("return samples.x.y;"), "TypeError"),
        (p.script("return [1];", bands='["B99"]'), "B99"),
        ("nothing", "ReferenceError"),
        (p.script("return [1];", output='[{id: "other", bands: 1}]'), "default"),
    ],
)
def test_what_goes_wrong_later_is_told_in_the_bucket(
    api: Driver, one: str, tmp_path: Path, text: str, told: str
) -> None:
    before = meter(api)
    made = ran(api, body(one, text))
    found = delivered(tmp_path)
    assert list(found) == [f"out/{made}/error.json", f"out/{made}/request.json"]
    content = json.loads(found[f"out/{made}/error.json"])
    assert told in content["error"]["message"]
    assert outcome(api, made)["status"] == "FAILED"
    assert outcome(api, made)["error"] == content["error"]["message"]
    assert meter(api) == before


def test_data_that_vanished_is_told_in_the_bucket(
    api: Driver, one: str, bucket: Path, tmp_path: Path
) -> None:
    made = create(api, body(one))
    (bucket / "a/B04.tif").unlink()
    gone = create(api, body(one, url=f"s3://{RESULTS}/gone"))
    api.delete(f"/byoc/v1/collections/{one.removeprefix('byoc-')}")
    api.tick(60)
    assert api.get(f"{ASYNC}/{gone}").status_code == 404
    found = delivered(tmp_path)
    for key in (f"out/{made}/error.json", f"gone/{gone}/error.json"):
        assert "not found" in json.loads(found[key])["error"]["message"]


def test_a_bucket_that_vanished_fails_the_request(api: Driver, one: str, tmp_path: Path) -> None:
    made = create(api, body(one))
    (tmp_path / "buckets" / RESULTS).rename(tmp_path / "buckets" / "elsewhere")
    api.configure(missing_bucket="refuse")
    before = meter(api)
    api.tick(60)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    assert "bucket" in outcome(api, made)["error"]
    assert meter(api) == before


def test_what_nobody_foresaw_ends_one_request_alone(
    api: Driver, one: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in what computes is told in the bucket, and everybody is served."""
    made = create(api, body(one))
    with monkeypatch.context() as patch:
        patch.setattr(feature_files.FeatureWork, "files", _dying)
        api.tick(60)
        assert api.get(f"{ASYNC}/{made}").status_code == 404
    assert json.loads(delivered(tmp_path)[f"out/{made}/error.json"])["error"]["message"]
    assert outcome(api, made)["status"] == "FAILED"
    assert outcome(api, ran(api, body(one)))["status"] == "DONE"


def test_a_file_where_a_folder_must_be_fails_the_request(
    api: Driver, one: str, tmp_path: Path
) -> None:
    url = f"s3://{RESULTS}/there/<OUTPUT>/<REQUEST_ID>"
    made = create(api, body(one, url=url))
    (tmp_path / "buckets" / RESULTS / "there" / "default.tif").write_bytes(b"a file")
    api.tick(60)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    assert "cannot be written" in outcome(api, made)["error"]
    assert outcome(api, made)["costPU"] == 0


# What it costs.


@pytest.mark.parametrize(
    ("full_pu", "side", "discounted", "expected"),
    [
        (1.0, 100, True, 10.0),
        (30.0, 100, True, 20.0),
        (30.0, 99, True, 30.0),
        (30.0, 100, False, 30.0),
    ],
)
def test_units_are_two_thirds_and_at_least_ten(
    full_pu: float, side: int, discounted: bool, expected: float
) -> None:
    found = async_pu(full_pu, width=side, height=side, has_discount=discounted)
    assert found == pytest.approx(expected)


def test_units_are_those_of_the_page(api: Driver, one: str) -> None:
    text = p.script("return [samples.B04 + samples.B08];")
    before = meter(api)
    made = ran(api, body(one, text, size=(4096, 1024)))
    # 16 areas, two thirds of the bands, twice for floating point, two thirds for all.
    assert outcome(api, made)["costPU"] == pytest.approx(16 * 2 / 3 * 2 * 2 / 3)
    assert meter(api) - before == pytest.approx(16 * 2 / 3 * 2 * 2 / 3)


def test_who_has_too_few_units_gets_nothing(api: Driver, one: str, tmp_path: Path) -> None:
    api.configure(account_pu=meter(api) + 9.9)
    error = refused(api, body(one), status=403)
    assert error["code"] == "ACCESS_INSUFFICIENT_PROCESSING_UNITS"
    api.configure(account_pu=meter(api) + 15)
    first = ran(api, body(one, url=f"s3://{RESULTS}/first", size=(16, 16)))
    api.configure(account_pu=meter(api) + 10)
    second, third = (create(api, body(one, url=f"s3://{RESULTS}/{n}", size=(16, 16))) for n in "23")
    api.tick(60)
    assert api.get(f"{ASYNC}/{third}").status_code == 404
    assert [outcome(api, made)["status"] for made in (first, second, third)] == [
        "DONE", "DONE", "FAILED",
    ]  # fmt: skip
    assert f"3/{third}/default.tif" not in delivered(tmp_path)
    told = json.loads(delivered(tmp_path)[f"3/{third}/error.json"])
    assert "processing units" in told["error"]["message"]


# Others, and at once.


def test_so_many_run_at_once(api: Driver, one: str) -> None:
    api.configure(async_concurrent=2, async_processing_s=30)
    request = body(one, size=(16, 16))
    create(api, request)
    api.tick(10)
    create(api, request)
    answer = api.post(ASYNC, request)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert answer.headers["retry-after"] == "20000"
    api.configure(clients={"other": {"secret": "other", "account": "other"}})
    api.login("other", "other")
    assert "not found" in refused(api, request)["message"]
    api.login()
    api.tick(20)
    create(api, request)
    assert api.post(ASYNC, request).status_code == 429
    api.configure(async_concurrent=None)
    create(api, request)


def test_a_request_is_its_accounts_alone(api: Driver, one: str) -> None:
    made = create(api, body(one))
    api.configure(clients={"other": {"secret": "other", "account": "other"}})
    api.login("other", "other")
    assert api.get(f"{ASYNC}/{made}").status_code == 403
    api.configure(foreign_objects=404)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    api.login()
    assert api.get(f"{ASYNC}/{made}").status_code == 200


def test_no_secret_stays_anywhere(api: Driver, one: str, tmp_path: Path) -> None:
    request = body(one, size=(16, 16))
    del request["evalscript"]
    keys = {"accessKey": KEY, "secretAccessKey": SECRET}
    request["evalscriptReference"] = {"s3": {"url": "s3://scripts/none.js", **keys}}
    answers = [api.post(ASYNC, request).text]
    ran(api, request)
    for change in (
        _with([SECRET], *DELIVERY, "secretAccessKey"),
        _with({"a": SECRET}, *DELIVERY, "secretAccessKey"),
        _with({"url": "gs://b", "credentials": SECRET}, "output", "delivery", "gs"),
        _with([{"secretAccessKey": SECRET}], "output", "delivery"),
    ):
        broken = copy.deepcopy(request)
        change(broken)
        answers.append(json.dumps(refused(api, broken)))
    answers += [api.get(f"/_sandbox/{name}").text for name in ("dump", "requests", "async")]
    held = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"none.js" in content for content in held)
    for secret in (SECRET, KEY):
        assert not any(secret in answer for answer in answers)
        assert not any(secret.encode() in content for content in held)


def test_a_struck_request_is_made_twice_and_paid_twice(api: Driver, one: str) -> None:
    """Source: there is no idempotency key; who repeats a lost create has two requests."""
    before = meter(api)
    fault = {"kind": "lost-answer", "method": "POST", "path": ASYNC}
    api.post("/_sandbox/faults", fault)
    with pytest.raises(Exception, match="dropped"):
        api.post(ASYNC, body(one, size=(16, 16)))
    create(api, body(one, size=(16, 16)))
    api.tick(60)
    listed = api.get("/_sandbox/async").json()["requests"]
    assert [entry["status"] for entry in listed] == ["DONE", "DONE"]
    assert meter(api) - before == 20


# Laws.


def test_two_sandboxes_of_one_seed_deliver_the_same_bytes(tmp_path: Path) -> None:
    seen = []
    for name in "ab":
        data = tmp_path / name
        p.write(data / "buckets/imagery/a/B04.tif", p.numbers(4))
        with sandbox(data, settings=Settings(seed="same")) as api:
            api.login()
            kind = p.collection(api, {"a": "2025-06-01T10:00:00Z"})
            ran(api, body(kind, size=(64, 64)))
        seen.append(delivered(data))
    assert len(seen[0]) == 2
    assert seen[0] == seen[1]


@pytest.mark.parametrize("moment", ["work", "files"])
def test_who_dies_in_the_middle_does_it_again_and_pays_once(
    api: Driver, one: str, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, within and after the transaction: the request still runs, or it is over."""
    made = create(api, body(one, size=(64, 64)))
    before = meter(api)
    api.tick(60)
    world = api.app.state.world
    request = async_rows.REQUESTS.find(world.store, made)
    assert request is not None
    (steps,) = [steps for steps in settling.TASKS if steps.table is async_rows.REQUESTS]
    step = steps.begin(world, request, request.due_ms or 0)
    assert step is not None
    result = step.work()
    if moment == "files":
        with monkeypatch.context() as patch:
            # The power fails where the request would be stored as over, all files written.
            patch.setattr(async_rows, "finish", _dying)
            with pytest.raises(_PowerError):
                step.done(result)
        assert f"out/{made}/default.tif" in delivered(tmp_path)
    assert world.store.charged(request.account) == before
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    assert meter(api) - before == 10
    found = delivered(tmp_path)
    # Somebody who computed the same all along stores nothing any more.
    step.done(result)
    assert meter(api) - before == 10
    assert delivered(tmp_path) == found


class _PowerError(Exception):
    pass


def _dying(*_: Any, **__: Any) -> None:
    raise _PowerError


def test_a_reset_forgets_requests_that_run(api: Driver, one: str) -> None:
    made = create(api, body(one))
    api.post("/_sandbox/reset")
    api.login()
    api.tick(60)
    assert api.get(f"{ASYNC}/{made}").status_code == 404
    assert meter(api) == 0


@pytest.mark.slow
def test_the_largest_image_is_delivered(api: Driver, one: str, tmp_path: Path) -> None:
    """Ten thousand pixels each way: strip by strip, in bounded memory."""
    text = p.script("return [samples.B04 / 10000];", bands='["B04"]', output="{bands: 1}")
    made = create(api, body(one, text, size=(10_000, 10_000)))
    api.tick(60)
    while api.get(f"{ASYNC}/{made}").status_code == 200:
        pass
    assert outcome(api, made)["error"] is None
    with rasterio.MemoryFile(delivered(tmp_path)[f"out/{made}/default.tif"]) as memory:
        with memory.open() as raster:
            assert raster.shape == (10_000, 10_000)
            columns = (np.arange(0, 10_000, 997) + 0.5) * p.SIZE / 10_000
            rows = columns.astype(int)
            expected = np.floor(p.numbers(4) / 10_000 * 255 + 0.5)[np.ix_(rows, rows)]
            found = raster.read(1)[::997, ::997]
            assert np.array_equal(found, expected)


def test_what_would_not_have_room_is_told_in_the_bucket(
    api: Driver, one: str, tmp_path: Path
) -> None:
    text = p.script("return [1];", bands='["B04"]', output='{bands: 100, sampleType: "FLOAT32"}')
    made = ran(api, body(one, text, size=(10_000, 10_000)))
    told = json.loads(delivered(tmp_path)[f"out/{made}/error.json"])
    assert "too many bands" in told["error"]["message"]
