"""Requests as other programs send them: OAuth libraries by their defaults, cubes chunk by chunk, web pages."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

from tests.sandbox import processing as p
from tests.sandbox.support import COLLECTIONS
from tests.support.served import Served

OLD = "/api/v1/process"


@pytest.fixture
def kind(served: Served) -> str:
    """A collection of one tile, and the type by which requests name it."""
    for band in (4, 8):
        path = served.data / "buckets" / "cubes" / "a" / f"B0{band}.tif"
        if not path.exists():
            p.write(path, p.numbers(band))
    with served.client() as http:
        made = http.post(COLLECTIONS, json={"name": "cubes", "s3Bucket": "cubes"}).json()
        identifier = made["data"]["id"]
        tile = {"path": "a", "sensingTime": "2025-06-01T10:00:00Z"}
        assert http.post(f"{COLLECTIONS}/{identifier}/tiles", json=tile).status_code == 201
    served.tick(60)
    return f"byoc-{identifier}"


@pytest.fixture
def session(served: Served) -> Iterator[OAuth2Session]:
    """A session as the library makes it by default: the client says who it is in a header."""
    with OAuth2Session(client=BackendApplicationClient(client_id="sandbox")) as made:
        made.trust_env = False
        token = made.fetch_token(
            token_url=f"{served.base}/oauth/token", client_id="sandbox", client_secret="sandbox"
        )
        assert token["expires_in"] > 0
        yield made


def chunk(kind: str, bands: tuple[str, ...]) -> dict[str, Any]:
    """A chunk of a cube as xcube-sh asks for it: each band an output of its own."""
    outputs = ", ".join(f"{{id: '{band}', bands: 1, sampleType: 'FLOAT32'}}" for band in bands)
    values = ", ".join(f"{band}: [sample.{band}]" for band in bands)
    if len(bands) == 1:
        outputs, value = "{bands: 1, sampleType: 'FLOAT32'}", f"[sample.{bands[0]}]"
    else:
        value = f"{{{values}}}"
    names = ", ".join(repr(band) for band in bands)
    return {
        "input": {
            "bounds": {"bbox": p.WHOLE, "properties": {"crs": p.EPSG.format(32633)}},
            "data": [
                {
                    "type": kind,
                    "processing": {"upsampling": "BILINEAR", "downsampling": "BILINEAR"},
                    "dataFilter": {
                        "timeRange": {
                            "from": "2025-06-01T00:00:00+00:00",
                            "to": "2025-06-02T00:00:00+00:00",
                        },
                        "mosaickingOrder": "mostRecent",
                    },
                }
            ],
        },
        "output": {
            "width": p.SIZE,
            "height": p.SIZE,
            "responses": [
                {
                    "identifier": band if len(bands) > 1 else "default",
                    "format": {"type": "image/tiff"},
                }
                for band in bands
            ],
        },
        "evalscript": "//VERSION=3\nfunction setup() {\n    return {\n"
        f"        input: [{names}],\n        output: [{outputs}]\n    }};\n}}\n"
        f"function evaluatePixel(sample) {{\n    return {value};\n}}",
    }


def test_a_chunk_of_a_cube_is_raw(session: OAuth2Session, served: Served, kind: str) -> None:
    headers = {"Accept": "application/octet-stream", "User-Agent": "xcube-dcfs/0.9"}
    answer = session.post(f"{served.base}{OLD}", json=chunk(kind, ("B04",)), headers=headers)
    assert answer.ok, answer.text
    found = np.frombuffer(zlib.decompress(answer.content), "<f4").reshape(p.SIZE, p.SIZE)
    assert np.array_equal(found, p.numbers(4))


def test_a_collection_may_have_its_older_name(
    session: OAuth2Session, served: Served, kind: str
) -> None:
    """As older programs name collections: `CUSTOM` with an identifier, `DEM`, `S2L2A`."""
    headers = {"Accept": "image/tiff"}
    body = chunk("CUSTOM", ("B04",))
    body["input"]["data"][0]["dataFilter"]["collectionId"] = kind.removeprefix("byoc-")
    answer = session.post(f"{served.base}{OLD}", json=body, headers=headers)
    assert answer.ok, answer.text
    assert np.array_equal(p.image(answer.content)[0], p.numbers(4))
    answers = []
    for name in ("DEM", "dem"):
        body = chunk(name, ("DEM",))
        body["output"] |= {"width": 16, "height": 16}
        del body["input"]["data"][0]["dataFilter"]
        answers.append(session.post(f"{served.base}{OLD}", json=body, headers=headers))
    assert answers[0].ok, answers[0].text
    assert answers[0].content == answers[1].content
    body = chunk("CUSTOM", ("B04",))
    assert session.post(f"{served.base}{OLD}", json=body, headers=headers).status_code == 400


def test_bands_of_a_cube_are_files_of_an_archive(
    session: OAuth2Session, served: Served, kind: str
) -> None:
    answer = session.post(
        f"{served.base}{OLD}",
        json=chunk(kind, ("B04", "B08")),
        headers={"Accept": "application/tar"},
    )
    assert answer.ok, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        assert archive.getnames() == ["B04.tif", "B08.tif"]
        for name, band in (("B04.tif", 4), ("B08.tif", 8)):
            file = archive.extractfile(name)
            assert file is not None
            assert np.array_equal(p.image(file.read())[0], p.numbers(band))


def test_a_web_page_takes_what_it_is_given(served: Served, kind: str) -> None:
    """HTTP libraries of JavaScript say that they like JSON best, and take anything."""
    body = chunk(kind, ("B04",))
    with served.client() as http:
        answer = http.post(OLD, json=body, headers={"Accept": "application/json, text/plain, */*"})
        assert answer.headers["content-type"] == "image/tiff"
        body["output"]["responses"][0]["format"]["type"] = "image/jpeg"
        refused = http.post(OLD, json=body, headers={"Accept": "*/*"})
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "COMMON_BAD_PAYLOAD"


def test_a_shell_sends_parts(served: Served, kind: str) -> None:
    """As `curl -F request=... -F evalscript=...` does, whose parts have no media type."""
    body = chunk(kind, ("B04",))
    script = body.pop("evalscript")
    with served.client() as http:
        answer = http.post(
            OLD, files={"request": (None, json.dumps(body)), "evalscript": (None, script)}
        )
        assert answer.status_code == 200, answer.text
        assert np.array_equal(p.image(answer.content)[0], p.numbers(4))


def test_a_driver_repeats_what_was_empty(served: Served, kind: str) -> None:
    """Source: a driver of openEO, which knows a 400 about a body that was not empty."""
    served.fault("400", method="POST", path="/process/v1")
    body = chunk(kind, ("B04",))
    with served.client() as http:
        first = http.post(OLD, json=body)
        assert first.status_code == 400
        assert "non-empty" in first.json()["error"]["message"]
        assert http.post(OLD, json=body).status_code == 200


def test_old_addresses_are_the_new_ones(served: Served, kind: str) -> None:
    body = chunk(kind, ("B04",))
    with served.client() as http:
        answers: list[httpx.Response] = [
            http.post(path, json=body) for path in ("/process/v1", "/process/v1/", OLD, f"{OLD}/")
        ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
